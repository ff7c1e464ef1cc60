"""Values of the vault, found in any text without the vault.

`review/known.py` puts an index of keyed fingerprints into each project's state folder whenever the vault was opened;
its key lies under another root. Of each needle (a value, in one encoding) the index has the fingerprint of the whole
and the hash of one window of eight bytes within it, its anchor. A text is searched in three steps, each cheap enough
to leave little for the next: its distinct words that were not met before; the hash of each of their windows, 24 bits
of it, computed for whole blocks at once; the fingerprint of the needle at every place where an anchor's window stands.

A needle without eight bytes free of white space (words of a pass-phrase) is anchored at the end of one of its words:
the window is that end, filled up with line ends.
"""

import os
from bisect import bisect_left, bisect_right

from chronos_secrets.scan import sealed
from chronos_secrets.scan.found import CERTAIN, Match, Trouble
from chronos_secrets.scan.windows import WINDOW, hashed, plane, tables, windows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

APPLICATION = "chronos-secrets"
RULE = "known-value"
FILL = b"\n" * (WINDOW - 1)
"""What fills up the window at the end of a word."""
RECORD = 32
"""Bytes of a record: anchor's offset in the needle 4, needle's length 4, owner 3, form 1, line 3, unused 1, tag 16."""
FORMS = (
    "", "URL-encoded", "JSON", "HTML", "hex", "base64", "URL-safe base64", "quoted", "Latin-1", "one word",
)  # fmt: skip
"""How a needle is written. A record holds the place in this table, so it only grows at its end."""
_BLOCK, _SLICE = 1 << 18, 1 << 14  # bytes looked at together: words, and windows (small enough for the cache)
_WORDS_KEPT = 1 << 15  # in each of two generations
_NEAR, _LINE = 24, 96  # bytes between two lines of one value (line end, indentation, quotes), and of one between them


class Index:
    """The known values of one project."""

    def __init__(self, project: str, content: bytes, key: bytes) -> None:
        """From the bytes of the two files. Raises Trouble, whose message follows "the index ...: "."""
        if len(key) != sealed.KEY_SIZE:
            raise sealed.WrongKey("its key is cut short or damaged")
        self.project = project
        self._key = key
        self._nonce, body = sealed.opened(key, content)
        sizes = self._unmasked(b"sizes", body[:64])
        numbers = [int.from_bytes(sizes[at : at + 8], "little") for at in range(0, 64, 8)]
        self.made, self.values, self.needles, self._has_ends, *lengths = numbers
        parts, at = [], 64
        for length in (5 * self.needles, RECORD * self.needles, *lengths[:3]):
            parts.append(body[at : at + length])
            at += length
        masked, self._records, self._facts, self._names, self._left = parts
        hashes = memoryview(self._unmasked(b"hashes", masked))
        self._order = hashes[: 4 * self.needles].cast("I")
        self._checks = hashes[4 * self.needles :]
        self._anchors = frozenset(self._order)
        self._tables = tables(key)
        self._met: set[bytes] = set()
        self._met_before: set[bytes] = set()
        self._ends_met: set[bytes] = set()
        self._owners: list[str] | None = None

    def __repr__(self) -> str:
        return f"<known values of {self.project}>"

    @property
    def vault(self) -> str:
        """The path of the vault file that the values are from."""
        return self._texts(b"facts", self._facts)[0]

    def vault_changed(self) -> bool | None:
        """Whether the vault file was saved since the index was made; None where there is no such file now."""
        path, stamp = self._texts(b"facts", self._facts)
        try:
            return sealed.stamp_of(path) != stamp
        except OSError:
            return None

    def left_out(self) -> "list[tuple[str, str]]":
        """Each value of the vault that is not looked for, by the name of its entry, and why."""
        texts = self._texts(b"left", self._left)
        return list(zip(texts[::2], texts[1::2], strict=True))

    def find(self, text: bytes) -> "list[Match]":
        """Every known value in `text`, glued to whatever. Not for two threads at once: words that were met are kept."""
        places: dict[tuple[int, int], bytes] = {}
        tried: set[bytes] = set()
        for start in range(0, len(text) - WINDOW + 1 if self.needles else 0, _BLOCK):
            for window, numbers in self._suspects(text[start : start + _BLOCK + WINDOW - 1]).items():
                if window not in tried:
                    tried.add(window)
                    self._verify(text, window, numbers, places)
        return self._matches(text, places) if places else []

    def _suspects(self, block: bytes) -> "dict[bytes, list[int]]":
        """The windows in new words of a block that are anchors, each with the numbers of its records."""
        new = set(block.split()).difference(self._met, self._met_before)
        found = self._anchored(b"\n".join([word for word in new if len(word) >= WINDOW]))
        if self._has_ends:
            ends = {word[1 - WINDOW :] for word in new}.difference(self._ends_met)
            found |= self._anchored(FILL.join(ends) + FILL)
            if len(self._ends_met) > _WORDS_KEPT:
                self._ends_met.clear()
            self._ends_met.update(() if found else ends)
        if not found:  # a word with an anchor is looked at in every text: what stands around it may be the needle's
            self._remember(new)
        return found

    def _remember(self, words: "set[bytes]") -> None:
        if len(self._met) > _WORDS_KEPT:
            self._met_before, self._met = self._met, set()
        self._met.update([word for word in words if len(word) < 128])

    def _anchored(self, joined: bytes) -> "dict[bytes, list[int]]":
        found: dict[bytes, list[int]] = {}
        for start in range(0, len(joined) - WINDOW + 1, _SLICE):
            part = joined[start : start + _SLICE + WINDOW - 1]
            hashes = hashed(self._tables[:3], part)
            for number in self._anchors.intersection(memoryview(hashes).cast("I")):
                for window in windows(part, hashes, number):
                    if numbers := self._anchored_by(number, window):
                        found[window] = numbers
        return found

    def _anchored_by(self, number: int, window: bytes) -> "list[int]":
        """The numbers of the records whose anchor has the hash of `window`: 24 bits, `number`, and eight more."""
        check = plane(self._tables[3], window)[0]
        first = bisect_left(self._order, number)
        after = bisect_right(self._order, number, first)
        return [each for each in range(first, after) if self._checks[each] == check]

    def _record(self, number: int) -> bytes:
        """One record, unmasked."""
        masked = self._records[number * RECORD : (number + 1) * RECORD]
        block, at = divmod(number * RECORD, sealed.BLOCK)
        mask = sealed.stream(self._key, self._nonce, b"records", block, 1)[at : at + RECORD]
        return sealed.mixed(masked, mask)

    def _verify(self, text: bytes, window: bytes, numbers: "list[int]", places: "dict[tuple[int, int], bytes]") -> None:
        """Add each needle that stands in `text` with its anchor at `window`."""
        records = [(number_at(each, 0), number_at(each, 4), each) for each in map(self._record, numbers)]
        anchor = window.rstrip(b"\n")
        at = text.find(anchor)
        while at >= 0:
            for offset, length, record in records:
                start = at - offset  # before the text's beginning, what is cut out is shorter
                needle = text[start : start + length]
                if len(needle) == length and sealed.keyed(self._key, b"needle", needle) == record[16:]:
                    places.setdefault((start, start + length), record)
            at = text.find(anchor, at + 1)

    def _matches(self, text: bytes, places: "dict[tuple[int, int], bytes]") -> "list[Match]":
        """One match for each place; what lies within a longer one is left out, lines of one value are put together."""
        kept: list[tuple[int, int, bytes, int]] = []  # start, end, record, last line
        for start, end in sorted(places, key=lambda place: (place[0], -place[1])):
            record = places[start, end]
            line = number_at(record, 12, 3)
            if kept and end <= kept[-1][1]:
                continue
            if kept and line and _goes_on(kept[-1], start, record):
                kept[-1] = (kept[-1][0], end, kept[-1][2], line)
            else:
                kept.append((start, end, record, line))
        return [
            Match(RULE, CERTAIN, start, end, text[start:end], self._reason(record, last))
            for start, end, record, last in kept
        ]

    def _reason(self, record: bytes, last: int) -> str:
        if self._owners is None:
            self._owners = self._texts(b"names", self._names)
        what, first = self._owners[number_at(record, 8, 3)], number_at(record, 12, 3)
        if first:  # a line of it
            what = f"line {first} of {what}" if first == last else f"lines {first} to {last} of {what}"
        return f"{what}, as {FORMS[record[11]]}" if record[11] else what

    def _texts(self, section: bytes, masked: "memoryview") -> "list[str]":
        return sealed.unpacked(self._unmasked(section, masked))

    def _unmasked(self, section: bytes, masked: "memoryview") -> bytes:
        return sealed.masked(self._key, self._nonce, section, bytes(masked))


def _goes_on(before: "tuple[int, int, bytes, int]", start: int, record: bytes) -> bool:
    """Whether a line that begins at `start` belongs to the lines before it, even if some between are not known."""
    _, end, first, last = before
    between = number_at(record, 12, 3) - last - 1
    return record[8:12] == first[8:12] and start - end <= _NEAR + between * (_NEAR + _LINE)


def number_at(record: bytes, at: int, size: int = 4) -> int:
    """A number within a record."""
    return int.from_bytes(record[at : at + size], "little")


# --- the indexes of this machine ---------------------------------------------------------------------------------


def folders() -> "tuple[str, str] | None":
    """The folders below which each project has its index and its key; None where no home is known."""
    state = _base("XDG_STATE_HOME", ".local/state")
    data = _base("XDG_DATA_HOME", ".local/share")
    return (os.path.join(state, APPLICATION), os.path.join(data, APPLICATION)) if state and data else None


def projects() -> "list[tuple[str, Index | Trouble]]":
    """Every project that has an index on this machine, by name, with the index or with why it cannot be used."""
    found = folders()
    if found is None:
        return []
    state, data = found
    try:
        names = sorted(entry.name for entry in os.scandir(state))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise Trouble(f"the folder {state} cannot be read: {_reason(error)}", hint=f"ls -ld {state}") from None
    every = [(name, os.path.join(state, name, sealed.INDEX_NAME)) for name in names]
    return [
        (name, _read(name, path, os.path.join(data, name, sealed.KEY_NAME))) for name, path in every if _exists(path)
    ]


def load() -> "list[Index]":
    """The index of every project of this machine. Raises Trouble for the first that cannot be used."""
    found = projects()
    for _, index in found:
        if isinstance(index, Trouble):
            raise index
    return [index for _, index in found if isinstance(index, Index)]


def notes(indexes: "Sequence[Index]") -> "Iterator[str]":
    """What a person should know of the indexes that a scan goes by, for each a sentence."""
    if not indexes:
        yield "no vault was opened on this machine: values of a vault are not looked for, other secrets are"
    for index in indexes:
        if index.vault_changed():
            yield f"the vault of {index.project} was saved since its values were indexed: chronos-secrets check"


def _read(project: str, path: str, key: str) -> "Index | Trouble":
    try:
        return Index(project, sealed.read(path), sealed.read(key))
    except sealed.WrongKey as error:
        return _unusable(project, error.message, f"chronos-secrets check    # where {project} has its inventory")
    except Trouble as error:
        import shlex

        return _unusable(project, error.message, f"rm {shlex.quote(path)}; chronos-secrets check")
    except OSError as error:
        lost = f"{'its key' if error.filename == key else 'it'} cannot be read: {_reason(error)}"
        return _unusable(project, lost, f"chronos-secrets check    # where {project} has its inventory")


def _unusable(project: str, why: str, hint: str) -> Trouble:
    return Trouble(f"the index of the known values of {project} cannot be used: {why}", hint=hint)


def _exists(path: str) -> bool:
    """Whether there is something, even if we may not look at it: what cannot be read must not pass for absent."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _base(variable: str, default: str) -> str:
    """A base folder of the XDG specification, which says that a relative path is to be ignored."""
    given = os.environ.get(variable, "")
    if given.startswith("/"):
        return given
    home = os.environ.get("HOME", "") or _home_of_user()
    return os.path.join(home, default) if home else ""


def _home_of_user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
