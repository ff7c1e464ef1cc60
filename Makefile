# Short names for what is run often. .ci/demo and .ci/test need no make.
.PHONY: check test long docs bench

check:          ## style, types, imports and the quick tests
	.ci/test tests/unit

test:           ## everything that CI runs
	.ci/test

long:           ## the long kill and fuzz suites
	CHRONOS_LONG=1 .ci/test tests/integration

docs:           ## write docs/reference.md, the manual page and the JSON Schema anew
	.venv/bin/python -m tests.support.reference

bench:          ## measure, and write docs/benchmarks.md
	.venv/bin/python -m tests.benchmarks.run
