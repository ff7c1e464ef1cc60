"""The command line's root: lazy commands, and the one place where a failure becomes words and an exit status."""

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence

import click

from chronos_secrets import __version__
from chronos_secrets.cli import ARGUMENTS, PATH, PROGRAM, output
from chronos_secrets.cli.lazy import Lazy, LazyGroup
from chronos_secrets.errors import ChronosError, Exit, UsageError
from chronos_secrets.settings import Flags

COMMANDS = {
    "init": Lazy("vault:init", "Make the vault from an inventory, or an inventory from a vault."),
    "check": Lazy("inventory:check", "Say what is wrong with the inventory, its templates and the vault."),
    "doctor": Lazy("doctor:doctor", "Say whether this machine is fit for the project."),
    "list": Lazy("inventory:list_", "List the credentials of the inventory."),
    "get": Lazy("inventory:get", "Print one value from the vault."),
    "due": Lazy("due:due", "Say what is due: credentials to rotate, tasks to do."),
    "done": Lazy("due:done", "Tick tasks off."),
    "history": Lazy("due:history", "Print what this tool did on this machine."),
    "schedule": Lazy("schedule:schedule", "Install and watch what runs by itself: backups, due, rotations, copies."),
    "rotate": Lazy("rotate:rotate", "Replace credentials where they are honoured, without an outage."),
    "render": Lazy("render:render", "Write the files that are made from the vault."),
    "run": Lazy("run:run", "Run a program with values from the vault in its environment."),
    "unlock": Lazy("unlock:unlock", "Open the vault; have its password remembered."),
    "forget": Lazy("unlock:forget", "Have the remembered password forgotten."),
    "trust": Lazy("trust:trust", "Accept where the inventory lets secrets go."),
    "scan": Lazy("scan:scan", "Find secrets in files, commits and histories."),
    "redact": Lazy("scan:redact", "Mask the secrets in a stream."),
    "hook": Lazy("hook:hook", "Scan before every commit and push."),
    "vault": Lazy("vault:vault", "Look after the vault file itself."),
    "backup": Lazy("backup:backup", "Run, watch, restore and prove the database backups."),
    "cloud": Lazy("cloud:cloud", "Make and audit the bucket of the backups and its user."),
    "emergency": Lazy("emergency:emergency", "Make the sheet for the safe, and prove that it works."),
    "config": Lazy("config:config", "Say where things are on this machine."),
    "completion": Lazy("completion:completion", "Make a shell complete commands, options and ids."),
}


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done, 1 the answer is no, 2 usage, 3 a file you edit is wrong, 4 vault, 5 refused, "
    "6 busy, 7 a target failed, 8 incomplete: run again.",
)
@click.option("--inventory", metavar="FILE", type=PATH, help="The inventory (else the nearest inventory.yaml).")
@click.option("--vault", metavar="FILE", type=PATH, help="The KeePassXC file (else what the inventory says).")
@click.option("--key-file", metavar="FILE", type=PATH, help="The vault's key file, if it has one.")
@click.version_option(__version__, message="chronos-secrets %(version)s")
@click.pass_context
def root(ctx: click.Context, inventory: str | None, vault: str | None, key_file: str | None) -> None:
    """One KeePassXC file is the source of truth for your credentials."""
    ctx.meta[ARGUMENTS] = ctx.obj or ()
    ctx.obj = Flags(inventory, vault, key_file)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status. Nothing else in the program turns a failure into words."""
    as_json = "--json" in arguments
    try:
        if asked := os.environ.get("_CHRONOS_SECRETS_COMPLETE"):
            status = _complete(asked)
        else:
            status = root.main(list(arguments), prog_name=PROGRAM, standalone_mode=False, obj=tuple(arguments))
        output.flush()
        return int(status or Exit.OK)
    except ChronosError as error:
        output.failure(error, as_json=as_json)
        return error.exit
    except click.UsageError as error:
        return _misused(error, as_json=as_json)
    except (KeyboardInterrupt, click.Abort):
        output.say("interrupted")
        return Exit.INTERRUPTED
    except (BrokenPipeError, SystemExit):  # click turns a broken pipe into SystemExit(1), which would say "no"
        return _closed_output()
    except Exception as error:  # noqa: BLE001  the one boundary: whatever nobody foresaw is a bug, told without values
        output.say(_bug(error))
        return Exit.BUG


def _complete(asked: str) -> int:
    """Answer the script of a shell, which shows a person nothing but names."""
    from chronos_secrets.cli import completion

    with contextlib.suppress(click.ClickException, ChronosError):
        output.result(completion.answer(root, asked))
    return Exit.OK


def _misused(error: click.UsageError, *, as_json: bool) -> int:
    """Say what is wrong with the command line; of a group without a command, what it could have been."""
    said = error.format_message()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        output.say(said)
        return Exit.USAGE
    said = " ".join(said.rstrip(".").split())
    command = error.ctx.command_path if error.ctx else "chronos-secrets"
    output.failure(UsageError(said[:1].lower() + said[1:], hint=f"{command} --help"), as_json=as_json)
    return Exit.USAGE


def _closed_output() -> int:
    """The reader of our output went away, as `head` does: no words, and no second failure when Python flushes."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.OK


def _bug(error: BaseException) -> str:
    """Where it happened. The exception's own text is left out: it may hold a value."""
    frames = traceback.extract_tb(error.__traceback__)
    places = "\n".join(f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
    return (
        f"error: a bug in chronos-secrets {__version__}: {type(error).__name__}\n{places}\n"
        "hint: please report these lines; they hold no secret"
    )
