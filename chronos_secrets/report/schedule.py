"""Timers as text and as JSON. From plans alone, which are anything with the attributes used here."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from chronos_secrets.inventory import cron

JsonRow = dict[str, object]


def plan_lines(plan: Any) -> Iterator[str]:
    """Every file of a host, each below a line that says where it goes."""
    for file in plan.files:
        owner = f", {plan.owner}" if plan.owner else ""
        yield f"==> {plan.host}: {file.path} ({file.mode:04o}{owner})"
        yield file.text
    if plan.crontab:
        yield f"==> {plan.host}: your crontab"
        yield from (*plan.crontab, "")


def plan_json(plan: Any, now: datetime) -> JsonRow:
    """One host; times are UTC."""
    files = [
        {"path": each.path, "mode": f"{each.mode:04o}", "owner": plan.owner, "text": each.text} for each in plan.files
    ]
    timers = [
        {
            "timer": each.name, "at": each.line, "timezone": each.zone, "does": each.does,
            "unit": f"{each.unit}.timer" if plan.by == "systemd" else None,
            "next": _next(each, now),
        }
        for each in plan.timers
    ]  # fmt: skip
    return {"host": plan.host, "by": plan.by, "timers": timers, "files": files, "crontab": list(plan.crontab)}


def seen_line(seen: Any) -> tuple[str, ...]:
    """One timer as it stands."""
    return seen.name, seen.host, seen.last_words, seen.next, "NO" if seen.problems else "as it should be"


def fault_lines(found: Iterable[Any]) -> Iterator[str]:
    """What is wrong with each timer, a line for each: a table would break what is to be copied."""
    for each in found:
        yield from (f"{each.name} on {each.host}: {problem}" for problem in each.problems)


def seen_json(seen: Any) -> JsonRow:
    last = seen.last
    return {
        "timer": seen.name, "host": seen.host, "good": not seen.problems, "problems": list(seen.problems),
        "last_begun": last.begun.isoformat() if last else None,
        "last_ended": last.ended.isoformat() if last and last.ended else None,
        "last_status": last.status if last and last.ended else None, "next": seen.next,
    }  # fmt: skip


def _next(timer: Any, now: datetime) -> str | None:
    at = cron.next_after(timer.line, now, ZoneInfo(timer.zone))
    return at.astimezone(UTC).isoformat() if at else None
