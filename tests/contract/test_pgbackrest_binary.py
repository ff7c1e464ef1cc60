"""Our lint of a pgbackrest.conf against the real program: where it complains, and where it keeps silent."""

import os
import re
import secrets
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import chronos_secrets.pgbackrest
from chronos_secrets.errors import TargetFailed
from chronos_secrets.pgbackrest.binary import lint_with_binary
from chronos_secrets.pgbackrest.lint import lint
from chronos_secrets.pgbackrest.options import OLD_NAMES, OPTIONS
from chronos_secrets.secret import Secret
from tests.support.programs import require

TEMPLATE = Path(chronos_secrets.pgbackrest.__file__).parents[1] / "render" / "templates" / "pgbackrest.j2"


def good() -> str:
    """The built-in template with production's values and new secrets."""
    from jinja2 import Environment, StrictUndefined

    values = {
        "stanza": "chronos",
        "repo_path": "/var/lib/pgbackrest",
        "bucket": "project-chronos-backups",
        "endpoint": "s3.ca-central-1.amazonaws.com",
        "region": "ca-central-1",
        "cipher_type": "aes-256-cbc",
        "retention_full": "4",
        "retention_diff": "4",
        "pg_path": "/var/lib/postgresql/data",
        "pg_port": "5432",
        "pg_user": "chronos",
        "pg_database": "chronos",
        "repo1": {"access_key_id": secrets.token_hex(10), "secret_access_key": secrets.token_urlsafe(30)},
        "repo1_cipher": {"passphrase": secrets.token_urlsafe(48)},
    }
    template = Environment(undefined=StrictUndefined, autoescape=True).from_string(TEMPLATE.read_text())
    return template.render(values)


@pytest.fixture(autouse=True)
def _pgbackrest() -> None:
    require("pgbackrest")


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary directories go, so that a test can see what is left of them."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def asked(text: str, stanza: str = "chronos") -> list[str]:
    """The codes of the real program."""
    problems = lint_with_binary(Secret(text), stanza=stanza)
    assert problems is not None
    return [problem.code for problem in problems]


def without(key: str) -> Callable[[str], str]:
    return lambda text: re.sub(rf"^{key}=.*\n", "", text, flags=re.MULTILINE)


def swap(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


def more(line: str) -> Callable[[str], str]:
    """A line at the end of the global section."""
    return swap("\n[chronos]", f"\n{line}\n[chronos]")


def test_the_complete_configuration_passes_both() -> None:
    text = good()
    assert lint(text, stanza="chronos", mode=0o600) == []
    assert asked(text) == []


# what is wrong: how, our code, the program's own codes
LOUD: dict[str, tuple[Callable[[str], str], str, list[str]]] = {
    "a misspelt option": (swap("repo1-retention-full", "repo1-retention-ful"), "unknown-option", ["pgbackrest-warn"]),
    "an option in capitals": (more("Process-Max=2"), "unknown-option", ["pgbackrest-warn"]),
    "an option behind a semicolon": (more("; process-max=2"), "semicolon-comment", ["pgbackrest-warn"]),
    "an option of the command line": (more("stanza=chronos"), "command-line-only", ["pgbackrest-warn"]),
    "a data directory in the global section": (more("pg1-path=/data"), "stanza-only", ["pgbackrest-warn"]),
    "a line without =": (more("process-max"), "missing-equals", ["pgbackrest-29"]),
    "a comment after a semicolon": (more("; two processes"), "semicolon-comment", ["pgbackrest-29"]),
    "a line without an option": (more("=2"), "missing-key", ["pgbackrest-29"]),
    "a byte order mark": (lambda text: "\ufeff" + text, "bom", ["pgbackrest-29"]),
    "an option before the first section": (
        lambda text: "process-max=2\n" + text,
        "key-before-section",
        ["pgbackrest-29"],
    ),
    "a section that is not closed": (swap("[chronos]", "[chronos"), "section-syntax", ["pgbackrest-29"]),
    "an empty section name": (swap("[chronos]", "[]\n[chronos]"), "section-syntax", ["pgbackrest-29"]),
    "an option twice": (more("process-max=2\nprocess-max=3"), "duplicate-option", ["pgbackrest-31"]),
    "a repository's option twice": (more("repo1-path=/other"), "duplicate-option", ["pgbackrest-31"]),
    "an option by two names": (more("repo-path=/other"), "duplicate-option", ["pgbackrest-31"]),
    "a zero before the index": (more("repo01-path=/other"), "duplicate-option", ["pgbackrest-31"]),
    "an option without its index": (more("repo-retention-history=4"), "unknown-option", ["pgbackrest-31"]),
    "the index 257": (more("repo257-path=/x"), "unknown-option", ["pgbackrest-31"]),
    "yes for y": (more("archive-async=yes"), "bad-boolean", ["pgbackrest-32"]),
    "a number with a comment": (more("process-max=4 # four"), "bad-integer", ["pgbackrest-32"]),
    "a retention with a unit": (swap("retention-full=4", "retention-full=4d"), "bad-integer", ["pgbackrest-32"]),
    "a retention of nothing": (swap("retention-full=4", "retention-full=0"), "bad-integer", ["pgbackrest-32"]),
    "a size with a fraction": (more("archive-push-queue-max=1.5GiB"), "bad-size", ["pgbackrest-32"]),
    "a size with half a unit": (more("archive-push-queue-max=5Gi"), "bad-size", ["pgbackrest-32"]),
    "a relative path": (swap("=/var/lib/pgbackrest", "=pgbackrest"), "bad-path", ["pgbackrest-32"]),
    "a path with two slashes": (swap("=/var/lib/pgbackrest", "=/var//pgbackrest"), "bad-path", ["pgbackrest-32"]),
    "an unknown cipher type": (swap("aes-256-cbc", "aes"), "bad-choice", ["pgbackrest-32"]),
    "an option without a value": (more("process-max="), "empty-value", ["pgbackrest-32"]),
    "a cipher type without a passphrase": (
        without("repo1-cipher-pass"),
        "cipher-type-without-pass",
        ["pgbackrest-37"],
    ),
    "s3 without an endpoint": (without("repo1-s3-endpoint"), "s3-incomplete", ["pgbackrest-37"]),
    "s3 without a bucket": (without("repo1-s3-bucket"), "s3-incomplete", ["pgbackrest-37"]),
    "s3 without a region": (without("repo1-s3-region"), "s3-incomplete", ["pgbackrest-37"]),
    "s3 without a key": (without("repo1-s3-key"), "s3-incomplete", ["pgbackrest-37"]),
    "s3 without the key's secret": (without("repo1-s3-key-secret"), "s3-incomplete", ["pgbackrest-37"]),
    "a line of 65536 bytes": (more("repo2-cipher-pass=" + "k" * 65518), "line-too-long", ["pgbackrest-42"]),
}


@pytest.mark.parametrize("case", LOUD)
def test_pgbackrest_refuses_or_warns_and_so_do_we(case: str) -> None:
    change, ours, theirs = LOUD[case]
    text = change(good())
    assert asked(text) == theirs
    assert ours in {problem.code for problem in lint(text, stanza="chronos")}


# pgBackRest accepts all of these without a word: the reason for a lint of our own
SILENT: dict[str, tuple[Callable[[str], str], str]] = {
    "a passphrase without a cipher type, so no encryption": (without("repo1-cipher-type"), "cipher-pass-without-type"),
    "s3 options without the type, so a local repository": (without("repo1-type"), "s3-without-type"),
    "a misspelt stanza section": (swap("[chronos]", "[chrons]"), "stanza-missing"),
    "white space inside the brackets": (swap("[chronos]", "[ chronos ]"), "section-space"),
    "a misspelt global section": (swap("[global]", "[globel]"), "unknown-section"),
    "a section for a misspelt command": (more("[global:archive-psh]\nprocess-max=x"), "unknown-section"),
    "a misspelt option for another command": (more("[global:backup]\nprocess-mx=2"), "unknown-option"),
    "a stanza without a data directory": (without("pg1-path"), "pg-path-missing"),
    "a time with a unit": (more("io-timeout=2h"), "bad-time"),
}


@pytest.mark.parametrize("case", SILENT)
def test_pgbackrest_is_silent_where_we_are_not(case: str) -> None:
    change, ours = SILENT[case]
    text = change(good())
    assert asked(text) == []
    assert ours in {problem.code for problem in lint(text, stanza="chronos")}


def test_a_unit_behind_a_time_is_dropped_by_pgbackrest() -> None:
    # 4000 ms would be four seconds; read as 4000 seconds it is over the maximum of an hour
    assert asked(more("io-timeout=4000ms")(good())) == ["pgbackrest-32"]
    assert asked(more("io-timeout=2h")(good())) == []


@pytest.mark.parametrize("key_type", ["auto", "web-id"])
def test_keys_that_the_machine_fetches_need_not_be_written(key_type: str) -> None:
    text = more(f"repo1-s3-key-type={key_type}")(without("repo1-s3-key-secret")(without("repo1-s3-key")(good())))
    assert asked(text) == []
    assert lint(text, stanza="chronos") == []


def test_shared_keys_must_be_written() -> None:
    text = more("repo1-s3-key-type=shared")(without("repo1-s3-key")(good()))
    assert asked(text) == ["pgbackrest-37"]
    assert [problem.code for problem in lint(text, stanza="chronos")] == ["s3-incomplete"]


def test_every_repository_of_the_text_is_judged() -> None:
    text = more("repo3-path=/third\nrepo3-retention-full=many")(good())
    assert asked(text) == ["pgbackrest-32"]
    assert asked(more("repo3-path=/third\nrepo3-retention-full=2")(good())) == []


def test_the_longest_line_that_we_allow_is_read() -> None:
    text = more("repo2-cipher-pass=" + "k" * 65517)(good())
    assert asked(text) == []


def test_the_index_that_crashes_pgbackrest_is_named_without_running_it(tmp_path: Path) -> None:
    # 2.45 dies of a segmentation fault, and what it dumps would hold the secrets
    text = more("repo0-path=/x")(good())
    problems = lint_with_binary(Secret(text), stanza="chronos", program=program(tmp_path, f"touch {tmp_path}/ran"))
    assert problems is not None
    assert [problem.code for problem in problems] == ["pgbackrest-crash"]
    assert not (tmp_path / "ran").exists()


def test_a_program_that_is_not_there_has_no_opinion() -> None:
    assert lint_with_binary(Secret(good()), stanza="chronos", program="pgbackrest-that-is-not-there") is None


def test_the_environment_does_not_speak_for_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGBACKREST_PROCESS_MAX", "many")
    monkeypatch.setenv("PGBACKREST_REPO1_S3_REGION", "elsewhere")
    assert asked(good()) == []
    assert asked(without("repo1-s3-region")(good())) == ["pgbackrest-37"]


def test_nothing_is_left_behind(scratch: Path) -> None:
    asked(good())
    asked(more("process-max")(good()))
    assert list(scratch.iterdir()) == []


PASTED: dict[str, Callable[[str], str]] = {
    "into a number": lambda secret: more(f"process-max={secret}")(good()),
    "into a repository type": lambda secret: swap("repo1-type=s3", f"repo1-type={secret}")(good()),
    "into a path": lambda secret: swap("=/var/lib/pgbackrest", f"={secret}")(good()),
    "behind a line end": lambda secret: swap("repo1-cipher-pass=", f"repo1-cipher-pass=begin\n{secret}")(good()),
    "behind a line end, with an =": lambda secret: more(f"{secret}=")(good()),
    "for an option": lambda secret: more(f"{secret}=y")(good()),
    "into brackets": lambda secret: more(f"[{secret}")(good()),
}


@pytest.mark.parametrize("place", PASTED)
def test_a_secret_pasted_in_the_wrong_place_is_not_repeated(place: str) -> None:
    secret = "'" + secrets.token_hex(8) + " 7'" + secrets.token_hex(3)
    problems = lint_with_binary(Secret(PASTED[place](secret)), stanza="chronos")
    assert problems
    said = repr(problems)
    assert not any(word in said for word in re.findall(r"[0-9a-f]{6,}", secret))


def program(folder: Path, body: str) -> str:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(stat.S_IRWXU)
    return str(path)


def test_a_short_secret_is_masked_and_the_names_of_options_are_not(tmp_path: Path) -> None:
    text = "[global]\nrepo1-cipher-pass=1234\nrepo1-retention-full=4\n[chronos]\npg1-user=s3\n"
    loud = program(tmp_path, "cat >/dev/null; echo \"ERROR: [032]: '1234' and s3 at 4 of 'repo1-s3-key'\" >&2; exit 32")
    problems = lint_with_binary(Secret(text), stanza="chronos", program=loud)
    assert problems is not None
    assert [problem.message for problem in problems] == ["'***' and *** at 4 of 'repo1-s3-key'"]


def test_a_value_that_holds_another_is_masked_whole(tmp_path: Path) -> None:
    inner = secrets.token_hex(8)
    text = f"[global]\nrepo1-s3-key={inner}\nrepo1-s3-key-secret=begin{inner}end\n"
    loud = program(tmp_path, f'cat >/dev/null; echo "ERROR: [032]: begin{inner}end" >&2; exit 32')
    problems = lint_with_binary(Secret(text), stanza="chronos", program=loud)
    assert problems is not None
    assert [problem.message for problem in problems] == ["***"]


def test_a_value_that_is_no_text_does_no_harm() -> None:
    text = good().encode() + b"[global]\nprocess-max=\xff\xfe" + secrets.token_bytes(8).hex().encode() + b"\n"
    problems = lint_with_binary(Secret(text), stanza="chronos")
    assert problems is not None
    assert [problem.message for problem in problems] == ["'***' is not valid for 'process-max' option"]


def test_a_program_that_dies_is_a_problem(tmp_path: Path) -> None:
    dying = program(tmp_path, "kill -SEGV $$")
    problems = lint_with_binary(Secret(good()), stanza="chronos", program=dying)
    assert problems is not None
    assert [problem.code for problem in problems] == ["pgbackrest-crash"]


def test_a_program_that_hangs_is_stopped(tmp_path: Path, scratch: Path) -> None:
    hanging = program(tmp_path, "exec tail -f /dev/null")
    with pytest.raises(TargetFailed, match=r"within 0\.3 seconds"):
        lint_with_binary(Secret(good()), stanza="chronos", program=hanging, timeout=0.3)
    assert list(scratch.iterdir()) == []


ASK = """\
import sys
from chronos_secrets.pgbackrest.binary import lint_with_binary
from chronos_secrets.secret import Secret
sys.exit(0 if lint_with_binary(Secret(sys.stdin.buffer.read()), stanza="chronos") == [] else 1)
"""


def traced(text: str, folder: Path) -> list[str]:
    """Every call of the lint that opens, writes, starts or connects, one a line, with nothing abbreviated."""
    calls = "trace=execve,open,openat,creat,mkdir,read,write,pwrite64,writev,sendto,sendmsg,socket,connect,memfd_create"
    log = folder / "calls"
    subprocess.run(
        (require("strace"), "-f", "-v", "-y", "-s", "100000", "-e", calls, "-o", str(log), sys.executable, "-c", ASK),
        input=text.encode(),
        cwd=Path(chronos_secrets.pgbackrest.__file__).parents[2],
        check=True,
        timeout=120,
        env={**os.environ, "TMPDIR": tempfile.gettempdir(), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    return log.read_text(errors="replace").splitlines()


def test_the_text_passes_through_pipes_only(tmp_path: Path) -> None:
    canary = secrets.token_hex(16)
    calls = traced(swap("repo1-cipher-pass=", f"repo1-cipher-pass={canary}")(good()), tmp_path)
    seen = [call for call in calls if canary in call]
    assert len(seen) >= 5, "read once by us, then written to and read by the program twice"
    assert all(re.match(r"[0-9]+ +(read|write)\([0-9]+<(pipe:|/dev/pts|/dev/stdin)", call) for call in seen)


def test_the_program_creates_nothing_outside_its_own_directory(tmp_path: Path, scratch: Path) -> None:
    calls = [call for call in traced(good(), tmp_path) if re.match(r"[0-9]+ +open.*O_CREAT", call)]
    assert calls, "pgbackrest locks the stanza"
    assert [call for call in calls if f'"{scratch}/' not in call] == []


def test_the_repositories_of_the_text_are_not_opened(tmp_path: Path) -> None:
    text = more("repo3-path=/the-real-repository\nrepo3-retention-full=2")(good())
    opened = [call for call in traced(text, tmp_path) if re.match(r"[0-9]+ +open", call)]
    assert opened
    assert not [call for call in opened if "/the-real-repository" in call]


def test_no_other_machine_and_no_other_program_is_asked(tmp_path: Path) -> None:
    remote = more("repo2-host=localhost\nrepo2-path=/x")(good())
    calls = traced(remote, tmp_path)
    done = (" = 0", "<unfinished ...>")  # strace splits a call that another process interrupts
    started = {call.split('"')[1].rpartition("/")[2] for call in calls if "execve(" in call and call.endswith(done)}
    assert started == {Path(sys.executable).name, "pgbackrest"}
    assert not [call for call in calls if "AF_INET" in call]


def test_the_directory_that_the_program_works_in_is_private(tmp_path: Path) -> None:
    made = [call for call in traced(good(), tmp_path) if "mkdir(" in call and "chronos-secrets-" in call]
    assert len(made) == 1
    assert "0700)" in made[0]


def version() -> tuple[int, ...]:
    said = subprocess.run(("pgbackrest", "version"), capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in re.findall(r"[0-9]+", said))


def test_every_option_in_pgbackrests_help_is_in_our_table() -> None:
    listed = subprocess.run(("pgbackrest", "help"), capture_output=True, text=True, check=True).stdout
    commands = set(re.findall(r"^    ([a-z-]+) {2,}", listed, re.MULTILINE)) - {"help", "version"}
    assert "backup" in commands
    for command in sorted(commands):
        text = subprocess.run(("pgbackrest", "help", command), capture_output=True, text=True, check=True).stdout
        assert set(re.findall(r"^  --([a-z0-9-]+)", text, re.MULTILINE)) <= set(OPTIONS)


WELL_FORMED = {"boolean": "y", "integer": "1", "size": "1MiB", "time": "1", "path": "/x", "text": "x=y"}


def test_every_option_of_our_table_is_known_to_pgbackrest() -> None:
    here = version()
    settings = {
        re.sub(r"^(pg|repo)-", r"\g<1>1-", name) if option.indexed else name: (
            *option.choices,
            WELL_FORMED.get(option.kind),
        )[0]
        for name, option in OPTIONS.items()
        if not option.command_line and tuple(int(part) for part in option.since.split(".") if part) <= here
    }
    # an error in a value would hide the warnings; that the last line is warned of proves that there was none
    assert unknown_to_pgbackrest(settings | {"process-mx": "1"}) == {"process-mx"}


def test_every_old_name_is_still_known_to_pgbackrest() -> None:
    for old in OLD_NAMES:  # one at a time: two names of one option are a duplicate
        assert unknown_to_pgbackrest({old.replace("?", "1"): "x"}) == set()


def unknown_to_pgbackrest(settings: Mapping[str, str | None]) -> set[str]:
    """The names that the program warns of."""
    text = "[chronos]\n" + "".join(f"{name}={value}\n" for name, value in settings.items())
    problems = lint_with_binary(Secret(text), stanza="chronos")
    assert problems is not None
    return {name for name in settings for problem in problems if problem.message.endswith(f"invalid option '{name}'")}
