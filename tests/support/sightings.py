"""Somebody who works with the database while backups, restores and drills are made, and keeps count by another clock."""

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tests.support.backup_hosts import World
from tests.support.targets import Database
from tests.support.waiting import until

_PATIENCE = 60.0  # seconds


def query(
    database: Database, statement: str, *, folder: Path | None = None, port: int | None = None
) -> list[tuple[object, ...]]:
    """Ask the database as its administrator, or the server with another socket."""
    import psycopg

    with psycopg.connect(**_where(database, folder, port), autocommit=True) as connection:
        found = connection.execute(statement.encode())
        return found.fetchall() if found.description else []


def _where(database: Database, folder: Path | None = None, port: int | None = None) -> dict[str, str]:
    return {
        "host": str(folder or database.folder), "port": str(port or database.port), "user": "admin", "dbname": "birds",
    }  # fmt: skip


class Row(NamedTuple):
    """A row that was sent at one moment, and known to be committed at another."""

    number: int
    sent: datetime
    known: datetime


class Writer:
    """Commits a row into the table `sightings` again and again while the block lasts."""

    def __init__(self, world: World, *, pause: float = 0.1) -> None:
        """`pause` is in seconds."""
        self._database, self._pause, self._stop = world.database, pause, threading.Event()
        self.rows: list[Row] = []
        self._thread = threading.Thread(target=self._write)
        query(world.database, "CREATE TABLE IF NOT EXISTS sightings (number int)")

    def __enter__(self) -> "Writer":
        self._thread.start()
        self.wait(2)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_PATIENCE)

    def _write(self) -> None:
        import psycopg

        with psycopg.connect(**_where(self._database), autocommit=True) as connection:
            (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM sightings").fetchone() or (0,)
            while not self._stop.wait(self._pause):
                last, sent = last + 1, datetime.now(UTC)
                connection.execute("INSERT INTO sightings VALUES (%s)", (last,))
                self.rows.append(Row(last, sent, datetime.now(UTC)))

    def wait(self, more: int) -> Row:
        """Wait for some more rows; the last of them."""
        wanted = len(self.rows) + more
        until(lambda: len(self.rows) >= wanted, "no more rows are committed")
        return self.rows[wanted - 1]

    def moment(self) -> datetime:
        """A time after one commit and before the next one was sent."""
        number = len(self.rows) + 1
        until(lambda: len(self.rows) > number + 1, "no more rows are committed")
        first, after = self.rows[number : number + 2]  # neighbours, however many more there are by now
        return first.known + (after.sent - first.known) / 2

    def until(self, at: datetime) -> list[int]:
        """The rows that were committed by then, of all that it ever wrote."""
        return [row.number for row in self.rows if row.known < at]
