"""Each dialect against the programs that it promises: a value is refused, or all of them read it back identically.

The values are nasty and seeded; behind each stands a second key, which a value that leaves its quotes would take along.
compose and godotenv need a Go compiler: their rule was measured once (see `_compose` in dialects.py).
"""

import random
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos_secrets.render.dialects import DIALECTS, Piece, Unholdable, logical_lines
from tests.support.readers import (
    ASSIGNMENT_READERS,
    identity_files_tried,
    opens_repository,
    read_pgpass,
    read_ssh,
    seal_repository,
)

COUNT = 2_000
FRAGMENTS = [
    "'", '"', "`", "\\", "\\\\", "$", "${", "}", "$(", ")", "${HOME}", "$HOME", "$(echo hi)", "`echo hi`", "$$", "$1",
    "#", " #", " # ", ";", " ; ", "=", "==", ":", ": ", "[", "]", "{", "%", "%h", "%%", "!", "!!", "~", "~/", "*", "?",
    "&", "|", "<", ">", "(", ",", "-", " -o", "@", "^", "/", ".", " ", "  ", "\t", "\n", "\n\n", "\r", "\r\n", "\\n",
    "\\r", "\\t", "\\'", '\\"', "\\$", "\\x41", "\\u0041", "\\101", "export ", "null", "none", "true",
    "\nS=evil\n", "'\nS=evil\n'", '"\nS=evil\n"', "\n[global]\n", "\n# c", "-----BEGIN X-----\n", "\nQUJD==\n",
    "\x01", "\x02", "\x07", "\b", "\x0b", "\x0c", "\x1b", "\x1c", "\x7f", "\x85", "\xa0", "\u2028", "\u2029", "\u3000",
    "\ufeff", "\ufdd0", "\uffff", "\U0001ffff", "\ufffd", "é", "e\u0301", "漢", "😀", "\u202e",
]  # fmt: skip
PLAIN = string.ascii_letters + string.digits
CORNERS = ["", " ", "  ", "a b", " a", "a ", "'", '"', "\\", "a\\", "a'b", 'a"b', "a'b\"c", "x" * 5_000, "\n", "a\n"]


def nasty_values(seed: str, count: int = COUNT) -> list[str]:
    """Values of up to 12 fragments; half of them draw on three kinds of fragment only, so that many can be held."""
    chance = random.Random(seed)
    values = list(CORNERS)
    while len(values) < count:
        fragments = chance.sample(FRAGMENTS, 3) if chance.random() < 0.5 else FRAGMENTS
        values.append("".join(_piece(chance, fragments) for _ in range(chance.randrange(1, 12))))
    return values


def _piece(chance: random.Random, fragments: list[str]) -> str:
    kind = chance.random()
    if kind < 0.02:
        return chr(chance.choice([*range(1, 0xD800), *range(0xE000, 0x11000)]))
    return chance.choice(PLAIN) * chance.randrange(1, 4) if kind < 0.4 else chance.choice(fragments)


def held(dialect: str, values: list[str], left: str = "V{}=") -> Iterator[tuple[int, str, str]]:
    """Index, value and line of each value that the dialect holds; at least a tenth, or the test would say nothing."""
    found = 0
    for index, value in enumerate(values):
        try:
            line = DIALECTS[dialect].write([Piece(left.format(index)), Piece(value, "nasty.value")])
        except Unholdable:
            continue
        found += 1
        yield index, value, line
    assert found > len(values) / 10


def first_difference(expected: dict[str, str], got: dict[str, str]) -> tuple[str, str, str | None] | None:
    return next(((key, value, got.get(key)) for key, value in expected.items() if got.get(key) != value), None)


PROMISES = [
    (dialect, reader) for dialect in ("dotenv", "sh", "systemd", "python", "node")
    for reader in DIALECTS[dialect].readers if reader in ASSIGNMENT_READERS
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "reader"), PROMISES)
def test_a_value_is_refused_or_read_back_identically(dialect: str, reader: str, tmp_path: Path) -> None:
    expected, lines = {}, []
    for index, value, line in held(dialect, nasty_values("assignments")):
        expected |= {f"V{index}": value, f"S{index}": "end"}
        lines += [line, DIALECTS[dialect].write([Piece(f"S{index}=end")])]
    file = tmp_path / "rendered"
    file.write_bytes("\n".join([*lines, ""]).encode())
    got = ASSIGNMENT_READERS[reader](file)
    assert first_difference(expected, got) is None
    assert {key for key in got if re.fullmatch(r"[VS]\d*", key)} == set(expected)


@pytest.mark.parametrize(("dialect", "reader"), PROMISES)
def test_blank_lines_and_comments_of_any_shape_hide_no_key(dialect: str, reader: str, tmp_path: Path) -> None:
    write = DIALECTS[dialect].write
    odd = [
        "",
        "   ",
        "\t",
        "# plain",
        "  # indented",
        "\t# a=b",
        "# it's",
        '# a = "b',
        "# `",
        "#",
        "# $(echo hi)",
        " #",
    ]
    template = [line for index, text in enumerate(odd) for line in (text, f"K{index}={index}")]
    lines = [write([Piece(line)]) for line in template]
    file = tmp_path / "rendered"
    file.write_text("\n".join([*lines, ""]))
    got = ASSIGNMENT_READERS[reader](file)
    assert first_difference({f"K{index}": str(index) for index in range(len(odd))}, got) is None


@pytest.mark.parametrize("dialect", ["dotenv", "sh", "systemd", "compose", "python", "node"])
def test_a_value_of_many_lines_stays_one_logical_line_and_shows_no_key_of_its_own(dialect: str) -> None:
    lines = [line for _, _, line in held(dialect, nasty_values("logical"))]
    assert list(logical_lines(DIALECTS[dialect], "\n".join([*lines, ""]))) == lines


# --- pgbackrest -------------------------------------------------------------------------------------------------------

PASSES = [
    "abc123", "a b", " ab", "ab ", "\tab", "ab\t", "a\tb", "a#b", "a # b", "#ab", "a;b", "a ; b", ";ab", "a=b", "=ab",
    "YWI==", "[ab", "[ab]", "a[b]c", '"ab"', "'ab'", "a\\b", "ab\\", "a\\nb", "a%b%s%%", "$HOME${X}", "`id`", "/b+c/==",
    "a,b:c", "é", "😀k", "\xa0a", "a\xa0", "a\x01b", "a\x7fb", "a\rb", "ab\r", "\rab", "a\x0bb", "\x0ba", "a\x0c",
    "a\nb", "ab\n", "a\n[demo]", "   ", "x", "k" * 1024, "k" * 4096, "k" * 65_000, "!~@^&*(){}|<>?", "null",
    '{"a":1}', "\u2028a", "\ufeffa", "\ufdd0", "a\u0085", "repo1-path=/x", "none", "a \\", "\\", "=", "[", "''", '"',
]  # fmt: skip


def test_pgbackrest_opens_its_repository_with_every_pass_that_is_not_refused(tmp_path: Path) -> None:
    values = list(held("pgbackrest", PASSES, "repo1-cipher-pass="))
    assert len(values) >= 48
    wrong = [value for index, value, line in values if not _opens(tmp_path / str(index), value, line)]
    assert wrong == []


def _opens(folder: Path, cipher_pass: str, line: str) -> bool:
    options = seal_repository(folder, cipher_pass)
    configuration = folder / "read.conf"
    # The options behind the pass are the second key: without them there is no repository to open.
    configuration.write_bytes(f"[global]\n{line}\n{options}lock-path={folder}\n".encode())
    return opens_repository(configuration)


@pytest.mark.parametrize("index", [PASSES.index(value) for value in (" ab", "ab ", "\tab", "ab\t", "ab\r", "\rab")])
def test_a_pass_whose_edge_pgbackrest_would_drop_is_refused_for_cause(index: int, tmp_path: Path) -> None:
    with pytest.raises(Unholdable):
        DIALECTS["pgbackrest"].write([Piece("repo1-cipher-pass="), Piece(PASSES[index], "cipher.passphrase")])
    assert not _opens(tmp_path, PASSES[index], f"repo1-cipher-pass={PASSES[index]}")


def test_the_longest_line_that_is_written_is_one_that_pgbackrest_reads(tmp_path: Path) -> None:
    longest = "k" * (65_534 - len("repo1-cipher-pass="))
    line = DIALECTS["pgbackrest"].write([Piece("repo1-cipher-pass="), Piece(longest, "cipher.passphrase")])
    assert _opens(tmp_path, longest, line)


# --- .pgpass ----------------------------------------------------------------------------------------------------------


def test_libpq_reads_back_every_password_of_a_pgpass_file(tmp_path: Path) -> None:
    values = list(held("pgpass", nasty_values("pgpass"), "h:5432:d:u{}:"))
    file = tmp_path / "pgpass"
    file.write_bytes("\n".join([*(line for *_, line in values), "h:5432:d:last:end", ""]).encode())
    wanted = [{"host": "h", "port": "5432", "dbname": "d", "user": f"u{index}"} for index, *_ in values]
    got = read_pgpass(file, [*wanted, wanted[0] | {"user": "last"}])
    assert got == [*(value for _, value, _ in values), "end"]


def test_libpq_matches_a_role_and_a_database_from_the_vault_literally(tmp_path: Path) -> None:
    write, file, values = DIALECTS["pgpass"].write, tmp_path / "pgpass", []
    lines = ["# a comment"]
    for index, value in enumerate(["*", *nasty_values("fields", 300)]):
        fields = [Piece("h:5432:"), Piece(value, "db.database"), Piece(":"), Piece(value, "db.username")]
        try:
            lines.append(write([*fields, Piece(f":found{index}")]))
        except Unholdable:
            continue
        values.append((value, f"found{index}"))
    file.write_bytes("\n".join([*lines, "h:5432:other:other:mine", ""]).encode())
    wanted = [{"host": "h", "port": "5432", "dbname": value, "user": value} for value, _ in values]
    first = dict(reversed(values))
    got = read_pgpass(file, [*wanted, {"host": "h", "port": "5432", "dbname": "other", "user": "other"}])
    assert got == [*(first[value] for value, _ in values), "mine"]


# --- ssh_config -------------------------------------------------------------------------------------------------------


def test_ssh_reads_back_every_file_name_of_an_ssh_config(tmp_path: Path) -> None:
    values = list(dict.fromkeys(nasty_values("ssh files", 4_000)))
    names = {"/k/" + value: line for _, value, line in held("ssh-config", values, "    IdentityFile /k/")}
    batches = [list(names)[start : start + 99] for start in range(0, len(names), 99)]  # ssh takes 100 of them
    for index, batch in enumerate(batches):
        file = tmp_path / f"config{index}"
        file.write_bytes("\n".join(["Host h", *(names[name] for name in batch), "    User end", ""]).encode())
        options = read_ssh(file, "h")
        assert [name.replace("%%", "%") for name in options["identityfile"]] == batch
        assert options["user"] == ["end"]


@pytest.mark.parametrize("keyword", ["HostName", "User", "HostKeyAlias"])
def test_ssh_reads_back_every_name_of_an_ssh_config(keyword: str, tmp_path: Path) -> None:
    values = nasty_values("ssh names", 1_500)  # but for bare numbers, which ssh writes out as an address: 0.0.0.99
    for index, value, line in held_names(keyword, [value for value in values if not value.isdigit()]):
        file = tmp_path / f"config{index}"
        file.write_bytes(f"Host h\n{line}\n    Port 2222\n".encode())
        options = read_ssh(file, "h")
        same = str if keyword == "User" else str.lower  # host names have no case, and ssh lowers most of them
        assert [same(name) for name in options[keyword.lower()]] == [same(value)]
        assert options["port"] == ["2222"]


def held_names(keyword: str, values: list[str]) -> list[tuple[int, str, str]]:
    found = []
    for index, value in enumerate(values):
        try:
            line = DIALECTS["ssh-config"].write([Piece(f"  {keyword} "), Piece(value, "host.name")])
        except Unholdable:
            continue
        found.append((index, value, line))
    assert len(found) > 60
    return found[:200]


def test_ssh_opens_the_key_file_whose_name_has_percent_signs_and_spaces(tmp_path: Path) -> None:
    name = f"{tmp_path}/100%h of it's #1"
    line = DIALECTS["ssh-config"].write([Piece("IdentityFile "), Piece(name, "key.path")])
    file = tmp_path / "config"
    file.write_text(f"Host h\n{line}\n{line.replace('IdentityFile', 'ControlPath')}\n")
    assert identity_files_tried(file, "h") == [name]
    assert read_ssh(file, "h")["controlpath"] == [name]
