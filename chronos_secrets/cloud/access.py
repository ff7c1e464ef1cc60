"""The user of the backups: its policy, the group that has it, and what lies between these and what should be."""

from collections.abc import Iterator

from chronos_secrets.cloud import desired as wants
from chronos_secrets.cloud import difference
from chronos_secrets.cloud.desired import Desired, User
from chronos_secrets.cloud.steps import Draft, Note
from chronos_secrets.systems.aws.users import Found, Group, Users


def plan_user(draft: Draft, desired: Desired, user: User, users: Users) -> None:
    """The policy is on a group, as CIS and Security Hub want it, and the user is in that: what one has, the other may.

    A policy that is attached to the user, too, gives nothing more and is left: to take it away is to trust that all of
    IAM knows of the group already.
    """
    subject, policy = f"user {user.name}", user.policy
    _plan_document(draft, subject, desired, user, users)
    group = draft.known(subject, "group", lambda: users.group(policy))
    if group:
        _plan_group(draft, subject, user, users, group[0])
    found = draft.known(subject, "user", lambda: users.user(user.name))
    if not found:
        return
    if found[0] is None:
        draft.step(subject, "user", [f"+ user: {user.name}"], lambda: users.create_user(user.name))
    if group and not (group[0] and _foreign(group[0], user)):
        lines = [] if found[0] and policy in found[0].groups else [f"+ group: {policy}"]
        draft.step(
            subject, "membership", lines, lambda: users.add_to_group(user.name, policy), "user", "group", "attachment"
        )
    draft.kept += [Note(subject, each) for each in _others(user, found[0])]


def _plan_document(draft: Draft, subject: str, desired: Desired, user: User, users: Users) -> None:
    found = draft.known(subject, "policy", lambda: users.policy(user.policy))
    if not found:
        return
    wanted, before = wants.user_policy(desired, user), found[0]
    if before is None:
        lines: tuple[str, ...] = difference.policies({}, wanted)
        draft.step(subject, "policy", lines, lambda: users.create_policy(user.policy, wanted))
    else:
        lines = difference.policies(before, wanted)
        draft.step(subject, "policy", lines, lambda: users.replace_policy(user.policy, wanted))


def _plan_group(draft: Draft, subject: str, user: User, users: Users, group: Group | None) -> None:
    policy = user.policy
    if group is None:
        draft.step(subject, "group", [f"+ group {policy}"], lambda: users.create_group(policy))
    elif foreign := _foreign(group, user):
        told = f"the group {policy} has {foreign}: nothing is added to it, for that would give more than was asked"
        draft.stuck.append(Note(subject, told))
        return
    lines = [] if group and policy in group.attached else [f"+ group {policy}: policy {policy}"]
    draft.step(subject, "attachment", lines, lambda: users.attach_to_group(policy, policy), "group", "policy")


def _foreign(group: Group, user: User) -> str:
    """What a group has that is not ours, in words, where the user or the policy is still to come to it."""
    if user.name in group.members and user.policy in group.attached:
        return ""
    others = [f"the member {each}" for each in group.members if each != user.name]
    others += [f"the policy {each}" for each in (*group.attached, *group.inline) if each != user.policy]
    return ", ".join(others)


def _others(user: User, found: Found | None) -> Iterator[str]:
    if found is None:
        return
    for each in found.attached:
        own = "; the group is enough: aws iam detach-user-policy takes it away" if each == user.policy else ""
        yield f"policy {each}, attached to the user{own}"
    yield from (f"policy {each}, inline" for each in found.inline)
    yield from (f"group {each}" for each in found.groups if each != user.policy)
