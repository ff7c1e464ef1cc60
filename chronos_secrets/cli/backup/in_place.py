"""`backup restore` where the server looks for its data."""

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from chronos_secrets.cli import memory, output
from chronos_secrets.cli.backup import place as places
from chronos_secrets.cli.backup.place import Place
from chronos_secrets.cli.backup.planning import Asked, confirm, plan_of, require_room, show, still
from chronos_secrets.cli.backup.progress import Progress
from chronos_secrets.cli.backup.source import COMMAND, Source
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Busy, ChronosError, Exit, Incomplete, Refused, TargetFailed
from chronos_secrets.pgbackrest import progress, running
from chronos_secrets.pgbackrest import restore as restoring
from chronos_secrets.pgbackrest.restore import Mark, Site
from chronos_secrets.report import restoring as report
from chronos_secrets.report.restoring import Plan
from chronos_secrets.systems.hosts import Container, Host

_PATIENCE = 60.0  # seconds in which an earlier run's pgbackrest may end
_POLL = 1.0  # seconds
_STAMP = "%Y%m%dT%H%M%SZ"  # of a time in UTC
_YOUNG = timedelta(days=2)  # in which a person starts the server, and runs the command again


class InPlace:
    """One restore where the server looks for its data."""

    def __init__(self, session: Session, place: Place, source: Source, asked: Asked) -> None:
        self._session, self._place, self._source, self._asked = session, place, source, asked
        self._site = Site(place.host, place.account, place.database.data)
        self._seen = self._site.look()
        self._mark = self._resumed()

    def run(self) -> Exit:
        """Do what is left to do of it. Running the command again goes on where a run was cut off."""
        placed = self._mark.state == "placed"
        plan = self._rest_of_it() if placed else self._checked_plan()
        if self._asked.dry_run:
            return show(self._session, plan, self._asked)
        if placed:
            output.say(report.lines(plan, self._session.now(), self._session.zone)[0])
        else:
            if plan.first:
                raise Refused(f"the database on {plan.host} is running", hint=plan.first)
            confirm(self._session, plan, self._asked)
        with self._interruption_told():
            if not placed:
                self._stop()
                self._fetch()
                self._mark = self._site.swap(self._seen, self._mark)
            return self._bring_up()

    def _resumed(self) -> Mark:
        """How far an earlier run came, if this is the same restore; else a new one."""
        seen, mark, words = self._seen, self._seen.mark, self._asked.same
        new = Mark("", self._session.now().strftime(_STAMP), self._source.backup.label, self._asked.same)
        if mark is None:
            return new
        if mark.in_between and mark.words != words:
            raise Refused(f"another restore stopped while it moved files in {seen.data}", hint=mark.words)
        if mark.in_between:
            return mark
        if mark.state == "placed":
            return mark if mark.words == words and (seen.replays or (self._is_young(mark) and self._alive())) else new
        return mark if (mark.words, mark.label) == (words, new.label) else new._replace(state="other")

    def _is_young(self, mark: Mark) -> bool:
        """Whether a server that runs may still be the one which that restore was for, and not a later disaster's."""
        return self._session.now() - datetime.strptime(f"{mark.stamp}+0000", f"{_STAMP}%z") < _YOUNG

    def _alive(self) -> bool:
        host = self._place.host
        if isinstance(host, running.Stopped):
            return False
        return isinstance(host, Container) or running.is_alive(host, self._place.account, self._seen.data)

    def _checked_plan(self) -> Plan:
        seen, host = self._seen, self._place.host
        if not seen.writable:
            raise Refused(
                f"{self._place.account or 'the account'} cannot make a folder beside {seen.data} on {host.name}",
                hint=host.paste(("ls", "-ld", seen.data.rpartition("/")[0] or "/")),
            )
        if seen.mounted and seen.tablespaces:
            raise Refused(
                f"{seen.data} on {host.name} is a mount point and has tablespaces: they have no place to go to",
                hint=f"{COMMAND} --to DIR    # and move the files by hand",
            )
        if not self._mark.in_between and not (self._mark.state and seen.resumable):
            require_room(host, seen.work, seen.free, self._source.backup)
        first = None if isinstance(host, Container) or not self._alive() else running.stop_command(host)
        return plan_of(self._place, self._source, self._seen, self._asked, self._mark)._replace(first=first)

    def _rest_of_it(self) -> Plan:
        """What is left to do once the files are in place: nothing is stopped or moved."""
        plan = plan_of(self._place, self._source, self._seen, self._asked, self._mark)
        return plan._replace(stops=None, aside=None, placed=True)

    @contextlib.contextmanager
    def _interruption_told(self) -> Iterator[None]:
        """After Ctrl-C: what is there, and the command that goes on."""
        try:
            yield
        except KeyboardInterrupt:
            output.say(f"\n{self._stands()}\nto go on with the restore: {self._asked.words}")
            raise

    def _stands(self) -> str:
        host, data = self._session_host, self._seen.data
        if self._mark.state == "placed":
            return f"the files are in place in {data} on {host.name}"
        if self._mark.in_between or self._mark.state == "fetched":
            return f"{data} on {host.name} may not be whole: its files were being moved"
        return f"{data} on {host.name} is as it was; to use it again: {running.start_command(host)}"

    def _stop(self) -> None:
        """Stop the container, and reach its volumes by one-off containers from now on."""
        if isinstance(self._place.host, Container):
            output.say(f"stopping {self._place.host.name}")
            running.stop(self._place.host)
        self._place = still(self._session, self._place)
        self._site = Site(self._place.host, self._place.account, self._place.database.data)
        self._wait_for_orphans()

    def _wait_for_orphans(self) -> None:
        """A pgbackrest of a run that was killed may still write into our folder: it is not ended, but waited for."""
        deadline, said = time.monotonic() + _PATIENCE, False
        while left := self._orphans():
            if time.monotonic() > deadline:
                raise Busy(f"an earlier run's pgbackrest still restores on {self._place.host.name}", hint=left)
            if not said:
                output.say("an earlier run's pgbackrest still restores; waiting for its end")
                said = True
            time.sleep(_POLL)  # the end of a program elsewhere is no event here

    def _orphans(self) -> str | None:
        """The command that shows or ends what is still at work; None for nothing."""
        host = self._place.host
        if isinstance(host, running.Stopped):
            names = host.container.one_offs()
            return host.container.by_engine("rm", "-f", *names) if names else None
        return host.paste(("ps", "-ef")) if self._site.look().busy else None

    def _fetch(self) -> None:
        if self._mark.in_between or self._mark.state == "fetched":
            return
        goes_on = self._mark.state == "fetching" and self._site.look().resumable
        self._mark = self._mark._replace(state="fetching")
        self._site.mark(self._seen, self._mark)
        if not goes_on:
            self._site.empty(self._seen)
        try:
            self._fetch_files(delta=goes_on)
        except ChronosError as error:
            raise self._failed(error) from error
        self._mark = self._mark._replace(state="fetched")
        self._site.mark(self._seen, self._mark)

    def _fetch_files(self, *, delta: bool) -> None:
        runner = self._place.runner
        with Progress("restore", quiet=self._asked.as_json) as hear:
            restoring.fetch(
                runner, f"{self._seen.work}/data", self._source.target, archive_off=False, delta=delta, hear=hear,
                restore_command=self._get, tablespaces=self._seen.spaces(self._mark.stamp), more=(progress.OPTION,),
            )  # fmt: skip

    @property
    def _get(self) -> str:
        """The server's restore_command, for a cluster that lies where production does."""
        runner = self._place.runner
        program = runner.setting("cmd", "restore") or "pgbackrest"
        return f'{program} --config={self._place.config} --stanza={runner.stanza} archive-get %f "%p"'

    def _failed(self, error: ChronosError) -> ChronosError:
        """The same failure, with what is untouched."""
        host = self._session_host
        details = [*error.details, f"{self._seen.data} is as it was; to use it again: {running.start_command(host)}",
                   f"half-fetched files are in {self._seen.work}, and are of use when it is run again"]  # fmt: skip
        return _type_of(error)(error.message, hint=error.hint or self._asked.words, details=details)

    @property
    def _session_host(self) -> Host:
        return running.itself(self._place.host)

    def _bring_up(self) -> Exit:
        """Start the server where that is ours to do, wait until it takes writes, and say what it is."""
        host, place, seen = self._session_host, self._place, self._seen
        log = seen.log(self._mark.stamp)
        if not self._alive():
            if not isinstance(host, Container) and not self._asked.start:
                raise Incomplete(
                    f"the files are in place in {seen.data} on {host.name}; the server is not started",
                    details=["start it, then run the same command again: it asks the server what it is"],
                    hint=f"{running.start_command(host)} && {self._asked.words}",
                )
            running.start(host, place.account, seen.data, log=log, as_last=seen.opts, major=self._source.major)
        self._session.stand_in(place.section.host, host)
        place = places.of(self._session)
        try:
            with Progress("recovery", quiet=self._asked.as_json) as shown:
                found = running.wait(
                    place.server, lambda: running.lives(host, place.account, seen.data), shown.tell,
                    tables=place.database.probe_tables,
                )  # fmt: skip
        except running.NotUp as error:
            raise self._not_up(error, log) from error
        return self._done(found)

    def _not_up(self, error: TargetFailed, log: str) -> TargetFailed:
        host, place = self._session_host, self._place
        last = running.last_words(host, place.account, self._seen.data, log=log, config=place.config)
        back = Site(running.still(host), place.account, self._seen.data).way_back(self._seen, self._mark.stamp)
        stop = f"{running.stop_command(host)}; "
        return TargetFailed(
            f"{host.name}: {error.message}",
            details=[
                *last,
                f"the old data is in {self._seen.aside(self._mark.stamp)}; to go back, with the server stopped: {back}",
            ],
            hint=f"{stop}{self._asked.words}    # once its log's reason is put right",
        )

    def _way_back(self) -> list[str]:
        """The commands that bring the old data back, as a new timeline; none where there was none."""
        host, account, seen = self._session_host, self._place.account, self._seen
        if not Site(host, account, seen.data).holds(seen.aside(self._mark.stamp)):
            return []
        still = running.Stopped(host) if isinstance(host, Container) else host
        put_back = Site(still, account, seen.data).way_back(seen, self._mark.stamp, get=self._get)
        return [running.stop_command(host), put_back, running.start_command(host)]

    def _done(self, found: running.Recovered) -> Exit:
        aside = self._seen.aside(self._mark.stamp)
        back = self._way_back()
        Site(self._session_host, self._place.account, self._seen.data).finish(self._seen)
        memory.record_or_say(self._session, "backup-restore", self._mark.label, {"timeline": str(found.timeline)})
        if self._asked.as_json:
            own = {"backup": self._mark.label, "aside": aside if back else None, "way_back": back}
            told = {**own, **report.recovered_json(found)}
            output.document("backup restore", {"restored": told})
            return Exit.OK
        for line in report.recovered(found, self._session.zone):
            output.result(line)
        if back:
            output.result(f"the old data is in {aside}: remove it when you do not need it any more")
            output.result("To go back to it (stop the server, put it back, start the server):")
        for line in back:
            output.result(f"  {line}")
        output.say("next: chronos-secrets backup check && chronos-secrets backup full")
        return Exit.OK


def _type_of(error: ChronosError) -> type[ChronosError]:
    """The class by which a failure is said again with more to it; one that needs more than words is a TargetFailed."""
    return type(error) if type(error) in (TargetFailed, Incomplete, Refused, Busy) else TargetFailed
