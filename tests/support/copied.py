"""The aviary with places for copies of its vault, and what happens to a vault and its copies in real life."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from chronos_secrets.secret import Secret
from chronos_secrets.vault import document, kdbx
from chronos_secrets.vault.copies import catalogue
from chronos_secrets.vault.copies.catalogue import Catalogue
from chronos_secrets.vault.entries import Attribute
from chronos_secrets.vault.kdf import MasterKey
from tests.support.commands import Aviary, Done

ROWS = """\
vault:
  path: aviary.kdbx
  copies:
    near: {{kind: folder, path: {near}}}
    before: {{kind: folder, path: {before}, when: [before-change]}}
    stick: {{kind: folder, path: {stick}, every: 1 week, when: [after-change]}}
tasks:
  chore: {{title: A chore, every: 1 week, from: 2020-01-01}}
"""


class Copied(Aviary):
    """Copies go to the folders `near` (after every change), `before` (before each), and `stick` (weekly, too).

    `stick` is away until `plug_in`: the folder that it lies in is not there.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._saves = 0
        self.near, self.before = folder / "near", folder / "before"
        self.stick = folder / "mnt" / "stick"
        self.edit("vault: {path: aviary.kdbx}\n", ROWS.format(near=self.near, before=self.before, stick=self.stick))

    def open(self, *arguments: str | Path) -> Done:
        """Run a command with the vault's password."""
        return self.run(*arguments, "--password-file", self.password_file)

    def plug_in(self) -> None:
        self.stick.parent.mkdir()

    def files(self, folder: Path) -> list[Path]:
        """The copies in a place, oldest first."""
        return sorted(folder.glob("aviary-*"))

    def save_by_us(self) -> Done:
        """A command of ours that changes the vault."""
        return self.open("done", "chore")

    def save_by_keepassxc(self, **fields: str) -> None:
        """Another program changes the vault."""
        self._saves += 1
        when = datetime.now(UTC) + timedelta(minutes=self._saves)  # a vault knows whole seconds
        with self.opened() as vault:
            entry = vault.entries.at(("Database", "DB"))
            assert entry is not None
            values = {name: Attribute(Secret(text)) for name, text in (fields or {"Notes": "changed"}).items()}
            vault.entries.change(entry, now=when, fields=values)

    def change_password(self, password: str) -> None:
        """The vault gets another master password, as KeePassXC does it: it says when, and keeps the salt or not."""
        opened = kdbx.decrypt(self.vault.read_bytes(), MasterKey(Secret(self.password)))
        later = datetime.now(UTC) + timedelta(minutes=5)
        opened.root.find("Meta/MasterKeyChanged").text = document.encode_time(later)
        self.vault.write_bytes(opened.build(MasterKey(Secret(password))))
        self.password = password
        self.password_file.write_text(password)

    @property
    def known(self) -> Catalogue:
        return catalogue.load(self.state / catalogue.FILE)

    def backdate(self, place: str, days: int) -> None:
        """The newest copy in a place becomes so many days older, by its name and by what is remembered of it."""
        found, folder = self.known, {"near": self.near, "stick": self.stick, "before": self.before}[place]
        newest = found.of(place)[-1]
        made = newest.made - timedelta(days=days)
        name = newest.name.replace(f"{newest.made:%Y%m%dT%H%M%SZ}", f"{made:%Y%m%dT%H%M%SZ}")
        (folder / newest.name).rename(folder / name)
        older = newest._replace(name=name, made=made, verified=made, opened=made)
        catalogue.store(self.state / catalogue.FILE, catalogue.with_records(catalogue.without(found, newest), older))
