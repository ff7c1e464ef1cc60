"""pgBackRest, run where it belongs: on the host of the inventory, with the file that was placed there.

What it does is its own affair, so `run` takes any of its commands; what is common to all of them is here: who runs it,
what its failures mean, and that nothing secret that it says is repeated.
"""

from collections.abc import Sequence

from chronos_secrets.errors import ChronosError, TargetFailed
from chronos_secrets.pgbackrest import failures, info
from chronos_secrets.pgbackrest.account import as_account
from chronos_secrets.pgbackrest.binary import masked
from chronos_secrets.pgbackrest.failures import Remedy
from chronos_secrets.secret import Secret
from chronos_secrets.systems.hosts import Host, Ran

PROGRAM = "pgbackrest"
_QUESTION_TIMEOUT = 120.0  # seconds for a command that only looks
_CHECK_TIMEOUT = 240.0  # seconds: a WAL segment is sent, for which the database has a minute
_IO_TIMEOUT = 10  # seconds without a byte; with its own default it tries a closed port for many minutes
_CONFIG_LIMIT = 1024 * 1024  # bytes of a configuration that is read for masking
_NO_PROGRAM = 127  # a shell's status
_DIED = 128  # and more: by a signal


class PgBackRestFailed(TargetFailed):
    """pgBackRest ran and said no; `status` is its exit status."""

    def __init__(self, message: str, *, status: int, hint: str, details: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint, details=details)
        self.status = status


class Runner:
    """pgBackRest on one host, for one stanza.

    `config` is the absolute path of its configuration there (it takes a relative one from /), `user` the account that
    the database belongs to, None for whoever the host runs programs as. `render` is the command that writes `config`.
    """

    def __init__(self, host: Host, *, config: str, stanza: str, render: str, user: str | None = None) -> None:
        self._host, self._config, self._stanza, self._user, self._render = host, config, stanza, user, render

    def run(self, command: str, *options: str, timeout: float) -> Ran:
        """Run a command of pgBackRest; what it printed. `options` hold no secret: it refuses them there anyway (31).

        Raises PgBackRestFailed where it fails, CutOff where the time runs out, TargetFailed where it cannot be started.
        """
        ran = self._host.run(self._argv(command, *options), timeout=timeout)
        if ran.status != 0:
            raise self._failure(command, ran)
        return ran

    def check(self) -> None:
        """Make sure that the repository can be read, and that a WAL segment of the database gets there.

        The segment is sent by the database itself, with the configuration that its archive_command names. That this
        one may write is therefore not proven. Raises what `run` raises.
        """
        self.run("check", f"--io-timeout={_IO_TIMEOUT}", timeout=_CHECK_TIMEOUT)

    def info(self) -> info.Stanza:
        """What there is. A repository that cannot be read is a result, too: see its code. Raises what `run` raises."""
        ran = self.run("info", "--output=json", f"--io-timeout={_IO_TIMEOUT}", timeout=_QUESTION_TIMEOUT)
        return info.parse(ran.out, self._stanza)

    def backup_runs(self) -> bool:
        """Whether a backup or an expire runs on the host now; also where pgBackRest is too old to tell.

        Raises what `run` raises.
        """
        return self.info().backup_runs is not False

    def _argv(self, command: str, *options: str) -> tuple[str, ...]:
        argv = (PROGRAM, f"--config={self._config}", f"--stanza={self._stanza}", *options, command)
        return as_account(argv, self._user)

    def by_hand(self, command: str, *options: str) -> str:
        """The command that a person pastes on this machine to run the same. For hints."""
        argv = (PROGRAM, f"--config={self._config}", f"--stanza={self._stanza}", *options, command)
        return self._host.paste(("runuser", "-u", self._user, "--", *argv) if self._user else argv)

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
        return PgBackRestFailed(
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
        }[remedy]

    def _details(self, said: str) -> list[str]:
        """Its own words, without any value of the configuration; none where that cannot be had for comparison."""
        try:
            content = self._host.read(self._config, _CONFIG_LIMIT)
        except ChronosError:
            return []
        if content is None:
            return []
        conf = Secret(content)
        return [failures.shown(masked(line, conf)) for line in failures.last_words(said)]
