"""What a scan found, as JSON rows, SARIF 2.1.0 and GitHub annotations. Never a value, nor a hash of one.

From rows alone (`chronos_secrets.scan.survey`); the only imports are how the scanner itself makes text safe.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

from chronos_secrets.scan.report import when, why, without, words

if TYPE_CHECKING:
    from chronos_secrets.scan.allow import Allowance
    from chronos_secrets.scan.found import Finding, Unread
    from chronos_secrets.scan.survey import Row, Survey

JsonRow = dict[str, object]
_PROJECT = "https://github.com/project-chronos/chronos-secrets"
_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_SARIF_LEVELS = {"certain": "error", "likely": "error", "possible": "warning"}
# What GitHub sorts alerts by: a number from 0 to 10 in `security-severity` of a rule.
_SEVERITIES = {"certain": "9.0", "likely": "7.0", "possible": "4.0"}
_UNREADABLE = "unreadable"


def json_document(survey: "Survey", *, commits: int | None = None, notes: Sequence[str] = ()) -> JsonRow:
    """Everything that a scan saw. `scanned.commits` is there for a history only.

    A column counts bytes, from 1. A path that is no UTF-8 has U+FFFD in `path` and its bytes in `path_base64`.
    """
    scanned: JsonRow = {"files": survey.files, "bytes": survey.bytes}
    if commits is not None:
        scanned["commits"] = commits
    allowed = [_json_row(row) for row in survey.allowed]
    allowed += [{**_json_unread(unread), "allowed": _json_allowance(by, b"")} for unread, by in survey.unread_allowed]
    return {
        "findings": [_json_row(row) for row in survey.standing],
        "unreadable": [_json_unread(unread) for unread in survey.unread],
        "allowed": allowed,
        "notes": list(notes),
        "scanned": scanned,
    }


def _json_row(row: "Row") -> JsonRow:
    finding = row.finding
    told: JsonRow = {
        "rule": finding.rule, "level": finding.level, "reason": words(finding.reason, finding.secret),
        **_json_path(finding.path, finding.secret), "line": finding.line, "last_line": finding.last,
        "column": finding.column, "via": words(finding.via, finding.secret) or None,
    }  # fmt: skip
    if finding.commit:
        told |= {"commit": finding.commit, "date": finding.date, "in_head": finding.in_head}
    return told | {"allowed": _json_allowance(row.allowance, finding.secret)} if row.allowance else told


def _json_unread(unread: "Unread") -> JsonRow:
    told = {"reason": words(unread.reason, b""), "via": words(unread.via, b"") or None}
    return {"rule": _UNREADABLE, **_json_path(unread.path, b""), **told}


def _json_allowance(allowance: "Allowance", secret: bytes) -> JsonRow:
    until = allowance.until if allowance.until != "-" else None
    return {"reason": words(allowance.reason, secret), "until": until, "line": allowance.line or None}


def _json_path(path: bytes, secret: bytes) -> JsonRow:
    path = without(path, secret)
    text = path.decode(errors="replace")
    if text.encode() == path:
        return {"path": text}
    return {"path": text, "path_base64": base64.b64encode(path).decode()}


def github(survey: "Survey") -> Iterator[str]:
    """One workflow command a finding, by which GitHub puts it beside the line."""
    for row in survey.standing:
        finding = row.finding
        place = {"file": _text(finding.path, finding.secret), "line": finding.line, "endLine": finding.last}
        yield _command(
            "warning" if finding.level == "possible" else "error", {**place, "title": finding.rule}, _message(finding)
        )
    for unread in survey.unread:
        yield _command("error", {"file": _text(unread.path, b""), "title": _UNREADABLE}, words(unread.reason, b""))


def _command(name: str, properties: Mapping[str, object], message: str) -> str:
    # https://docs.github.com/actions/reference/workflow-commands-for-github-actions; the escapes are the toolkit's
    told = ",".join(
        f"{key}={_escaped(str(value)).replace(':', '%3A').replace(',', '%2C')}" for key, value in properties.items()
    )
    return f"::{name} {told}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _text(path: bytes, secret: bytes) -> str:
    return without(path, secret).decode(errors="replace")


def _message(finding: "Finding") -> str:
    return "; ".join(filter(None, (why(finding), when(finding))))


def sarif(survey: "Survey", rules: Mapping[str, str], *, version: str) -> JsonRow:
    """A SARIF 2.1.0 log with one run. `rules` says what each rule finds.

    Allowed findings are there, suppressed. A path outside the repository is a file URI, every other is relative.
    """
    rows = [*survey.standing, *survey.allowed]
    told = list(dict.fromkeys(row.finding.rule for row in rows))
    if survey.unread or survey.unread_allowed:
        told.append(_UNREADABLE)
    index = {rule: number for number, rule in enumerate(told)}
    worst = _worst(rows)
    driver = {
        "name": "chronos-secrets",
        "version": version,
        "informationUri": _PROJECT,
        "rules": [
            _sarif_rule(rule, rules.get(rule, "secret that only its place gives away"), worst.get(rule, "likely"))
            for rule in told
        ],
    }
    results = [_sarif_result(row, index, seen) for row, seen in _numbered(rows)]
    results += [_sarif_unread(unread, None, index) for unread in survey.unread]
    results += [_sarif_unread(unread, by, index) for unread, by in survey.unread_allowed]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _worst(rows: "Iterable[Row]") -> dict[str, str]:
    """The highest level at which each rule found something."""
    order = list(_SEVERITIES)
    worst: dict[str, str] = {}
    for row in rows:
        rule, level = row.finding.rule, row.finding.level
        worst[rule] = min(worst.get(rule, level), level, key=order.index)
    return worst


def _sarif_rule(rule: str, description: str, level: str) -> JsonRow:
    return {
        "id": rule,
        "shortDescription": {"text": description},
        "helpUri": f"{_PROJECT}/blob/main/docs/reference.md",
        "defaultConfiguration": {"level": _SARIF_LEVELS[level]},
        "properties": {"tags": ["security", "external/cwe/cwe-798"], "security-severity": _SEVERITIES[level]},
    }


def _numbered(rows: "Iterable[Row]") -> "Iterator[tuple[Row, int]]":
    """Each row with how many of the same rule, path and name stood before it."""
    counts: dict[tuple[str, bytes, str], int] = {}
    for row in rows:
        key = (row.finding.rule, row.finding.path, row.name)
        counts[key] = counts.get(key, -1) + 1
        yield row, counts[key]


def _sarif_result(row: "Row", index: Mapping[str, int], seen: int) -> JsonRow:
    finding = row.finding
    region: JsonRow = {"startLine": max(finding.line, 1), "endLine": max(finding.last, finding.line, 1)}
    if row.character is not None:
        region["startColumn"] = row.character
    result: JsonRow = {
        **_sarif_head(finding.rule, index, _SARIF_LEVELS[finding.level], f"{finding.rule}: {_message(finding)}"),
        "locations": [_location(finding.path, finding.secret, region)],
        "partialFingerprints": {"rulePathName/v1": _identity(row, seen)},
        "properties": {"level": finding.level, **_commit(finding)},
    }
    return result | _suppressed(row.allowance, finding.secret)


def _sarif_unread(unread: "Unread", allowance: "Allowance | None", index: Mapping[str, int]) -> JsonRow:
    head = _sarif_head(_UNREADABLE, index, "error", f"{_UNREADABLE}: {words(unread.reason, b'')}")
    return {**head, "locations": [_location(unread.path, b"", None)], **_suppressed(allowance, b"")}


def _sarif_head(rule: str, index: Mapping[str, int], level: str, text: str) -> JsonRow:
    return {"ruleId": rule, "ruleIndex": index[rule], "level": level, "message": {"text": text}}


def _suppressed(allowance: "Allowance | None", secret: bytes) -> JsonRow:
    if allowance is None:
        return {}
    kind = "external" if allowance.line else "inSource"
    return {"suppressions": [{"kind": kind, "justification": words(allowance.reason, secret)}]}


def _commit(finding: "Finding") -> JsonRow:
    if not finding.commit:
        return {}
    return {"commit": finding.commit, "date": finding.date, "inHead": finding.in_head}


def _location(path: bytes, secret: bytes, region: JsonRow | None) -> JsonRow:
    # A relative reference may not begin with a segment that has a colon (RFC 3986, 4.2): quoting takes it away.
    uri = quote_from_bytes(without(path, secret), safe="/")
    artifact = {"uri": f"file://{uri}"} if uri.startswith("/") else {"uri": uri, "uriBaseId": "%SRCROOT%"}
    return {"physicalLocation": {"artifactLocation": artifact, **({"region": region} if region else {})}}


def _identity(row: "Row", seen: int) -> str:
    """The same while a finding moves up and down in its file. It is made of no part of the value."""
    path = without(row.finding.path, row.finding.secret)
    parts = (row.finding.rule.encode(), path, row.name.encode(), str(seen).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]
