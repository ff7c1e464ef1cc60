"""A target, a vault and a consumer that exist in memory only, for cutting a rotation at every place where it can be cut.

`World` runs the real engine and record on real entries. Each effect and each save goes through `World.act`, which can
end the run before or after it: an exception that nothing may catch, as a power cut is. What survives is what had
reached the vault's file, the target, and the consumer.
"""

import copy
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from chronos_secrets.errors import Incomplete, Refused, TargetFailed, VaultChanged, VaultLocked, VaultNotSaved
from chronos_secrets.inventory.model import Credential, EntryPath, Every, FieldPlace, Interval, Inventory
from chronos_secrets.render.values import Values
from chronos_secrets.rotation.engine import Engine, Hooks, Outcome
from chronos_secrets.rotation.journal import Journal
from chronos_secrets.rotation.record import Record
from chronos_secrets.rotation.target import LastUse, Material, Target
from chronos_secrets.secret import Secret
from chronos_secrets.vault import kdbx
from chronos_secrets.vault.entries import Attribute, Entries, Entry
from tests.support import vaults
from tests.support.vaults import CHEAP

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LAST_YEAR = "2025-01-25"
ZONE = ZoneInfo("America/Toronto")
DAYS = Interval(7, "day")
PLACES = {
    "key": FieldPlace("standard", "UserName"),
    "secret": FieldPlace("standard", "Password"),
    "address": FieldPlace("standard", "URL"),
}


class PowerCut(BaseException):
    """The machine stops here."""


class Cut(NamedTuple):
    """Where the power goes off: at the act of that number, before it or after it."""

    act: int
    side: str


class Traits(NamedTuple):
    """What kind of a target it is."""

    issues: bool
    overlaps: bool
    soaks: bool


EVERY_KIND = tuple(
    Traits(issues, overlaps, soaks)
    for issues in (True, False)
    for overlaps, soaks in ((True, True), (True, False), (False, False))
)
"""Each kind of target there can be: what does not overlap has nothing that could be brought back."""


class Known(NamedTuple):
    """A secret at the target."""

    value: str
    active: bool
    created: datetime
    used: datetime | None


class Imagined(Target):
    """A target in memory. `secrets` are what it knows, by identifier, oldest first."""

    replaces = ("key", "secret")

    def __init__(self, traits: Traits, world: "World", *, limit: int = 2) -> None:
        self.name = "the imagined target"
        self.issues, self.overlaps, self.soaks = traits
        self.secrets: dict[str, Known] = {}
        self.lose_answers = 0  # so many answers to `issue` get lost
        self.refuse_new = False  # nothing new is honoured (yet)
        self.away = False
        self.knows_use = True
        self._world, self._limit = world, limit

    # what it is asked

    def honours(self, material: Material) -> bool:
        known = self.secrets.get(material["key"].reveal())
        return known is not None and known.active and known.value == material["secret"].reveal()

    def use(self, material: Material) -> bool:
        """Use it as a consumer does."""
        taken = self.honours(material)
        if taken:
            name = material["key"].reveal()
            self.secrets[name] = self.secrets[name]._replace(used=self._world.now)
        return taken

    def make(self) -> dict[str, Secret]:
        """A secret of the kind that this target honours, which it does not know yet."""
        return {"key": Secret("K" + secrets.token_hex(6).upper()), "secret": Secret(secrets.token_hex(16))}

    def take(self, material: Material) -> None:
        """Honour it from now on."""
        name = material["key"].reveal()
        self.secrets[name] = Known(material["secret"].reveal(), True, self._world.now, None)

    # what a target does

    def identifier(self, material: Material) -> str:
        return material["key"].reveal()

    def survey(self, current: Material) -> tuple[str, ...]:
        self._reached()
        if not self.honours(current):
            raise Refused("the imagined target does not take the current secret")
        if self.issues and list(self.secrets) != [self.identifier(current)]:
            raise Refused("the imagined target has a secret that nobody knows")
        return tuple(self.secrets)

    def reconcile(self, journal: Journal, current: Material, known_here: frozenset[str]) -> None:
        self._reached()
        for name, known in list(self.secrets.items()):
            if name in journal.before:
                continue
            early, late = journal.begun - timedelta(minutes=5), journal.begun + timedelta(hours=1)
            if name in known_here or known.used or not early <= known.created <= late:
                raise Refused(f"the imagined target has a secret that is not ours: ...{name[-4:]}")
            with self._world.act(f"delete the stray {name}"):
                del self.secrets[name]

    def issue(self, journal: Journal, current: Material, known_here: frozenset[str]) -> Material:
        self._reached()
        if not self.issues:
            return self.make()
        for _ in range(3):
            self.reconcile(journal, current, known_here)
            if len(self.secrets) >= self._limit and self.overlaps:
                raise TargetFailed("the imagined target has as many secrets as it can have")
            new = self.make()
            with self._world.act("issue"):
                if self.overlaps:
                    self.take(new)
            if not self.lose_answers:
                return new
            self.lose_answers -= 1
        raise Incomplete("the imagined target does not answer")

    def apply(self, new: Material, current: Material) -> None:
        self._reached()
        if self.issues and self.overlaps:
            return
        self._set(new, current)

    def _set(self, new: Material, other: Material) -> None:
        """Honour it; without an overlap the other one ends with that."""
        if self.honours(new):
            return
        if not self.overlaps and not self.honours(other):
            raise TargetFailed("the imagined target takes neither the one nor the other")
        with self._world.act("apply"):
            if not self.overlaps:
                self.secrets.clear()
            self.take(new)

    def prove(self, material: Material) -> None:
        self._reached()
        if self.refuse_new or not self.honours(material):
            raise Incomplete("the imagined target does not take it yet")

    def last_use(self, old: Material) -> LastUse:
        self._reached()
        known = self.secrets.get(self.identifier(old))
        return LastUse(self.knows_use, known.used if known and self.knows_use else None)

    def deactivate(self, old: Material, current: Material) -> None:
        self._reached()
        if not self.honours(current):
            raise TargetFailed("no session: the current secret is not taken")
        with self._world.act("deactivate"):
            name = self.identifier(old)
            if name in self.secrets and self.soaks:
                self.secrets[name] = self.secrets[name]._replace(active=False)
            else:
                self.secrets.pop(name, None)

    def reactivate(self, old: Material, current: Material) -> None:
        self._reached()
        if not self.overlaps or not self.soaks:
            self._set(old, current)
            return
        with self._world.act("reactivate"):
            name = self.identifier(old)
            if name not in self.secrets:
                raise Refused("it is not there any more")
            self.secrets[name] = self.secrets[name]._replace(active=True)

    def delete(self, old: Material, current: Material) -> None:
        self._reached()
        with self._world.act("delete"):
            self.secrets.pop(self.identifier(old), None)

    def _reached(self) -> None:
        if self.away:
            raise TargetFailed("the imagined target is away")


class Paper:
    """The vault's file, in memory: what was saved last. It stands for `vault.store.Vault`."""

    def __init__(self) -> None:
        self.entries = Entries(kdbx.create("Test", secrets.token_bytes(32), CHEAP))
        self.path = Path("vault.kdbx")
        self.saved: kdbx.Kdbx = copy.deepcopy(self.entries.kdbx)
        self.version = self.opened = 0
        self.other_password = False
        self.full = 0  # so many saves fail

    def require_writable(self) -> None:
        """It always is."""

    def save(self, now: datetime) -> None:
        if self.full:
            self.full -= 1
            raise VaultNotSaved("the disk is full")
        if self.version != self.opened:
            raise VaultChanged("it was saved by another program")
        self.entries.kdbx.drop_unreferenced_attachments()
        self.saved = copy.deepcopy(self.entries.kdbx)
        self.version += 1
        self.opened = self.version

    def reload(self) -> None:
        if self.other_password:
            raise VaultLocked("the password does not open it")
        self.entries.replace(copy.deepcopy(self.saved))
        self.opened = self.version

    @contextmanager
    def elsewhere(self) -> Iterator[Entries]:
        """Another program opens the file, changes it, and saves."""
        entries = Entries(copy.deepcopy(self.saved))
        yield entries
        self.saved = entries.kdbx
        self.version += 1


class Filed:
    """A real vault file, used as `Paper` is."""

    def __init__(self, path: Path) -> None:
        self._vault = vaults.opened(path)
        self.path, self.entries = path, self._vault.entries
        self.require_writable, self.save, self.reload = (
            self._vault.require_writable, self._vault.save, self._vault.reload
        )  # fmt: skip

    @property
    def saved(self) -> kdbx.Kdbx:
        return vaults.opened(self.path).entries.kdbx


class World:
    """A credential, its target, its vault and its consumer."""

    entry_path = ("Group", "Entry")

    def __init__(
        self, traits: Traits, *, target: type[Imagined] = Imagined, vault: Paper | Filed | None = None, **row: object
    ) -> None:
        """`row` is what is special about the credential."""
        self.now = START
        self.acts: list[str] = []  # every effect and save so far
        self.cuts: list[Cut] = []
        self.complaints: list[str] = []  # what a consumer saw that it must not see
        self.said: list[str] = []
        self.noted: list[tuple[str, Mapping[str, str]]] = []
        self.stored_here: set[str] = set()
        self.backup_runs = self.host_away = False
        self.between: Callable[[], None] = lambda: None  # runs before each save: another program's moment
        self.machine, self.destinations, self.confirm_unused = "here", ("env",), False
        self.vault = vault or Paper()
        self.target = target(traits, self)
        self.row = credential(**row)
        self.consumer: dict[str, Secret] = self._furnish()
        self.first = dict(self.consumer)

    def _furnish(self) -> dict[str, Secret]:
        first = self.target.make()
        self.target.take(first)
        entry = self.vault.entries.add(self.entry_path, now=START - timedelta(days=400))
        fields = {
            "UserName": Attribute(first["key"], protected=False),
            "Password": Attribute(first["secret"]),
            "URL": Attribute(Secret("https://imagined.example"), protected=False),
            "chronos.rotated": Attribute(Secret(LAST_YEAR), protected=False),
        }
        self.vault.entries.change(entry, now=START - timedelta(days=399), fields=fields)
        self.vault.save(self.now)
        return first

    # --- cutting -----------------------------------------------------------------------------------------------------

    @contextmanager
    def act(self, what: str) -> Iterator[None]:
        """One effect that cannot be halved. A consumer looks after each."""
        self.acts.append(what)
        number = len(self.acts)
        if Cut(number, "before") in self.cuts:
            raise PowerCut
        yield
        self.look()
        if Cut(number, "after") in self.cuts:
            raise PowerCut

    def look(self) -> None:
        """Use what the consumer holds, as it does all the time."""
        if self.target.use(self.consumer):
            return
        changed = [act for act in self.acts if act in {"apply", "deliver"}]
        if self.target.overlaps or changed[-1:] != ["apply"]:  # else it was set and is about to be delivered
            self.complaints.append(f"after {', '.join(self.acts)}: the consumer's secret is refused")

    # --- running -----------------------------------------------------------------------------------------------------

    def engine(self) -> Engine:
        """The engine of a new process: the vault is opened anew."""
        self.vault.reload()
        values = Values(inventory(self.row), self.vault.entries)
        record = Record(
            self.vault, values, self.row, self.target.replaces,  # type: ignore[arg-type]  # Paper stands for a Vault
            now=lambda: self.now, zone=ZONE, save=self._save,
        )  # fmt: skip
        hooks = Hooks(self._deliver, lambda: self.backup_runs, self.said.append, self._note, self._known_here)
        return Engine(
            self.target, record, hooks,
            machine=self.machine, delivers=self.destinations, confirm_unused=self.confirm_unused,
        )  # fmt: skip

    def run(self) -> Outcome:
        """What the command does: go on, or begin where it is due, or nothing."""
        engine = self.engine()
        journal = engine.journal()
        if (journal and journal.under_way) or self.entry.plain("chronos.rotated") != LAST_YEAR:
            return engine.advance()
        return engine.begin()

    def command(self, word: str) -> Outcome | None:
        """`run`, `rollback` or `abandon`, and whatever was cut is run again; None where it is refused as already done."""
        while True:
            try:
                return self.run() if word == "run" else getattr(self.engine(), word)()
            except PowerCut:
                continue
            except Refused as error:
                if "under way" not in error.message or word == "run":
                    raise
                return None

    def until_quiet(self) -> Outcome:
        """Run on each day on which something can be done, until nothing is under way."""
        for _ in range(5):
            outcome = self.command("advance")
            assert outcome
            if not outcome.waiting:
                return outcome
            while self.today < (outcome.day or self.today):
                self.now += timedelta(days=1)
                self.look()
        raise AssertionError(f"it never ended: {outcome}")

    def _save(self) -> None:
        self.between()
        with self.act("save"):
            self.vault.save(self.now)

    def _deliver(self) -> None:
        if self.host_away:
            raise TargetFailed("the host is away")
        value = {
            field: Values(inventory(self.row), self.vault.entries).value("it", field) for field in ("key", "secret")
        }
        with self.act("deliver"):
            self.consumer = value

    def _note(self, what: str, detail: Mapping[str, str]) -> None:
        self.noted.append((what, detail))
        self.stored_here.add(detail.get("new", ""))

    def _known_here(self) -> frozenset[str]:
        return frozenset(self.stored_here)

    @property
    def today(self) -> date:
        return self.now.astimezone(ZONE).date()

    # --- looking -----------------------------------------------------------------------------------------------------

    @property
    def entry(self) -> Entry:
        """The entry as it is in the file."""
        found = Entries(self.vault.saved).at(self.entry_path)
        assert found is not None
        return found

    @property
    def current(self) -> dict[str, Secret]:
        """The secret that the file holds as the current one."""
        entry = self.entry
        return {"key": Secret(entry.username), "secret": entry.field("Password") or Secret("")}

    def faults(self) -> list[str]:
        """What is wrong at the end of a rotation."""
        entry, found = self.entry, list(self.complaints)
        if list(self.target.secrets) != [entry.username] or not self.target.honours(self.current):
            found.append(f"the target honours {list(self.target.secrets)}, the vault holds {entry.username}")
        if self.consumer != self.current:
            found.append("the consumer does not hold what the vault holds")
        names = [name for item in (entry, *entry.history) for name in (*item.attribute_names, *item.attachment_names)]
        found += [f"{name} is left" for name in names if name.startswith(("chronos.pending.", "chronos.previous."))]
        if len(entry.history) > 1:
            found.append(f"{len(entry.history)} items of the history were used")
        past = [item.field("Password") for item in entry.history]
        if self.current["secret"] != self.first["secret"] not in past:
            found.append("the old secret is not in the history")
        return found


Scenario = Callable[[World], None]


def explore(
    make: Callable[[], World], scenario: Scenario, faults: Callable[[World], list[str]]
) -> tuple[list[str], int]:
    """Play a scenario once for each place where it can be cut; what was wrong afterwards, and how many places."""
    calm = make()
    scenario(calm)
    found = [f"without a cut: {fault}" for fault in faults(calm)]
    cuts = [Cut(number, side) for number in range(1, len(calm.acts) + 1) for side in ("before", "after")]
    for cut in cuts:
        world = make()
        world.cuts.append(cut)
        scenario(world)
        found += [f"{cut.side} {calm.acts[cut.act - 1]} ({cut.act}): {fault}" for fault in faults(world)]
    return found, len(cuts)


def credential(**changed: object) -> Credential:
    """The row of the credential "it"."""
    row = Credential(
        id="it", kind="aws-access-key", title="It", purpose=None, entry=EntryPath(World.entry_path[:-1], "Entry"),
        rule=Every(Interval(1, "year")), rotated=None, expires=None, lead=DAYS, grace=DAYS, soak=DAYS, target=None,
        generate=None, paper=False, fields=PLACES, owner="operator", line=1,
    )  # fmt: skip
    return row._replace(**changed)


class _Only(NamedTuple):
    """Of an inventory, what finding a value needs."""

    credentials: dict[str, Credential]


def inventory(row: Credential) -> Inventory:
    """An inventory with one credential."""
    return _Only({row.id: row})  # type: ignore[return-value]
