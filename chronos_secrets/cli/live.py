"""`check --live` as a person meets it."""

from collections.abc import Sequence

from chronos_secrets.cli import memory, output, trust
from chronos_secrets.cli.session import Session
from chronos_secrets.review import live
from chronos_secrets.review.live import Aws, Tried


def require(session: Session) -> None:
    """Raises Refused unless what will be asked is accepted on this machine. Call it before the vault is opened."""
    named = tuple(live.triable(session.inventory))
    trust.require(session, credentials=named, hosts=live.hosts(session.inventory))


def try_each(session: Session) -> list[Tried]:
    """Try every credential that can be tried; each answer goes into the history."""
    output.say("asking every target; nothing is changed there ...")
    found = []
    aws = Aws(session.settings.aws_endpoint.value, session.settings.ca_bundle.value)
    for each in live.try_each(session.inventory, session.values, aws):
        found.append(each)
        if each.result != live.UNTRIED:
            memory.record_or_say(session, "check-live", each.credential, {"result": each.result})
    return found


def show(session: Session, tried: Sequence[Tried]) -> None:
    """One line for each, what to do in lines that can be pasted, and those that no program can try."""
    lines = [(each.credential, each.result, each.message) for each in tried]
    output.rows(("CREDENTIAL", "RESULT", "WHY"), lines, empty="the inventory names no credential that can be tried")
    for each in tried:
        if each.fix:
            output.say(output.plain(f"hint for {each.credential}: {each.fix}"))
    asked = {each.credential for each in tried}
    if others := [each for each in session.inventory.credentials if each not in asked]:
        output.say(f"cannot be tried: {', '.join(others)}")
