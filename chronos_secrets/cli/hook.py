"""`hook`: the scanner before every commit and push."""

import os

import click

from chronos_secrets.cli import output
from chronos_secrets.cli.scanning import translated
from chronos_secrets.errors import Exit
from chronos_secrets.scan import framework, githooks, install, shim

_STATES = {
    githooks.CURRENT: "ours",
    githooks.STALE: "ours, but of another installation or version",
    githooks.OFF: "ours, but not executable: git passes over it",
    githooks.FRAMEWORK: "run by the pre-commit framework",
    githooks.CALLED: "started by the hook that is there",
    githooks.FOREIGN: "not ours",
    githooks.MISSING: "missing",
}
_SHARED = click.option(
    "--hooks-path",
    "shared",
    is_flag=True,
    help="Also in a folder that core.hooksPath names and that serves other repositories, or belongs to the project.",
)


@click.group()
def hook() -> None:
    """Scan what is about to be committed or pushed, and block it when it holds a secret."""


@hook.command("install", short_help="Scan before every commit and push of this repository.")
@_SHARED
@click.option(
    "--known",
    type=click.Choice(["optional", "required"]),
    help="With `required`, block where no vault was opened on this machine, too. Later installs keep this.",
)
def install_(*, shared: bool, known: str | None) -> None:
    """Scan before every commit and push of this repository: pre-commit, commit-msg and pre-push.

    A hook that is there already is kept, and runs, too. Run this again after chronos-secrets was installed elsewhere.
    """
    with translated():
        at = githooks.place()
        required = None if known is None else known == "required"
        hooks = install.install(at, shim.installation(), shared=shared, required=required)
    for each in hooks:
        output.result(f"{each.name:<10}  {each.done}{_besides(at, each)}")
    for note in _notes(at, hooks):
        output.say(note)


@hook.command("uninstall", short_help="Take the hooks away again.")
@_SHARED
def uninstall_(*, shared: bool) -> None:
    """Take the hooks away again. What was there before them is put back as it was."""
    with translated():
        for each in install.uninstall(githooks.place(), shared=shared):
            output.result(f"{each.name:<10}  {each.done}")


@hook.command("status", short_help="Say whether commits and pushes are scanned.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status_(*, as_json: bool) -> Exit:
    """Say for each hook whether it is there and starts this installation. Exit status 1 if one does not."""
    with translated():
        at = githooks.place()
        hooks = githooks.status(at, shim.installation())
    protected = all(each.state in githooks.PROTECTED for each in hooks)
    if as_json:
        output.document("hook status", {"protected": protected, **_document(at, hooks)})
        return Exit.OK if protected else Exit.NO
    lines = [(each.name, _STATES[each.state] + _besides(at, each), each.path) for each in hooks]
    output.rows(("HOOK", "WHAT IS THERE", "WHERE"), lines, empty="")
    for note in _notes(at, hooks):
        output.say(note)
    if not protected and not at.is_nowhere:
        output.say("hint: chronos-secrets hook install")
    return Exit.OK if protected else Exit.NO


@hook.command("run", short_help="Scan as git's hook NAME would; for other programs that run hooks.")
@click.argument("name", type=click.Choice(shim.HOOKS))
@click.argument("given", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENT]...")
@click.option("--known", type=click.Choice(["optional", "required"]), help="As of `hook install`.")
def run_(*, name: str, given: tuple[str, ...], known: str | None) -> int:
    """Scan as git's hook NAME would, with the ARGUMENTs and the standard input that git gives it.

    For a hook that somebody else looks after (husky, lefthook), and for `language: system` in the pre-commit framework.
    """
    required = ("--known", "required") if known == "required" else ()
    return framework.main([name, *required, *given])


def _runs(at: githooks.Place, each: githooks.Hook) -> bool:
    """Whether ours runs a hook that was there before. Git runs none that is not executable, and so do we."""
    return each.state in (githooks.CURRENT, githooks.STALE) and each.kept and os.access(at.kept(each.name), os.X_OK)


def _besides(at: githooks.Place, each: githooks.Hook) -> str:
    return f"; {os.path.basename(at.kept(each.name))} runs, too" if _runs(at, each) else ""


def _notes(at: githooks.Place, hooks: list[githooks.Hook]) -> list[str]:
    """What a person should know of the place that git looks for hooks in, and of who else uses it."""
    notes = []
    if at.is_nowhere:
        notes.append(f"core.hooksPath ({at.scope}) is {at.hooks_path or 'empty'}: git runs no hooks here")
    elif at.hooks_path is not None:
        notes.append(f"core.hooksPath ({at.scope}) is {_plain(at.hooks_path)}: git looks for the hooks there")
    if at.inside and any(each.state == githooks.CURRENT for each in hooks):
        notes.append("the hooks lie in the work tree and hold paths of this machine: keep them out of commits")
    if not at.top:
        notes.append("in a bare repository only pre-push runs")
    idle = [each.name for each in hooks if each.kept and not os.access(at.kept(each.name), os.X_OK)]
    notes += [
        f"the {name} that was there before is not executable: git did not run it, and ours does not" for name in idle
    ]
    return notes + _of_framework(at, hooks)


def _of_framework(at: githooks.Place, hooks: list[githooks.Hook]) -> list[str]:
    named = framework.configured(at.top) if at.top else None
    owned = [each.name for each in hooks if shim.is_framework(githooks.content(at.kept(each.name)))]
    if owned and not any((named or {}).values()):
        return [
            f"the pre-commit framework's {', '.join(owned)} runs besides ours; to have it run ours instead, add "
            f'{", ".join(framework.IDS.values())} to {framework.CONFIG} (README.md, "The hook"), then: '
            "chronos-secrets hook uninstall && pre-commit install -t pre-commit -t commit-msg -t pre-push"
        ]
    absent = [each.name for each in hooks if (named or {}).get(each.name) and each.state not in githooks.PROTECTED]
    if absent:
        types = " ".join(f"-t {name}" for name in absent)
        return [
            f"{framework.CONFIG} names our {', '.join(absent)}, but it is not installed: pre-commit install {types}"
        ]
    return []


def _document(at: githooks.Place, hooks: list[githooks.Hook]) -> dict[str, object]:
    named = framework.configured(at.top) if at.top else None
    return {
        "folder": _plain(at.folder),
        "hooks_path": None if at.hooks_path is None else {"value": _plain(at.hooks_path), "scope": at.scope},
        "framework": None
        if named is None
        else {"config": _plain(os.path.join(at.top, framework.CONFIG)), "names": named},
        "hooks": [
            {"name": each.name, "state": each.state, "path": _plain(each.path), "runs_kept": _runs(at, each)}
            for each in hooks
        ],
    }


def _plain(path: str) -> str:
    """A path as text that can be printed: bytes that are no UTF-8 are written as \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
