"""Values of the vault found by the scanner's index: every encoding, every place, and nothing else."""

import base64
import hashlib
import html
import json
import os
import random
import shlex
import string
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chronos_secrets.scan import known, required, sealed, strength
from chronos_secrets.scan.forms import forms
from chronos_secrets.scan.found import CERTAIN, Trouble
from chronos_secrets.scan.index import Source, Value, anchor, build

CHANCE = random.Random(20260102)
LETTERS = string.ascii_letters + string.digits
SIGNS = string.ascii_letters + string.digits + string.punctuation
KEY = CHANCE.randbytes(32)
OWNER = 'the value of "Database/DB" (db)'
SOURCE = Source("/somewhere/vault.kdbx", "1 2", b"state", 1_700_000_000)


@pytest.fixture(autouse=True)
def _chance_of_its_own(request: pytest.FixtureRequest) -> None:
    """A test invents the same values whichever tests ran before it: some of these claims are about most values only."""
    CHANCE.seed(request.node.name)


def invented(length: int, alphabet: str = LETTERS) -> str:
    return "".join(CHANCE.choices(alphabet, k=length))


def index(*contents: str | bytes, what: str = OWNER) -> known.Index:
    values = [Value(each.encode() if isinstance(each, str) else each, what) for each in contents]
    return known.Index("aviary", build(KEY, os.urandom(16), SOURCE, values), KEY)


def spans(found: known.Index, text: bytes) -> list[bytes]:
    return [text[match.start : match.end] for match in found.find(text)]


# --- places -----------------------------------------------------------------------------------------------------------


def test_a_value_is_found_at_every_offset_glued_to_anything():
    secret = invented(20).encode()
    found = index(secret.decode())
    for before in range(70):
        text = b"x" * before + secret + b"y" * (before % 5)
        (match,) = found.find(text)
        assert (match.start, match.end, match.secret) == (before, before + len(secret), secret)
        assert (match.rule, match.level, match.reason) == ("known-value", CERTAIN, OWNER)


@pytest.mark.parametrize("filler", [b"z", b"word ", b"line\n"], ids=["one long word", "words", "lines"])
@pytest.mark.parametrize("boundary", [1 << 14, 1 << 18], ids=["slice", "block"])
@pytest.mark.parametrize("secret", [invented(33), f"{invented(5)} {invented(6)} {invented(5)}"], ids=["word", "words"])
def test_a_value_across_the_boundary_of_what_is_looked_at_together_is_found(secret: str, boundary: int, filler: bytes):
    found = index(secret)
    rest = filler * ((boundary + 200) // len(filler))
    for at in range(boundary - len(secret) - 8, boundary + 9):
        text = rest[:at] + secret.encode() + rest[at:]
        assert spans(found, text) == [secret.encode()], at - boundary


def test_every_occurrence_is_told_in_the_order_of_the_text():
    one, other = invented(16), invented(24)
    text = f"{one} {other}{one}\n{one}".encode()
    assert spans(index(one, other), text) == [each.encode() for each in (one, other, one, one)]


def test_a_value_is_found_again_in_the_next_text():
    secret = invented(20)
    found = index(secret)
    for _ in range(3):
        assert spans(found, f"a = {secret}".encode()) == [secret.encode()]


def test_words_that_were_met_in_another_order_do_not_hide_a_pass_phrase():
    words = [invented(6, string.ascii_lowercase) for _ in range(5)]
    phrase, shuffled = " ".join(words), " ".join(reversed(words))
    found = index(phrase)
    assert found.find(shuffled.encode()) == []
    assert spans(found, f"({phrase})".encode()) == [phrase.encode()]


def test_a_word_that_is_met_in_many_texts_is_hashed_once(monkeypatch: pytest.MonkeyPatch):
    found = index(invented(20))
    hashed: list[int] = []
    monkeypatch.setattr(known, "hashed", lambda _, text: hashed.append(len(text)) or bytearray(4))
    for _ in range(3):
        found.find(b"nothing-secret is-written-here")
    assert len(hashed) == 1


@pytest.mark.parametrize(
    "pieces",
    [(7, 7), (7, 1, 7), (2, 2, 2, 2), (3, 5), (5, 4, 6, 7, 4), (1, 1, 1, 1, 1, 1), (12, 3), (3, 12), (7, 30, 2)],
    ids=str,
)
@pytest.mark.parametrize("space", [" ", "\t", "\n", "  ", "\r\n"], ids=repr)
def test_a_value_of_several_words_is_found_however_short_they_are(pieces: tuple[int, ...], space: str):
    secret = space.join(invented(length, SIGNS) for length in pieces)
    found = index(secret)
    for around in ("{}", "x{}y", "'{}' ", "\n{}\n", " {} "):
        (span,) = spans(found, around.replace("{}", secret).encode())
        assert secret.encode() in span, around  # a quote at its end, in quotes, is SQL's doubled quote, too
        assert len(span) <= len(secret.encode()) + 2, around


def test_every_value_has_an_anchor_within_it():
    for length in (*range(8, 40), 70, 500):
        needle = invented(length, SIGNS + "   ").strip().ljust(8, "!").encode()
        window, offset = anchor(needle) or (b"", -1)
        assert len(window) == 8
        assert needle[offset:].startswith(window.rstrip(b"\n"))


# --- encodings --------------------------------------------------------------------------------------------------------

ALPHABETS = {
    "letters and digits": LETTERS,
    "letters and signs": SIGNS,
    "base64": f"{LETTERS}+/=",
    "hex": string.hexdigits[:16],
    "words": f"{string.ascii_lowercase} ",
    "beyond ASCII": f"{LETTERS}éèüžß漢字😀&<'\"",
}


def written(value: str) -> Iterator[tuple[str, bytes]]:
    """The value as other programs write it: by the standard library, not by our own code."""
    content = value.encode()
    yield "", content
    for safe in ("", "/", "~", "~!*'()"):
        yield "URL-encoded", urllib.parse.quote(value, safe=safe).encode()
    yield "URL-encoded", urllib.parse.quote_plus(value).encode()
    yield "JSON", json.dumps(value).encode()
    yield "JSON", json.dumps(value, ensure_ascii=False).encode()
    yield "JSON", json.dumps(value).replace("/", "\\/").encode()
    yield "JSON", json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode()
    yield "HTML", html.escape(value).encode()
    yield "HTML", html.escape(value, quote=False).encode()
    yield "HTML", html.escape(value, quote=False).encode("ascii", "xmlcharrefreplace")
    yield "hex", content.hex().encode()
    yield "hex", content.hex().upper().encode()
    yield "quoted", shlex.quote(value).encode()
    yield "quoted", value.replace("'", "''").encode()
    for before in range(4):
        whole = CHANCE.randbytes(before) + content + CHANCE.randbytes(before % 3)
        yield "base64", base64.b64encode(whole)
        yield "base64", base64.urlsafe_b64encode(whole).rstrip(b"=")


@pytest.mark.parametrize("alphabet", ALPHABETS.values(), ids=ALPHABETS)
def test_every_planted_form_of_a_thousand_values_is_found(alphabet: str):
    secrets = [invented(CHANCE.choice((8, 9, 10, 11, 16, 20, 33, 64)), alphabet).strip() for _ in range(170)]
    secrets = [secret for secret in secrets if len(secret.encode()) >= 8]
    values = [Value(secret.encode(), f"number {number}") for number, secret in enumerate(secrets)]
    found = known.Index("aviary", build(KEY, bytes(16), SOURCE, values), KEY)
    for number, secret in enumerate(secrets):
        for form, content in written(secret):
            text = (
                b"a long line " * CHANCE.randrange(9)
                + b"x" * CHANCE.randrange(9)
                + content
                + CHANCE.choice((b"", b"z", b"\n"))
            )
            names = {match.reason.partition(", ")[0] for match in found.find(text)}
            assert names == {f"number {number}"}, form


def test_a_find_says_in_which_encoding():
    secret = f"{invented(14)}/+{invented(8)}"
    found = index(secret)
    said = {
        secret.encode(): OWNER,
        urllib.parse.quote(secret, safe="").encode(): f"{OWNER}, as URL-encoded",
        secret.encode().hex().encode(): f"{OWNER}, as hex",
        base64.b64encode(secret.encode()): f"{OWNER}, as base64",
    }
    for text, reason in said.items():
        assert [match.reason for match in found.find(text)] == [reason]


def test_groups_of_letters_are_found_when_they_are_pasted_as_one_word():
    groups = " ".join(invented(4, string.ascii_lowercase) for _ in range(4))
    (match,) = index(groups).find(f"smtp_password={groups.replace(' ', '')}".encode())
    assert match.reason == f"{OWNER}, as one word"


@settings(max_examples=60, deadline=None)
@given(
    secret=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=8, max_size=60),
    before=st.binary(max_size=40),
    after=st.binary(max_size=40),
)
@example(secret="a a a a a a", before=b"", after=b"")
@example(secret="\x0b\x0c1234567890", before=b"", after=b"")
def test_any_value_is_found_within_any_bytes_and_told_by_none(secret: str, before: bytes, after: bytes):
    content = secret.encode().strip()
    if len(content) < 8:
        return
    found = index(content)
    matches = found.find(before + content + after)
    assert any(match.start <= len(before) and match.end >= len(before) + len(content) for match in matches)
    assert all(secret not in f"{match!r}{match.reason}{found!r}" for match in matches)


def test_binary_values_are_found_raw_and_in_hex_and_base64():
    secret = CHANCE.randbytes(64)
    found = index(secret)
    for text in (secret, secret.hex().encode(), base64.b64encode(secret)):
        assert len(found.find(b"\0\1" + text + b"\xff")) == 1


@pytest.mark.parametrize("alphabet", [LETTERS, SIGNS, ALPHABETS["base64"]], ids=["letters", "signs", "base64"])
def test_the_anchors_of_all_forms_tell_of_the_same_eight_bytes_only(alphabet: str):
    """Whoever has index and key can find out what an anchor is made from: more forms must not tell more."""
    for length in (8, 9, 13, 32, 200):
        core = CHANCE.randrange(length - 7)
        value = invented(length, alphabet)
        same = value[core : core + 8]
        other = (
            "".join(CHANCE.sample(value[:core], core))
            + same
            + "".join(CHANCE.sample(value[core + 8 :], length - core - 8))
        )
        one, two = (
            {(form.name, anchor(form.needle, form.at)) for form in forms(each.encode(), core) if form.needle}
            for each in (value, other)
        )
        assert {(name, found[0]) for name, found in one if found} == {(name, found[0]) for name, found in two if found}


# --- lines of one value -----------------------------------------------------------------------------------------------


def of_lines(count: int) -> tuple[known.Index, list[bytes]]:
    lines = [invented(70).encode() for _ in range(count)]
    values = [Value(b"\n".join(lines), OWNER), *(Value(line, OWNER, number) for number, line in enumerate(lines, 2))]
    return known.Index("aviary", build(KEY, bytes(16), SOURCE, values), KEY), lines


def test_a_whole_key_is_one_find_and_not_one_for_each_line():
    found, lines = of_lines(5)
    (match,) = found.find(b"start\n" + b"\n".join(lines) + b"\nend")
    assert match.reason == OWNER


@pytest.mark.parametrize("end", [b"\r\n", b"\n        ", b'\\n"\n  + "', b"\\r\\n"], ids=repr)
def test_a_key_with_other_line_ends_is_one_find_that_names_its_lines(end: bytes):
    found, lines = of_lines(5)
    text = b"start" + end + end.join(lines) + end
    (match,) = found.find(text)
    assert match.reason == f"lines 2 to 6 of {OWNER}"
    assert text[match.start : match.end] == end.join(lines)


def test_a_single_line_of_a_key_is_found():
    found, lines = of_lines(5)
    (match,) = found.find(b"--" + lines[2])
    assert match.reason == f"line 4 of {OWNER}"


# --- no false alarm ---------------------------------------------------------------------------------------------------


def test_ordinary_source_holds_no_known_value():
    found = index(*(invented(CHANCE.choice((12, 16, 20, 32, 40))) for _ in range(600)))
    assert found.needles > 3000
    folder = Path(os.__file__).parent
    texts = [path.read_bytes() for path in sorted(folder.glob("*.py"))]
    assert sum(map(len, texts)) > 4_000_000
    assert [match.reason for text in texts for match in found.find(text)] == []


def test_what_is_nearly_a_value_is_none():
    secret = invented(24)
    found = index(secret)
    for at in range(len(secret)):
        other = "!" if secret[at] != "!" else "?"
        assert found.find(f"{secret[:at]}{other}{secret[at + 1 :]}".encode()) == []
    assert found.find(secret[:-1].encode()) == []
    assert found.find(secret.swapcase().encode()) == []


def test_an_index_without_values_finds_nothing():
    found = index()
    assert (found.values, found.needles) == (0, 0)
    assert found.find(b"whatever stands here\n" * 10) == []
    assert index(invented(20)).find(b"") == []


def test_what_is_shorter_than_eight_bytes_is_not_looked_for():
    for short in (invented(7), f"{invented(3)} {invented(3)}"):
        assert index(short).find(f"x {short} y".encode()) == []


def test_the_first_owner_of_a_value_is_named():
    secret = invented(20).encode()
    values = [Value(secret, "the first"), Value(secret, "the second")]
    (match,) = known.Index("aviary", build(KEY, bytes(16), SOURCE, values), KEY).find(secret)
    assert match.reason == "the first"


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_file_holds_no_value_no_title_no_path_and_no_hash_that_needs_no_key():
    secret = invented(24)
    content = build(
        KEY, os.urandom(16), SOURCE, [Value(secret.encode(), OWNER)], [("the title of another", "a reason")]
    )
    for told in (secret, "Database/DB", "(db)", "vault.kdbx", "title of another", "a reason"):
        assert told.encode() not in content
    for name in ("md5", "sha1", "sha256", "sha512", "blake2b", "blake2s", "sha3_256"):
        for form in (secret, secret.encode().hex(), base64.b64encode(secret.encode()).decode()):
            digest = hashlib.new(name, form.encode()).digest()
            assert digest[:8] not in content
            assert digest.hex()[:16].encode() not in content
    assert hashlib.blake2b(secret.encode(), digest_size=16).digest()[:8] not in content
    assert KEY[:8] not in content


def test_two_files_of_the_same_values_have_nothing_in_common():
    values = [Value(invented(24).encode(), OWNER) for _ in range(50)]
    one, other = (build(KEY, nonce, SOURCE, values)[sealed.HEAD_SIZE :] for nonce in (b"1" * 16, b"2" * 16))
    alike = sum(left == right for left, right in zip(one, other, strict=True))
    assert alike < len(one) / 100


def test_what_an_index_knows_of_itself_survives_the_file():
    left = [("the value of “Böse\n” (a)", "could be guessed"), ("\udcff", "x" * 500)]
    content = build(KEY, bytes(16), SOURCE._replace(vault="/ö/\udcff"), [Value(invented(20).encode(), OWNER)], left)
    found = known.Index("aviary", content, KEY)
    assert (found.made, found.values, found.vault) == (1_700_000_000, 1, "/ö/\udcff")
    assert found.left_out() == left


def test_an_index_is_current_for_its_own_state_and_key_only(tmp_path: Path):
    path, key = tmp_path / "known.idx", tmp_path / "known.key"
    path.write_bytes(build(KEY, bytes(16), SOURCE, [Value(invented(20).encode(), OWNER)]))
    key.write_bytes(KEY)
    assert sealed.is_current(str(path), str(key), b"state")
    assert not sealed.is_current(str(path), str(key), b"another state")
    for broken in (path.read_bytes()[:-1], path.read_bytes() + b"x", path.read_bytes()[:50], b""):
        (tmp_path / "broken").write_bytes(broken)
        assert not sealed.is_current(str(tmp_path / "broken"), str(key), b"state")
    content = path.read_bytes()
    for at in range(0, 72, 4):
        (tmp_path / "broken").write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert not sealed.is_current(str(tmp_path / "broken"), str(key), b"state")
    key.write_bytes(KEY[::-1])
    assert not sealed.is_current(str(path), str(key), b"state")
    assert not sealed.is_current(str(path), str(tmp_path / "absent"), b"state")
    assert not sealed.is_current(str(tmp_path), str(key), b"state")


def test_any_damage_to_the_file_is_noticed():
    content = build(KEY, bytes(16), SOURCE, [Value(invented(20).encode(), OWNER) for _ in range(3)])
    for at in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[at] ^= 1
        with pytest.raises(Trouble):
            known.Index("aviary", bytes(damaged), KEY)
    for end in range(0, len(content), 31):
        with pytest.raises(Trouble):
            known.Index("aviary", content[:end], KEY)


# --- the indexes of this machine --------------------------------------------------------------------------------------


def store(project: str, secret: str, *, key: bytes = KEY) -> tuple[Path, Path]:
    """An index of one value where the hook looks for it."""
    state, data = (Path(folder) / project for folder in known.folders() or ())
    for folder in (state, data):
        folder.mkdir(parents=True, exist_ok=True)
    (state / "known.idx").write_bytes(build(KEY, bytes(16), SOURCE, [Value(secret.encode(), OWNER)]))
    (data / "known.key").write_bytes(key)
    return state / "known.idx", data / "known.key"


def test_the_index_of_every_project_is_read():
    one, other = invented(20), invented(20)
    store("aviary", one)
    store("zoo", other)
    (Path((known.folders() or ("",))[0]) / "machine-id").write_text("no project")
    loaded = known.load()
    assert [each.project for each in loaded] == ["aviary", "zoo"]
    assert [spans(each, f"{one} {other}".encode()) for each in loaded] == [[one.encode()], [other.encode()]]


def test_where_no_vault_was_opened_there_is_no_index():
    assert known.load() == []
    store("aviary", invented(20))[0].unlink()
    assert known.load() == []


@pytest.mark.parametrize(
    ("damage", "why", "hint"),
    [
        (lambda _, key: key.write_bytes(bytes(32)), "its key is another one's", "chronos-secrets check    #"),
        (lambda _, key: key.write_bytes(b"short"), "its key is cut short or damaged", "chronos-secrets check    #"),
        (lambda _, key: key.unlink(), "its key cannot be read: no such file", "chronos-secrets check    #"),
        (lambda path, _: path.write_bytes(path.read_bytes()[:-3]), "it is damaged", "rm /"),
        (lambda path, _: path.write_bytes(b""), "it is cut short", "rm /"),
        (lambda path, _: (path.unlink(), os.mkfifo(path)), "it is no file of ours", "rm /"),
        (lambda path, _: (path.unlink(), path.mkdir()), "", "chronos-secrets check"),
        (lambda path, _: (path.unlink(), path.symlink_to(path)), "it cannot be read", "chronos-secrets check"),
    ],
    ids=["other key", "short key", "no key", "cut", "empty", "pipe", "folder", "loop"],
)  # fmt: skip
def test_an_index_that_cannot_be_used_stops_the_scan_with_a_sentence(damage, why: str, hint: str):
    damage(*store("aviary", invented(20)))
    store("zoo", invented(20))
    with pytest.raises(Trouble) as stopped:
        known.load()
    assert stopped.value.message.startswith(f"the index of the known values of aviary cannot be used: {why}")
    assert hint in stopped.value.hint
    assert [type(each).__name__ for _, each in known.projects()] == ["Trouble", "Index"]


def test_a_state_folder_that_cannot_be_read_stops_the_scan(monkeypatch: pytest.MonkeyPatch):
    store("aviary", invented(20))

    def refuse(path: str) -> Iterator[os.DirEntry[str]]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(Trouble, match="cannot be read: permission denied"):
        known.load()


def test_an_index_that_may_not_even_be_looked_at_does_not_pass_for_absent(monkeypatch: pytest.MonkeyPatch):
    path, _ = store("aviary", invented(20))

    def refuse(looked_at: str) -> os.stat_result:
        raise PermissionError(13, "Permission denied", looked_at)

    monkeypatch.setattr(os, "lstat", refuse)
    path.unlink()
    with pytest.raises(Trouble, match="it cannot be read"):
        known.load()


def test_relative_folders_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    home = os.environ["HOME"]
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, "relative")
    assert known.folders() == (f"{home}/.local/state/chronos-secrets", f"{home}/.local/share/chronos-secrets")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert known.folders() == (f"{tmp_path}/chronos-secrets", f"{home}/.local/share/chronos-secrets")


def test_without_home_the_users_own_folder_is_looked_at(monkeypatch: pytest.MonkeyPatch):
    import pwd

    for name in ("HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name)
    home = pwd.getpwuid(os.getuid()).pw_dir
    assert known.folders() == (f"{home}/.local/state/chronos-secrets", f"{home}/.local/share/chronos-secrets")

    def unknown(user: int) -> None:
        raise KeyError(user)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert known.folders() is None
    assert known.projects() == []


def test_a_vault_that_was_saved_since_is_told(tmp_path: Path):
    vault = tmp_path / "vault.kdbx"
    vault.write_bytes(b"first")
    source = SOURCE._replace(vault=str(vault), stamp=sealed.stamp_of(str(vault)))
    found = known.Index("aviary", build(KEY, bytes(16), source, []), KEY)
    assert found.vault_changed() is False
    vault.write_bytes(b"second")
    assert found.vault_changed() is True
    vault.unlink()
    assert found.vault_changed() is None


def test_the_hook_imports_nothing_slow_for_known_values():
    slow = [
        "re",
        "json",
        "typing",
        "dataclasses",
        "hashlib",
        "enum",
        "pathlib",
        "subprocess",
        "logging",
        "base64",
        "struct",
    ]
    program = (
        "import sys; sys.path.append(sys.argv[1]); before = set(sys.modules); from chronos_secrets.scan import known; "
        f"known.load(); sys.exit(' '.join(set({slow}) & (set(sys.modules) - before)) or 0)"
    )
    sources = str(Path(known.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, sources], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


# --- required or optional ---------------------------------------------------------------------------------------------

ASKING = (
    "scan: {known: required}",
    "version: 1\nscan:\n  known: required\nowner: x\n",
    "scan:\n  known: 'required'   # a comment\n",
    'scan: {"known": "required"}',
    '"scan": {known: required}',
    "scan :\n  known : required",
    "scan:\n  known:\n    required\n",
    "scan:\n  ? known\n  : required\n",
    "{scan: {known: required}}",
    'scan:\n  allow: {a: "see #4, known: optional"}\n  known: required\n',
    "scan: {allow: {a: 'it''s', b: \"q\\\"x\"}, known: required}",
    "scan: {allow: {a: don't, b: won't}, known: required}",
    'scan: {allow: {a: "never closed}, known: optional}',
    'scan:\n  allow:\n    a: |\n      "x\n  known: optional\n',
    'scan:\n  allow:\n    a: |\n      "x\n  known: required\n  secret: ["a.b"]\n',
    "scan: {known: requird}",
)
NOT_ASKING = (
    "",
    "version: 1\n",
    "{version: 1}",
    "scan: {known: optional}              # optional | required: what the hook does",
    "scan:\n  # known: required\n  known: optional # or required\n",
    "scan:\n  secret: [a.b, 'attr:known']\n",
    "scan:\n  allow: {a: a well known one}\n",
    "scan: {allow: {a: 'it''s, known: required'}, known: optional}",
    "other: {known: required}\nscan: {}\n",
)


@pytest.mark.parametrize("text", ASKING)
def test_an_inventory_that_may_ask_for_the_index_is_understood_so(text: str):
    assert required.required_by(text.encode())


@pytest.mark.parametrize("text", NOT_ASKING)
def test_an_inventory_that_does_not_ask_for_the_index_is_understood_so(text: str):
    assert not required.required_by(text.encode())


def test_text_that_is_none_counts_as_asking():
    assert required.required_by("scan: {known: optional}".encode("utf-16"))


def test_the_inventory_is_looked_for_up_to_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    inner = tmp_path / "repository" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "repository" / ".git").mkdir()
    (tmp_path / "inventory.yaml").write_text("scan: {known: required}")
    monkeypatch.chdir(inner)
    assert not required.is_missing_here([])
    (tmp_path / "repository" / "inventory.yaml").write_text("scan: {known: required}")
    assert required.is_missing_here([])
    monkeypatch.setenv("CHRONOS_SECRETS_INVENTORY", str(tmp_path / "absent.yaml"))
    assert required.is_missing_here([])
    (tmp_path / "absent.yaml").write_text("scan: {known: optional}")
    assert not required.is_missing_here([])


def test_our_own_reading_agrees_with_the_inventorys():
    from chronos_secrets.inventory import load
    from tests.support.chronos import INVENTORY

    assert required.required_by(INVENTORY.read_bytes()) == (load.read(INVENTORY).scan.known == "required")


# --- strength ---------------------------------------------------------------------------------------------------------

TYPED = [
    *"""
    qwertyuiop 1q2w3e4r5t6y aaaaaaaaaaaaaaaaaaaa abcabcabcabcabc zxcvbnm,./asdf 0123456789012345678901234 20251127
    Summer2024! Tr0ub4dor&3 MyDogRex2019! postgres_prod_2025 Winter-2025-Backup! iloveyou2 correct-horse-battery-staple
    ca-central-1 admin@example.org https://example.atlassian.net
    """.split(),  # noqa: SIM905
    "pass" + "word",
    "P@ss" + "w0rd123!",
    "letmein letmein letmein",
]


@pytest.mark.parametrize("word", TYPED)
def test_what_people_type_is_weak(word: str):
    assert strength.bits(word) < 60


@pytest.mark.parametrize(
    ("alphabet", "length"),
    [(LETTERS, 16), (SIGNS, 14), (string.ascii_lowercase, 20), ("0123456789abcdef", 20), (string.digits, 24)],
    ids=["letters and digits", "signs", "small letters", "hex", "digits"],
)
def test_what_was_generated_is_strong(alphabet: str, length: int):
    weak = sum(strength.bits(invented(length, alphabet)) < 60 for _ in range(400))
    assert weak <= 2


def test_six_words_from_a_list_are_strong_and_three_are_not():
    words = [
        "garden",
        "window",
        "letter",
        "market",
        "planet",
        "button",
        "rocket",
        "candle",
        "forest",
        "bridge",
        "copper",
    ]
    for _ in range(100):
        assert strength.bits(" ".join(CHANCE.sample(words, 6))) >= 60
        assert strength.bits("-".join(CHANCE.sample(words, 3))) < 60


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_any_text_has_a_strength_that_its_length_allows(text: str):
    assert 0 <= strength.bits(text) <= 21 * max(1, len(text))
