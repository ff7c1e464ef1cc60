"""Allowances: which findings they let pass, which never, and what they say about themselves."""

import hashlib
import random
import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_secrets.scan import allow
from chronos_secrets.scan.found import CERTAIN, Finding, Match, Piece, Trouble, Unread

TODAY = "2026-03-01"
PATH = b"config/settings.py"


def invented(seed=0, length=24):
    """A value that looks generated; none is stored in the repository."""
    return "".join(random.Random(seed).choices(string.ascii_letters + string.digits, k=length)).encode()


def text_with(secret, *, before=b"", after=b""):
    return b"first line\n" + before + b'token = "' + secret + b'"' + after + b"\nlast line\n"


def found(text, secret, *, rule="api-token", path=PATH, via=""):
    """A piece and the one finding in it."""
    piece = Piece(path, text, via=via)
    start = text.index(secret)
    return piece, Finding(piece, Match(rule, CERTAIN, start, start + len(secret), secret, "a token"))


def file_for(secret, *, rule="api-token", path=PATH, until="-", reason="a token of the test server", content=b""):
    return allow.added(content, rule=rule, path=path, secret=secret, until=until, reason=reason)


def stands(piece, finding, content=b"", *, path=None, today=TODAY):
    """Whether the finding stands against what a file allows."""
    standing, allowed = allow.read(content, today=today).split(piece, [finding], path)
    assert len(standing) + len(allowed) == 1
    return bool(standing)


def test_without_a_file_and_comments_every_finding_stands():
    piece, finding = found(text_with(invented()), invented())
    assert stands(piece, finding)


def test_a_line_of_the_file_allows_that_value_in_that_file_wherever_it_moved_to():
    secret = invented()
    content = file_for(secret)
    assert not stands(*found(text_with(secret), secret), content)
    assert not stands(*found(b"\n" * 500 + text_with(secret), secret), content)


@pytest.mark.parametrize("other", ["value", "path", "rule"])
def test_a_line_of_the_file_allows_nothing_else(other):
    secret = invented(1) if other == "value" else invented()
    path = b"config/other.py" if other == "path" else PATH
    rule = "other-token" if other == "rule" else "api-token"
    assert stands(*found(text_with(secret), secret, path=path, rule=rule), file_for(invented()))


def test_the_path_in_the_file_counts_from_the_top_of_the_repository():
    secret = invented()
    piece, finding = found(text_with(secret), secret, path=b"../config/settings.py")
    assert stands(piece, finding, file_for(secret))
    assert not stands(piece, finding, file_for(secret), path=PATH)


def test_scrypt_is_asked_only_where_rule_and_path_fit_and_once_for_a_value(monkeypatch):
    asked = []
    real = hashlib.scrypt
    monkeypatch.setattr(hashlib, "scrypt", lambda *args, **more: asked.append(1) or real(*args, **more))
    secret = invented()
    content = file_for(secret)
    allowances = allow.read(content, today=TODAY)
    asked.clear()
    for path, rule in ((b"other.py", "api-token"), (PATH, "other-token")):
        allowances.split(*_listed(found(text_with(secret), secret, path=path, rule=rule)))
    assert asked == []
    for _ in range(3):
        allowances.split(*_listed(found(text_with(secret), secret)))
    assert asked == [1]


def _listed(pair):
    return pair[0], [pair[1]]


def test_the_fingerprint_is_slow_salted_and_shows_nothing_of_the_value():
    secret = invented()
    one, two = file_for(secret), file_for(secret)
    assert one.split()[5] != two.split()[5]  # another file, another salt
    salt = bytes.fromhex(one.split()[2].decode())
    made = hashlib.scrypt(secret, salt=salt, n=2**14, r=8, p=1, dklen=16, maxmem=2**26).hex()
    assert one.split()[5].decode() == made
    assert secret not in one


def test_a_file_is_one_line_of_salt_and_one_line_for_each_allowance():
    content = file_for(invented(1), content=file_for(invented(), until="2026-12-31"), path=b'a "b" c.py')
    head, first, second = content.decode().splitlines()
    assert head.startswith("chronos-allow 1 ")
    rule, path, _, until, reason = first.split(" ", 4)
    assert (rule, path, until, reason) == (
        "api-token",
        "config/settings.py",
        "2026-12-31",
        "a token of the test server",
    )
    assert second.startswith(r'api-token "a \"b\" c.py" ')


def test_comments_empty_lines_a_mark_of_utf_8_and_crlf_do_no_harm():
    secret = invented()
    head, line = file_for(secret).split(b"\n")[:2]
    content = b"\xef\xbb\xbf" + b"\r\n".join((head, b"", b"# why not", b"  " + line + b"  ", b""))
    assert not stands(*found(text_with(secret), secret), content)


def test_an_allowance_holds_to_the_end_of_its_last_day_and_then_says_so():
    secret = invented()
    content = file_for(secret, until=TODAY)
    assert not stands(*found(text_with(secret), secret), content)
    after = allow.read(content, today="2026-03-02")
    assert after.split(*_listed(found(text_with(secret), secret)))[0]
    assert list(after.notes) == [f"line 2 of .chronos-allow: the allowance ended on {TODAY}"]
    assert [each.line for each in after.expired()] == [2]
    assert allow.read(content, today=TODAY).expired() == []


def test_what_fits_nothing_is_known_as_unused():
    secret = invented()
    content = file_for(invented(1), content=file_for(secret))
    allowances = allow.read(content, today=TODAY)
    allowances.split(*_listed(found(text_with(secret), secret)))
    assert [each.line for each in allowances.unused()] == [3]


def test_a_known_value_is_allowed_neither_by_the_file_nor_by_a_comment_and_trying_is_told():
    secret = invented()
    content = file_for(secret, rule="known-value")
    allowances = allow.read(content, today=TODAY)
    text = text_with(secret, after=b"  # chronos: allow known-value it is only a test")
    assert allowances.split(*_listed(found(text, secret, rule="known-value")))[0]
    told = "\n".join(allowances.notes)
    assert f"line 2 of .chronos-allow: {allow.ONLY_INVENTORY}" in told
    assert f"line 2 of config/settings.py: {allow.ONLY_INVENTORY}" in told


def test_what_cannot_be_read_is_allowed_by_its_path():
    content = file_for(b"", rule="unreadable", path=b"blob.zip", reason="an encrypted fixture")
    allowances = allow.read(content, today=TODAY)
    assert allowances.covers(Unread(b"blob.zip", "encrypted"))
    assert allowances.covers(Unread(b"../blob.zip", "encrypted"), b"blob.zip")
    assert allowances.covers(Unread(b"other.zip", "encrypted")) is None


# Comments.


@pytest.mark.parametrize(
    "comment",
    [
        "# {}", "// {}", "/* {} */", "-- {}", "; {}", "<!-- {} -->", "% {}", "{{# {} #}}", "(* {} *)", " * {}", "REM {}",
    ],
)  # fmt: skip
def test_a_comment_allows_the_finding_on_its_line_and_the_one_below_if_it_stands_alone(comment):
    secret = invented()
    words = comment.format("chronos: allow api-token the documentation's example").encode()
    here = found(text_with(secret, after=b"  " + words), secret)
    above = found(text_with(secret, before=b"    " + words + b"\n    "), secret)
    for piece, finding in (here, above):
        allowances = allow.read(b"", today=TODAY)
        [(_, by)] = allowances.split(piece, [finding])[1]
        assert by.reason == "the documentation's example"
        assert not allowances.notes


def test_a_comment_beside_something_else_allows_nothing_below_it():
    secret = invented()
    text = text_with(secret, before=b"x = 1  # chronos: allow api-token because\n")
    assert stands(*found(text, secret))


def test_a_comment_two_lines_above_allows_nothing():
    secret = invented()
    assert stands(*found(text_with(secret, before=b"# chronos: allow api-token because\n\n"), secret))


def test_the_words_outside_a_comment_allow_nothing():
    secret = invented()
    assert stands(*found(text_with(secret, after=b' + "chronos: allow api-token because"'), secret))


def test_a_comment_for_another_rule_allows_nothing_and_says_which_one_was_found():
    secret = invented()
    allowances = allow.read(b"", today=TODAY)
    text = text_with(secret, after=b"  # chronos: allow jwt an example")
    assert allowances.split(*_listed(found(text, secret)))[0]
    assert list(allowances.notes) == [
        "line 2 of config/settings.py: the comment does not allow api-token, which was found"
    ]


@pytest.mark.parametrize("end", [b"", b" ", b" */", b" -->"])
def test_a_comment_without_a_reason_allows_nothing_and_asks_for_one(end):
    secret = invented()
    allowances = allow.read(b"", today=TODAY)
    text = text_with(secret, after=b"  /* chronos: allow api-token" + end)
    assert allowances.split(*_listed(found(text, secret)))[0]
    assert "write a reason after the rule" in "".join(allowances.notes)


def test_a_comment_in_a_commit_counts_by_the_numbers_of_its_lines():
    """Added lines that were far apart stand next to each other in a piece, which must not bring them together."""
    secret = invented()
    text = b"# chronos: allow api-token because\n\ntoken = " + secret
    for numbers, standing in (([4, 0, 90], True), ([4, 0, 5], False)):
        piece = Piece(PATH, text, numbers=numbers)
        start = text.index(secret)
        finding = Finding(piece, Match("api-token", CERTAIN, start, len(text), secret, "a token"))
        assert stands(piece, finding) is standing


def test_a_comment_on_a_line_of_ten_megabytes_is_found_at_once():
    secret = invented()
    text = b"x" * 10_000_000 + b" " + secret + b" # chronos: allow api-token minified " + b"y" * 1_000_000
    assert not stands(*found(text, secret))


# Files that are wrong.

_SALT = "0" * 32
_HEAD = f"chronos-allow 1 {_SALT}\n"


@pytest.mark.parametrize(
    ("content", "line", "right"),
    [
        ("api-token a.py 00 - x\n", 1, "first line must be"),
        ("<<<<<<< HEAD\n" + _HEAD, 1, "first line must be"),
        (f"chronos-allow 2 {_SALT}\n", 1, "another version"),
        ("chronos-allow 1 abc\n", 1, "32 hexadecimal digits"),
        (_HEAD + "=======\n", 2, "begin with a rule"),
        (_HEAD + "api-token\n", 2, "a path is missing"),
        (_HEAD + f'api-token "a.py {_SALT} - why\n', 2, "quotes around the path"),
        (_HEAD + f'api-token "" {_SALT} - why\n', 2, "quotes around the path"),
        (_HEAD + f'api-token "a\\q" {_SALT} - why\n', 2, "a backslash stands before"),
        (_HEAD + f'api-token "a\\777" {_SALT} - why\n', 2, "a backslash stands before"),
        (_HEAD + "api-token a.py - - why\n", 2, "fingerprint"),
        (_HEAD + f"\n# x\napi-token a.py {_SALT} never why\n", 4, "YYYY-MM-DD or -"),
        (_HEAD + f"api-token a.py {_SALT} 2026-02-30 why\n", 2, "YYYY-MM-DD or -"),
        (_HEAD + f"api-token a.py {_SALT} 20260228 why\n", 2, "YYYY-MM-DD or -"),
        (_HEAD + f"api-token a.py {_SALT} -\n", 2, "a reason is missing"),
        (_HEAD + f"unreadable a.zip {_SALT} - why\n", 2, "has no fingerprint"),
    ],
)
def test_a_wrong_line_is_named_with_what_would_be_right(content, line, right):
    with pytest.raises(Trouble) as caught:
        allow.read(content.encode(), today=TODAY)
    assert caught.value.message.startswith(f"line {line} of .chronos-allow: ")
    assert right in caught.value.message
    assert "chronos-secrets scan --allow" in caught.value.hint


def test_a_value_written_where_the_fingerprint_belongs_is_refused_without_repeating_it():
    secret = invented()
    with pytest.raises(Trouble) as caught:
        allow.read(_HEAD.encode() + b"api-token a.py " + secret + b" - why\n", today=TODAY)
    assert secret.decode() not in caught.value.message + caught.value.hint


def test_a_line_is_not_added_to_a_file_that_is_wrong():
    with pytest.raises(Trouble):
        file_for(invented(), content=_HEAD.encode() + b"nonsense\n")


def test_a_line_is_added_below_one_without_a_line_end():
    content = file_for(invented(1), content=file_for(invented()).rstrip(b"\n"))
    assert [each.line for each in allow.read(content, today=TODAY).given] == [2, 3]


def objection(content):
    """What is wrong with a file, or nothing."""
    try:
        allow.read(content, today=TODAY)
    except Trouble as trouble:
        return trouble.message
    return ""


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_or_refused_with_a_sentence(content, headed):
    content = _HEAD.encode() + content if headed else content
    assert re.match(r"line \d+ of .chronos-allow: |$", objection(content))


_FIELDS = st.lists(st.sampled_from(["api-token", "a.py", '"a b"', '"\\', _SALT, "-", "2026-01-01", "why", "\t", "#"]))


@settings(max_examples=300, deadline=None)
@given(_FIELDS)
def test_any_order_of_fields_is_read_or_refused_with_a_sentence(fields):
    assert re.match(r"line 2 of .chronos-allow: |$", objection(f"{_HEAD}{' '.join(fields)}\n".encode()))


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=40).filter(lambda path: b"\0" not in path))
def test_any_path_reads_back_as_it_was(path):
    line = b"unreadable " + allow.quoted(path) + b" - - why\n"
    [each] = allow.read(_HEAD.encode() + line, today=TODAY).given
    assert each.path == path
    assert line.count(b"\n") == 1


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_any_reason_stays_on_its_line(reason):
    try:
        content = file_for(b"", rule="unreadable", reason=reason)
    except Trouble:
        assert not reason.split()
        return
    assert len(allow.read(content, today=TODAY).given) == 1


def test_the_standard_library_alone_reads_allowances_and_quickly():
    import subprocess
    import sys

    program = (
        "import sys; from chronos_secrets.scan import allow, report\n"
        "heavy = {'re', 'dataclasses', 'typing', 'enum', 'json', 'hashlib', 'datetime', 'subprocess'} & set(sys.modules)\n"
        "ours = [name for name in sys.modules if name.startswith('chronos_secrets.') and '.scan' not in name]\n"
        "sys.exit(' '.join(sorted(heavy) + ours) or 0)"
    )
    path = allow.__file__.partition("chronos_secrets/scan")[0]
    given_path = f"import sys; sys.path.append({path!r})\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", given_path + program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
