"""lint of a pgbackrest.conf: one test per rule, and what must never be refused."""

import secrets
from collections.abc import Callable

import pytest

from chronos_secrets.pgbackrest.lint import Problem, lint
from chronos_secrets.pgbackrest.options import OLD_NAMES, OPTIONS, nearest, resolve


def good() -> str:
    return f"""\
# backups of the production database
[global]
repo1-type=s3
repo1-path=/var/lib/pgbackrest
repo1-s3-bucket=backups
repo1-s3-endpoint=s3.ca-central-1.amazonaws.com:443
repo1-s3-region=ca-central-1
repo1-s3-key={secrets.token_hex(10)}
repo1-s3-key-secret={secrets.token_urlsafe(30)}
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={secrets.token_urlsafe(48)}
repo1-retention-full=4
repo1-retention-diff=4
start-fast=y

[chronos]
pg1-path=/var/lib/postgresql/data
pg1-port=5432
pg1-user=chronos
"""


def codes(text: str, stanza: str | None = "chronos") -> list[tuple[str, int]]:
    return [(problem.code, problem.line) for problem in lint(text, stanza=stanza)]


def without(text: str, key: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(key + "="))


def swap(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


def drop(key: str) -> Callable[[str], str]:
    return lambda text: without(text, key)


@pytest.mark.parametrize("stanza", ["chronos", None])
def test_a_complete_configuration_has_no_problem(stanza: str | None) -> None:
    assert lint(good(), stanza=stanza, mode=0o600) == []


BROKEN: dict[str, tuple[Callable[[str], str], list[tuple[str, int]]]] = {
    "a misspelt option": (swap("repo1-retention-full", "repo1-retention-ful"), [("unknown-option", 12)]),
    "an option like no other": (swap("start-fast", "colour"), [("unknown-option", 14)]),
    "an option in capitals": (swap("start-fast", "Start-Fast"), [("unknown-option", 14)]),
    "an option without its index": (swap("repo1-retention-full", "repo-retention-full"), [("unknown-option", 12)]),
    "an index on an option that has none": (swap("start-fast", "start1-fast"), [("unknown-option", 14)]),
    "the index 0": (swap("repo1-retention-full", "repo0-retention-full"), [("unknown-option", 12)]),
    "the index 257": (swap("repo1-retention-full", "repo257-retention-full"), [("unknown-option", 12)]),
    "an absurd index": (swap("repo1-retention-full", f"repo{'9' * 5000}-retention-full"), [("unknown-option", 12)]),
    "a misspelt global section": (
        swap("[global]", "[globel]"),
        [("unknown-section", 2)],
    ),
    "a section in capitals": (swap("[global]", "[GLOBAL]"), [("unknown-section", 2)]),
    "white space inside the brackets": (swap("[global]", "[ global ]"), [("section-space", 2)]),
    "a section that is not closed": (swap("[chronos]", "[chronos"), [("section-syntax", 16), ("stanza-missing", 0)]),
    "a comment behind a section": (swap("[global]", "[global] # all"), [("section-syntax", 2)]),
    "an empty section name": (swap("[global]", "[]"), [("section-syntax", 2)]),
    "a section for a misspelt command": (swap("start-fast", "[global:bakcup]\nstart-fast"), [("unknown-section", 14)]),
    "no section for the stanza": (swap("[chronos]", "[main]"), [("stanza-missing", 0)]),
    "an option before the first section": (swap("[global]", "start-fast=y\n[global]"), [("key-before-section", 2)]),
    "an option twice": (lambda text: text + "pg1-port=5433\n", [("duplicate-option", 20)]),
    "an option twice in two parts of one section": (
        lambda text: text + "[global]\nstart-fast=n\n",
        [("duplicate-option", 21)],
    ),
    "an option by its old and its new name": (
        swap("start-fast", "repo-path=/other\nstart-fast"),
        [("duplicate-option", 14)],
    ),
    "an option with a zero before its index": (
        swap("start-fast", "repo01-path=/other\nstart-fast"),
        [("duplicate-option", 14)],
    ),
    "a line without =": (swap("start-fast=y", "start-fast"), [("missing-equals", 14)]),
    "a line without an option": (swap("start-fast=y", "=y"), [("missing-key", 14)]),
    "a semicolon for a comment": (swap("# backups", "; backups"), [("semicolon-comment", 1)]),
    "an option behind a semicolon": (swap("start-fast", "; start-fast"), [("semicolon-comment", 14)]),
    "a byte order mark": (lambda text: "\ufeff" + text, [("bom", 1)]),
    "an option without a value": (swap("pg1-user=chronos", "pg1-user= \t"), [("empty-value", 19)]),
    "a passphrase without a cipher type": (drop("repo1-cipher-type"), [("cipher-pass-without-type", 10)]),
    "a passphrase with the cipher type none": (swap("aes-256-cbc", "none"), [("cipher-pass-without-type", 11)]),
    "a cipher type without a passphrase": (drop("repo1-cipher-pass"), [("cipher-type-without-pass", 10)]),
    "s3 without an endpoint": (drop("repo1-s3-endpoint"), [("s3-incomplete", 3)]),
    "s3 without a bucket": (drop("repo1-s3-bucket"), [("s3-incomplete", 3)]),
    "s3 without a region": (drop("repo1-s3-region"), [("s3-incomplete", 3)]),
    "s3 without a key": (drop("repo1-s3-key"), [("s3-incomplete", 3)]),
    "s3 without the key's secret": (drop("repo1-s3-key-secret"), [("s3-incomplete", 3)]),
    "s3 with shared keys and none given": (
        lambda text: without(text, "repo1-s3-key").replace("start-fast=y", "repo1-s3-key-type=shared"),
        [("s3-incomplete", 3)],
    ),
    "s3 options and no type": (drop("repo1-type"), [("s3-without-type", 4)]),
    "s3 options and another type": (swap("repo1-type=s3", "repo1-type=posix"), [("s3-without-type", 5)]),
    "a second repository that is not encrypted": (
        swap("start-fast", "repo2-path=/second\nrepo2-cipher-pass=x\nstart-fast"),
        [("cipher-pass-without-type", 15)],
    ),
    "the host of the database": (lambda text: text + "pg1-host=localhost\n", [("pg-host", 20)]),
    "the host of the database by its old name": (lambda text: text + "db-host=localhost\n", [("pg-host", 20)]),
    "a stanza without a data directory": (drop("pg1-path"), [("pg-path-missing", 16)]),
    "a data directory in the global section": (swap("start-fast=y", "pg1-path=/data"), [("stanza-only", 14)]),
    "an option of the command line": (swap("start-fast=y", "stanza=chronos"), [("command-line-only", 14)]),
    "yes for y": (swap("start-fast=y", "start-fast=yes"), [("bad-boolean", 14)]),
    "a capital Y": (swap("start-fast=y", "start-fast=Y"), [("bad-boolean", 14)]),
    "a retention with a unit": (swap("retention-full=4", "retention-full=4d"), [("bad-integer", 12)]),
    "a retention of nothing": (swap("retention-full=4", "retention-full=0"), [("bad-integer", 12)]),
    "a comment behind a number": (swap("retention-full=4", "retention-full=4 # four"), [("bad-integer", 12)]),
    "a time with a unit": (swap("start-fast=y", "io-timeout=2h"), [("bad-time", 14)]),
    "a size with a fraction": (swap("start-fast=y", "archive-push-queue-max=1.5GiB"), [("bad-size", 14)]),
    "a size with half a unit": (swap("start-fast=y", "archive-push-queue-max=5Gi"), [("bad-size", 14)]),
    "a relative repository path": (swap("=/var/lib/pgbackrest", "=pgbackrest"), [("bad-path", 4)]),
    "a repository path with two slashes": (swap("=/var/lib/pgbackrest", "=/var//pgbackrest"), [("bad-path", 4)]),
    "an abstract socket for anything but PostgreSQL": (swap("start-fast=y", "spool-path=@x"), [("bad-path", 14)]),
    "an unknown repository type": (swap("repo1-type=s3", "repo1-type=S3"), [("bad-choice", 3), ("s3-without-type", 5)]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_mistake_is_found_with_its_line(case: str) -> None:
    change, expected = BROKEN[case]
    found = codes(change(good()))
    # a global section that is not read takes its own options along: only its own problem matters here
    assert set(expected) <= set(found)
    assert {code for code, _ in found} == {code for code, _ in expected}


HARMLESS: dict[str, Callable[[str], str]] = {
    "windows line ends": lambda text: text.replace("\n", "\r\n"),
    "no line end at the end": str.rstrip,
    "white space around everything": lambda text: text.replace("=", " = ").replace("\n", " \t\n").replace("[", "  ["),
    "an indented comment": swap("start-fast", "   # quick\nstart-fast"),
    "anything in a passphrase": swap("repo1-cipher-pass=", "repo1-cipher-pass=#;='\"[ ] # \\ %$`é"),
    "a second part of a section": lambda text: text + "[global]\nprocess-max=2\n",
    "a section for one command": lambda text: (
        text + "[global:archive-push]\nstart-fast=n\n[chronos:backup]\nprocess-max=4\n"
    ),
    "keys from the machine's role": lambda text: without(without(text, "repo1-s3-key"), "repo1-s3-key-secret").replace(
        "start-fast=y", "repo1-s3-key-type=auto"
    ),
    "keys in the section of the stanza": lambda text: without(text, "repo1-s3-key") + "repo1-s3-key=other\n",
    "keys for one command": lambda text: without(text, "repo1-s3-key") + "[chronos:backup]\nrepo1-s3-key=other\n",
    "the cipher type in the section of the stanza": lambda text: (
        without(text, "repo1-cipher-type") + "repo1-cipher-type=aes-256-cbc\n"
    ),
    "no encryption at all": lambda text: without(without(text, "repo1-cipher-pass"), "repo1-cipher-type"),
    "encryption switched off in words": lambda text: without(text, "repo1-cipher-pass").replace("aes-256-cbc", "none"),
    "an option that may be repeated": lambda text: text + "db-include=one\ndb-include=two\n",
    "an old name": swap("repo1-retention-full", "retention-full"),
    "an old name with an index": swap("start-fast=y", "repo1-s3-verify-ssl=y"),
    "an option of a later release": swap("start-fast=y", "repo1-storage-tag=team=one\nrepo1-symlink=n"),
    "the last index": swap("start-fast=y", "repo256-path=/x"),
    "another stanza": lambda text: text + "[other]\npg1-path=/other\n",
    "a repository host": swap("start-fast=y", "repo2-host=backup.internal\nrepo2-cipher-pass=x"),
    "a trailing slash": swap("=/var/lib/pgbackrest", "=/var/lib/pgbackrest/"),
    "an abstract socket": lambda text: text + "pg1-socket-path=@socket\n",
    "sizes and times": swap("start-fast=y", "archive-push-queue-max=5gib\nbuffer-size=1MB\nio-timeout=1.5"),
    "a negative level": swap("start-fast=y", "compress-level=-1"),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_pgbackrest_accepts_is_accepted(case: str) -> None:
    assert lint(HARMLESS[case](good()), stanza="chronos") == []


def test_a_line_may_be_as_long_as_the_buffer_of_pgbackrest_and_no_longer() -> None:
    text = without(good(), "repo1-cipher-pass")
    longest = "repo1-cipher-pass=" + "k" * (65535 - len("repo1-cipher-pass="))
    assert lint(text.replace("start-fast=y", longest), stanza="chronos") == []
    assert codes(text.replace("start-fast=y", longest + "k")) == [("line-too-long", 13)]


def test_the_length_of_a_line_counts_bytes() -> None:
    text = without(good(), "repo1-cipher-pass").replace("start-fast=y", "repo1-cipher-pass=" + "é" * 40000)
    assert codes(text) == [("line-too-long", 13)]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o644, 0o666])
def test_a_file_that_others_can_use_is_a_problem(mode: int) -> None:
    assert lint(good(), stanza="chronos", mode=mode) == [
        Problem(0, "mode", "others than the owner may use the file", "chmod 0600")
    ]


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o100600, None])
def test_a_file_of_its_owner_alone_is_no_problem(mode: int | None) -> None:
    assert lint(good(), mode=mode) == []


def test_without_a_stanza_every_section_that_is_not_global_is_one() -> None:
    assert codes(without(good(), "pg1-path"), stanza=None) == [("pg-path-missing", 16)]
    assert ("unknown-section", 2) in codes(good().replace("[global]", "[globl]"), stanza=None)


def test_the_setting_of_the_stanza_wins_over_the_global_one() -> None:
    text = good() + "repo1-cipher-type=none\n"
    assert codes(text) == [("cipher-pass-without-type", 11)]


def test_the_fix_names_the_option_that_was_meant() -> None:
    (problem,) = lint(good().replace("repo1-retention-full", "repo1-retention-fll"), stanza="chronos")
    assert problem.fix == "write repo1-retention-full"
    assert "repo1-retention-fll" in problem.message


def test_the_fix_names_the_section_that_was_meant() -> None:
    problems = lint(good().replace("[global]", "[globel]"), stanza="chronos")
    assert Problem(2, "unknown-section", "pgbackrest ignores this section", "write [global]") in problems


def test_an_option_without_an_index_is_told_to_take_one() -> None:
    (problem,) = lint(good().replace("repo1-retention-full", "repo-retention-full"), stanza="chronos")
    assert (problem.message, problem.fix) == ("repo-retention-full needs an index", "write repo1-retention-full")


def test_an_index_that_is_too_high_is_told_the_range() -> None:
    (problem,) = lint(good().replace("repo1-retention-full", "repo257-retention-full"), stanza="chronos")
    assert problem.message == "the index of repo257-retention-full is out of range"
    assert problem.fix == "use 1 to 256"


def test_a_suggestion_keeps_the_index() -> None:
    assert nearest("repo2-retention-ful") == "repo2-retention-full"
    assert nearest("REPO1-S3-KEY") == "repo1-s3-key"
    assert nearest("completely-different") is None


PLACES = ("value", "key", "key of a cut line", "bare line", "section", "semicolon", "first line", "repeated value")


@pytest.mark.parametrize("place", PLACES)
def test_no_problem_ever_repeats_a_secret(place: str) -> None:
    secret = secrets.token_hex(24)
    text = {
        "value": "\n".join(f"{key}={secret}" for key in good().replace("=", "\n").split() if "-" in key),
        "key": f"[global]\n{secret}=y\n",
        "key of a cut line": f"[global]\nrepo1-cipher-pass=begin\n{secret}==\n",
        "bare line": f"[global]\n{secret}\n",
        "section": f"[{secret}]\nstart-fast=y\n[global:{secret}]\n[ {secret}\n",
        "semicolon": f"[global]\n; {secret}={secret}\n",
        "first line": f"{secret}={secret}\n",
        "repeated value": "[global]\n" + f"process-max={secret}\n" * 2,
    }[place]
    every = "".join(f"{problem.message} {problem.fix}" for problem in lint(text, stanza="chronos", mode=0o666))
    assert every
    assert secret not in every


def test_every_value_of_every_option_stays_out_of_the_messages() -> None:
    secret = secrets.token_hex(24)
    keys = [
        f"{name[: name.index('-')]}1{name[name.index('-') :]}" if option.indexed else name
        for name, option in OPTIONS.items()
    ]
    problems = lint("[chronos]\n" + "\n".join(f"{key}={secret}" for key in keys), stanza="chronos")
    assert len(problems) > 50
    assert secret not in repr(problems)


def test_the_table_of_options_is_sorted_and_each_old_name_leads_somewhere() -> None:
    assert list(OPTIONS) == sorted(OPTIONS)
    assert all(resolve(old.replace("?", "7")) for old in OLD_NAMES)
    assert resolve("db7-path") == ("pg7-path", OPTIONS["pg-path"])


def test_messages_are_one_clause_with_a_fix() -> None:
    for change, _ in BROKEN.values():
        for problem in lint(change(good()), stanza="chronos"):
            assert not problem.message.endswith(".")
            assert "\n" not in problem.message
            assert problem.fix
