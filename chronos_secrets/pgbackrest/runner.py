"""pgBackRest, run where it belongs: on the host of the inventory, with the file that was placed there.

What it does is its own affair, so `run` takes any of its commands; what is common to all of them is here: who runs it,
what its failures mean, and that nothing secret that it says is repeated.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from chronos_secrets.errors import ChronosError, Exit, TargetFailed
from chronos_secrets.pgbackrest import failures, info
from chronos_secrets.pgbackrest.account import as_account
from chronos_secrets.pgbackrest.archive import RepoFile, parse_listing
from chronos_secrets.pgbackrest.binary import masked
from chronos_secrets.pgbackrest.failures import Remedy
from chronos_secrets.pgbackrest.info import Stanza
from chronos_secrets.secret import Secret
from chronos_secrets.systems.hosts import Hear, Host, Ran

PROGRAM = "pgbackrest"
_QUESTION_TIMEOUT = 120.0  # seconds for a command that only looks
_CHECK_TIMEOUT = 240.0  # seconds: a WAL segment is sent, for which the database has a minute
_IO_TIMEOUT = 10  # seconds without a byte; with its own default it tries a closed port for many minutes
_CONFIG_LIMIT = 1024 * 1024  # bytes of a configuration that is read for masking
_LISTING_TIMEOUT = 1800.0  # seconds: a bucket gives a thousand names at a time
QUIET = "--log-level-console=off"
"""For a command whose output is a file: what it logs to standard output would stand in it."""
_DEFAULT = re.compile(r"^(current|default): (.+)$", re.MULTILINE)
_ARCHIVED = re.compile(r"WAL segment ([0-9A-F]{24}) successfully archived to")
_NO_PROGRAM = 127  # a shell's status
_DIED = 128  # and more: by a signal


class PgBackRestFailed(TargetFailed):
    """pgBackRest ran and said no; `status` is its exit status."""

    def __init__(self, message: str, *, status: int, hint: str, details: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint, details=details)
        self.status = status


class AtWork(PgBackRestFailed):
    """Another command of pgBackRest holds the lock of the stanza."""

    exit: ClassVar[Exit] = Exit.BUSY
    code: ClassVar[str] = "busy"


class Runner:
    """pgBackRest on one host, for one stanza.

    `config` is the absolute path of its configuration there (it takes a relative one from /), `user` the account that
    the database belongs to, None for whoever the host runs programs as. `render` is the command that writes `config`.
    """

    def __init__(self, host: Host, *, config: str, stanza: str, render: str, user: str | None = None) -> None:
        self._host, self._config, self._stanza, self._user, self._render = host, config, stanza, user, render

    @property
    def stanza(self) -> str:
        """The name of the stanza."""
        return self._stanza

    def run(self, command: str, *options: str, timeout: float, hear: Hear | None = None) -> Ran:
        """Run a command of pgBackRest; what it printed. `options` hold no secret: it refuses them there anyway (31).

        `hear` hears it as it comes; see Host.run.
        Raises PgBackRestFailed where it fails (AtWork where another one holds the lock), CutOff where the time runs
        out, TargetFailed where it cannot be started.
        """
        ran = self._host.run(self.argv(command, *options), timeout=timeout, hear=hear)
        if ran.status != 0:
            raise self._failure(command, ran)
        return ran

    def check(self) -> str | None:
        """Make sure that the repository can be read, and that a WAL segment of the database gets there: its name.

        The segment is sent by the database itself, with the configuration that its archive_command names. That this
        one may write is therefore not proven. None where a release does not tell the name. Raises what `run` raises.
        """
        options = (f"--io-timeout={_IO_TIMEOUT}", "--log-level-console=info")
        said = self.run("check", *options, timeout=_CHECK_TIMEOUT).out.decode(errors="replace")
        found = _ARCHIVED.search(said)
        return found[1] if found else None

    def info(self) -> info.Stanza:
        """What there is. A repository that cannot be read is a result, too: see its code. Raises what `run` raises."""
        ran = self.run("info", "--output=json", f"--io-timeout={_IO_TIMEOUT}", timeout=_QUESTION_TIMEOUT)
        return info.parse(ran.out, self._stanza)

    def held(self) -> Stanza:
        """What there is, of repositories that can all be read. Raises what `run` raises, TargetFailed."""
        found = self.info()
        if (failure := self._unreadable(found)) is not None:
            raise failure
        return found

    def _unreadable(self, found: Stanza) -> TargetFailed | None:
        """What is wrong where `info` could not read a repository, or has lost the stanza; None where it could."""
        for repo in found.repos:
            if repo.code == info.OTHER:
                meant = failures.explain_message(repo.message)
                which = f" {repo.key}" if len(found.repos) > 1 else ""
                return TargetFailed(
                    f"repository{which} of {self._stanza} cannot be read from {self._host.name}: {meant.sentence}",
                    hint=self._remedy(meant.remedy, "check"),
                    details=self._details(repo.message, whole=True),
                )
        if found.code in (info.NO_DATA, info.OTHER_DATABASE, info.OTHER):
            return TargetFailed(f"{self._stanza}: {info.STATES[found.code]}", hint=self.by_hand("info"))
        return None

    def repo_ls(self, path: str) -> list[RepoFile]:
        """All files below a path of the repository ("archive/STANZA", say), named from there. Raises what `run` raises.

        With several repositories it is the first one that is looked at, as every command here does.
        """
        ran = self.run("repo-ls", "--output=json", "--recurse", path, timeout=_LISTING_TIMEOUT)
        return parse_listing(ran.out)

    def repo_get(self, path: str) -> bytes:
        """A small file of the repository, as text of its own (decrypted). Raises what `run` raises."""
        return self.run("repo-get", QUIET, path, timeout=_QUESTION_TIMEOUT).out

    def setting(self, option: str, command: str = "backup") -> str | None:
        """What an option is for a command there, by file, environment or default; None where nothing sets it.

        Only for what is no secret: those it shows as stars. Raises what `run` raises.
        """
        said = self.run("help", command, option, timeout=_QUESTION_TIMEOUT).out.decode(errors="replace")
        found = dict(_DEFAULT.findall(said))
        return found.get("current") or found.get("default")

    def backup_runs(self) -> bool:
        """Whether a backup or an expire runs on the host now; also where pgBackRest is too old to tell.

        Raises what `run` raises.
        """
        return self.info().backup_runs is not False

    def argv(self, command: str, *words: str) -> tuple[str, ...]:
        """What runs a command there as the account; `words` are its options, and what it is about."""
        argv = (PROGRAM, f"--config={self._config}", f"--stanza={self._stanza}", command, *words)
        return as_account(argv, self._user)

    def by_hand(self, command: str, *options: str) -> str:
        """The command that a person pastes on this machine to run the same. For hints."""
        argv = (PROGRAM, f"--config={self._config}", f"--stanza={self._stanza}", *options, command)
        return self._host.paste(argv, account=self._user)

    def masked(self, text: str) -> str:
        """Text that pgBackRest wrote, without any value of the configuration. Raises TargetFailed where it is not to be
        had for comparison.
        """
        content = self._host.read(self._config, _CONFIG_LIMIT)
        if content is None:
            raise TargetFailed(f"{self._config} is not on {self._host.name}", hint=self._render)
        return masked(text, Secret(content))

    def _failure(self, command: str, ran: Ran) -> TargetFailed:
        said = (ran.err + b"\n" + ran.out).decode(errors="surrogateescape")
        if ran.status == _NO_PROGRAM:
            return TargetFailed(
                f"{self._host.name} has no program {PROGRAM}",
                hint=self._host.paste(("sh", "-c", f"command -v {PROGRAM}")),
            )
        if ran.status < failures.LEAST_STATUS:
            return TargetFailed(
                f"{self._host.name} does not run {PROGRAM} as {self._user}: {failures.shown(said.strip())}",
                hint=self._host.paste(("id",)),
            )
        meant = failures.explain(ran.status, said)
        how = f"died of signal {ran.status - _DIED}" if ran.status > _DIED else f"failed with status {ran.status}"
        kind = AtWork if ran.status == failures.LOCKED else PgBackRestFailed
        return kind(
            f"pgbackrest {command} on {self._host.name} {how}: {meant.sentence}",
            status=ran.status,
            hint=self._remedy(meant.remedy, command),
            details=self._details(said),
        )

    def _remedy(self, remedy: Remedy, command: str) -> str:
        return {
            Remedy.RENDER: self._render,
            Remedy.AGAIN: self.by_hand(command, "--log-level-console=info"),
            Remedy.CREATE: self.by_hand("stanza-create"),
            Remedy.START: self.by_hand("start"),
            Remedy.CLOCK: self._host.paste(("date", "-u")),
            Remedy.WAIT: self.by_hand("info"),
            Remedy.ROOM: self._host.paste(("df", "-h")),
        }[remedy]

    def _details(self, said: str, *, whole: bool = False) -> list[str]:
        """Its own words, without any value of the configuration; none where that cannot be had for comparison."""
        try:
            content = self._host.read(self._config, _CONFIG_LIMIT)
        except ChronosError:
            return []
        if content is None:
            return []
        conf = Secret(content)
        lines = said.splitlines()[:1] if whole else failures.last_words(said)
        return [failures.shown(masked(line, conf)) for line in lines]
