"""Vault files for tests, written by pykeepass (not by us), and what an honest reader must find in them."""

import base64
import contextlib
import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chronos_secrets.secret import Secret
from chronos_secrets.vault.kdf import Kdf, MasterKey

if TYPE_CHECKING:
    from pykeepass import PyKeePass

    from chronos_secrets.vault.store import Places, Vault

PASSWORD = "correct horse"
CHEAP = Kdf("argon2d", b"", rounds=1, memory=8 * 1024, lanes=1)  # the least that Argon2 and KeePassXC accept
KDFS = {"aes": Kdf("aes", b"", rounds=600), "argon2d": CHEAP, "argon2id": CHEAP._replace(algorithm="argon2id")}
CIPHERS = ("aes256", "chacha20", "twofish")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

# What people and programs really store.
NASTY = {
    "unicode": "žluťoučký 漢字 \U0001f600 é",
    "quotes": 'it\'s "quoted" `back` \\ and \\n',
    "markup": "<a>&amp;]]>&#10;</Value>",
    "lines": "one\ntwo\r\nthree\tfour\n",
    "return": "\rafter",
    "empty": "",
    "spaces": "   ",
    "around": "  inner  ",
    "line-end": "\n",
    "dollars": "$HOME ${HOME} $(id) %s %% #; !",
    "braces": "{TITLE} {PASSWORD} {REF: no {{ jinja }}",
    "no-break": "\u00a0a\u2028b\u00a0",
    "long": "0123456789" * 700,
}
REFERENCES = {"first": "last", "second": "last", "third": "last"}
DANGLING, CIRCULAR = ("References", "dangling"), ("References", "circular")
SLASH, QUOTES = ("Domain & DNS", "a/b"), ("Domain & DNS", "both \"double\" and 'single'")
TWICE, TRASHED, HISTORY = ("Twice", "same"), ("Recycle Bin", "thrown away"), ("History",)
ATTACHMENTS, EXPIRING = ("SSH Keys", "attachments"), ("Expiring",)
PAST_PASSWORDS = tuple(f"password {number}" for number in range(12))
_KDF_UUIDS = {
    "aes": bytes.fromhex("c9d9f39a628a4460bf740d08c18a4fea"),
    "argon2d": bytes.fromhex("ef636ddf8c29444b91f7a9a403e30a0c"),
    "argon2id": bytes.fromhex("9e298b1956db4773b23dfc3ec6f0a1e6"),
}


def key(password: str | None = PASSWORD, key_file: bytes | None = None) -> MasterKey:
    """What opens a test vault."""
    return MasterKey(None if password is None else Secret(password), key_file)


def places(folder: Path) -> "Places":
    """A safety net below `folder`."""
    from chronos_secrets.vault.store import Places

    return Places(locks=folder / "locks", previous=folder / "previous")


def opened(path: Path, password: str | None = PASSWORD, key_file: bytes | None = None) -> "Vault":
    """The vault at `path`, with its safety net in the folder `state` beside it."""
    from chronos_secrets.vault.store import Vault

    return Vault.open(path, key(password, key_file), places(path.parent / "state"))


def ours(path: Path, kdf: Kdf = CHEAP, master: MasterKey | None = None) -> Path:
    """An empty vault that our own door made."""
    from chronos_secrets.vault import kdbx, store

    store.write_new(path, kdbx.create("Test", secrets.token_bytes(32), kdf), master or key())
    return path


def kdbx4(
    path: Path,
    *,
    kdf: Kdf = CHEAP,
    cipher: str = "aes256",
    password: str | None = PASSWORD,
    key_file: Path | None = None,
) -> Path:
    """An empty KDBX 4.0 vault that pykeepass wrote."""
    from construct import Container

    from chronos_secrets.vault import kdbx

    start = kdbx.create("Test", secrets.token_bytes(32), CHEAP).build(key())
    vault = _pykeepass(start, PASSWORD)
    header = vault.kdbx.header.value.dynamic_header
    header.cipher_id.data = cipher
    header.kdf_parameters.data = Container(version=b"\x00\x01", dict=_kdf_items(kdf))
    vault._password, vault._keyfile = password, None if key_file is None else str(key_file)
    path.write_bytes(_saved(vault))
    return path


def kdbx31(path: Path, *, rounds: int = 600, cipher: str = "aes256") -> Path:
    """An empty KDBX 3.1 vault that pykeepass wrote, with the header hash that KeePassXC checks."""
    from construct import Container
    from lxml import etree

    def item(name: str, data: Any) -> tuple[str, Any]:
        return name, Container(id=name, data=data)

    header = Container([
        item("cipher_id", cipher), item("compression_flags", Container(compression=True)),
        item("master_seed", bytes(32)),
        item("transform_seed", secrets.token_bytes(32)), item("transform_rounds", rounds),
        item("encryption_iv", bytes(12 if cipher == "chacha20" else 16)), item("protected_stream_key", bytes(32)),
        item("stream_start_bytes", bytes(32)), item("protected_stream_id", "salsa20"), item("end", b"\r\n\r\n"),
    ])  # fmt: skip
    signature = {"sig1": bytes.fromhex("03d9a29a"), "sig2": bytes.fromhex("67fb4bb5")}
    value = Container(signature, minor_version=1, major_version=3, dynamic_header=header)
    tree = etree.ElementTree(etree.fromstring(_EMPTY_31))
    made = Container(header=Container(value=value), body=Container(payload=Container(xml=tree)))
    path.write_bytes(_built(made, PASSWORD, None))
    return path


@contextlib.contextmanager
def edited(path: Path, password: str | None = PASSWORD, key_file: Path | None = None) -> Iterator["PyKeePass"]:
    """The vault opened by pykeepass; written back when the block ends."""
    vault = _pykeepass(path.read_bytes(), password, key_file)
    yield vault
    path.write_bytes(_saved(vault))


def _pykeepass(content: bytes, password: str | None, key_file: Path | None = None) -> "PyKeePass":
    from pykeepass import PyKeePass

    return PyKeePass(io.BytesIO(content), password=password, keyfile=None if key_file is None else str(key_file))


def _saved(vault: "PyKeePass") -> bytes:
    return _built(vault.kdbx, vault._password, vault._keyfile)


def _built(parsed: Any, password: str | None, key_file: str | None) -> bytes:
    """The file's bytes. The header hash of KDBX 3.1 stands inside what the header encrypts, so it is built twice."""
    from pykeepass.kdbx_parsing import KDBX
    from pykeepass.kdbx_parsing.common import rotate_seeds

    def build() -> bytes:
        return KDBX.build(parsed, password=password, keyfile=key_file, transformed_key=None, decrypt=True)

    rotate_seeds(parsed)
    if parsed.header.value.major_version >= 4:
        return build()
    meta = parsed.body.payload.xml.getroot().find("Meta")
    head = KDBX.header.parse(build()).data
    meta.find("HeaderHash").text = base64.b64encode(hashlib.sha256(head).digest()).decode()
    return build()


def _kdf_items(kdf: Kdf) -> Any:
    from construct import Container

    salt, rounds = ("S", 0x42, secrets.token_bytes(32)), ("R" if kdf.algorithm == "aes" else "I", 0x05, kdf.rounds)
    fields = [("$UUID", 0x42, _KDF_UUIDS[kdf.algorithm]), rounds]
    if kdf.algorithm != "aes":
        fields += [("M", 0x05, kdf.memory), ("P", 0x04, kdf.lanes), ("V", 0x04, kdf.version)]
    items = [(name, Container(type=kind, key=name, value=value, next_byte=1)) for name, kind, value in (*fields, salt)]
    items[-1][1].next_byte = 0
    return Container(items)


def populate(path: Path, *, large: int = 1_000_000) -> None:
    """Fill a vault with everything that was ever mishandled; the constants above say where it is."""
    with edited(path) as vault:
        _add_nasty(vault)
        _add_references(vault)
        _add_attachments(vault, large)
        _add_history(vault)
        _add_twins_and_trash(vault)


def _entry(vault: "PyKeePass", path: tuple[str, ...], value: str = "p") -> Any:
    """A new entry. The title is set afterwards: pykeepass looks for it with XPath, which breaks on quotes."""
    group = vault.root_group
    for name in path[:-1]:
        group = next((each for each in group.subgroups if each.name == name), None) or vault.add_group(group, name)
    entry = vault.add_entry(group, secrets.token_hex(8), "user", value, force_creation=True)
    entry.title = path[-1]
    return entry


def _add_nasty(vault: "PyKeePass") -> None:
    for name, value in NASTY.items():
        entry = _entry(vault, ("Nasty", name), value)
        entry.username, entry.notes, entry.url = value, value, "https://example.org/?a=1&b=2"
        entry.set_custom_property("plain", value)
        entry.set_custom_property("hidden", value, protect=True)
    for path in (SLASH, QUOTES):
        _entry(vault, path, path[-1])
    entry = _entry(vault, EXPIRING)
    entry.expires, entry.expiry_time, entry.tags = True, NOW, ["one", "two words"]
    entry.otp = f"otpauth://totp/test?secret={base64.b32encode(secrets.token_bytes(20)).decode()}&period=30&digits=6"


def _add_references(vault: "PyKeePass") -> None:
    last = _entry(vault, ("References", "third"), REFERENCES["third"])
    second = _entry(vault, ("References", "second"), _reference("P", last))
    _entry(vault, ("References", "first"), _reference("P", second))
    _entry(vault, ("References", "by title"), "{REF:P@T:third}")
    _entry(vault, DANGLING, "{REF:P@I:" + secrets.token_hex(16).upper() + "}")
    circular = _entry(vault, CIRCULAR)
    circular.password = _reference("P", circular)


def _reference(field: str, entry: Any) -> str:
    return f"{{REF:{field}@I:{entry.uuid.hex.upper()}}}"


def _add_attachments(vault: "PyKeePass", large: int) -> None:
    entry = _entry(vault, ATTACHMENTS)
    for name, content in (("id_ed25519", os.urandom(411)), ("large", os.urandom(large)), ("empty", b"")):
        entry.add_attachment(vault.add_binary(content), name)


def _add_history(vault: "PyKeePass") -> None:
    entry = _entry(vault, HISTORY, PAST_PASSWORDS[0])
    for password in (*PAST_PASSWORDS[1:], "password now"):
        entry.save_history()
        entry.password = password


def _add_twins_and_trash(vault: "PyKeePass") -> None:
    for password in ("one", "other"):
        _entry(vault, TWICE, password)
    vault.trash_entry(_entry(vault, TRASHED[1:]))


def key_files(folder: Path) -> dict[str, Path]:
    """One key file of each kind that KeePassXC knows."""
    key = secrets.token_bytes(32)
    check = hashlib.sha256(key).hexdigest()[:8].upper()
    digits = key.hex().upper()
    words = [digits[place : place + 8] for place in range(0, 64, 8)]
    spread = f"{' '.join(words[:4])}\n{' '.join(words[4:])}"
    contents = {
        "xml-1": _key_xml("1.00", f"<Data>{base64.b64encode(key).decode()}</Data>"),
        "xml-2": _key_xml("2.0", f'<Data Hash="{check}">{digits}</Data>'),
        "xml-2-lines": _key_xml("2.0", f'<Data Hash="{check}">\n{spread}\n</Data>'),
        "raw": key,
        "hex": digits.encode(),
        "any": secrets.token_bytes(500),
        "any-64": b"z" * 64,
        "hex-with-line-end": digits.encode() + b"\n",
    }
    made = {name: folder / f"{name}.key" for name in contents}
    for name, path in made.items():
        path.write_bytes(contents[name])
    return made


def _key_xml(version: str, data: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<KeyFile>\n<Meta>\n<Version>{version}</Version>\n</Meta>\n'
        f"<Key>\n{data}\n</Key>\n</KeyFile>\n"
    ).encode()


_STAMP = "2025-11-27T10:00:00Z"
_TIMES_31 = "".join(
    f"<{name}>{_STAMP}</{name}>"
    for name in ("CreationTime", "LastModificationTime", "LastAccessTime", "ExpiryTime", "LocationChanged")
)
_NOBODY = base64.b64encode(bytes(16)).decode()
_EMPTY_31 = f"""<KeePassFile><Meta><Generator>pykeepass</Generator><HeaderHash/>
<DatabaseName>Old</DatabaseName><DatabaseNameChanged>{_STAMP}</DatabaseNameChanged>
<DatabaseDescription/><DatabaseDescriptionChanged>{_STAMP}</DatabaseDescriptionChanged>
<DefaultUserName/><DefaultUserNameChanged>{_STAMP}</DefaultUserNameChanged>
<MaintenanceHistoryDays>365</MaintenanceHistoryDays><Color/><MasterKeyChanged>{_STAMP}</MasterKeyChanged>
<MasterKeyChangeRec>-1</MasterKeyChangeRec><MasterKeyChangeForce>-1</MasterKeyChangeForce>
<MemoryProtection><ProtectTitle>False</ProtectTitle><ProtectUserName>False</ProtectUserName>
<ProtectPassword>True</ProtectPassword><ProtectURL>False</ProtectURL><ProtectNotes>False</ProtectNotes></MemoryProtection>
<RecycleBinEnabled>True</RecycleBinEnabled><RecycleBinUUID>{_NOBODY}</RecycleBinUUID>
<RecycleBinChanged>{_STAMP}</RecycleBinChanged><EntryTemplatesGroup>{_NOBODY}</EntryTemplatesGroup>
<EntryTemplatesGroupChanged>{_STAMP}</EntryTemplatesGroupChanged><HistoryMaxItems>10</HistoryMaxItems>
<HistoryMaxSize>6291456</HistoryMaxSize><LastSelectedGroup>{_NOBODY}</LastSelectedGroup>
<LastTopVisibleGroup>{_NOBODY}</LastTopVisibleGroup><Binaries/><CustomData/></Meta>
<Root><Group><UUID>{base64.b64encode(os.urandom(16)).decode()}</UUID><Name>Root</Name><Notes/><IconID>48</IconID>
<Times>{_TIMES_31}<Expires>False</Expires><UsageCount>0</UsageCount></Times><IsExpanded>True</IsExpanded>
<DefaultAutoTypeSequence/><EnableAutoType>null</EnableAutoType><EnableSearching>null</EnableSearching>
<LastTopVisibleEntry>{_NOBODY}</LastTopVisibleEntry></Group><DeletedObjects/></Root></KeePassFile>""".replace("\n", "")
