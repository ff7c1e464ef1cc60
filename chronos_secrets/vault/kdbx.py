"""The KDBX file format: bytes in, a tree of entries out, and back. The only importer of pykeepass.

Only pykeepass's format code (`pykeepass.kdbx_parsing`) is used. Its `PyKeePass.save` and its setters are not: see
docs/adr/0002-the-vault-door.md for what they lose.
"""

import base64
import contextlib
import functools
import hashlib
import importlib
import logging
import re
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

from chronos_secrets import lean
from chronos_secrets.errors import VaultLocked, VaultUnreadable
from chronos_secrets.vault import document
from chronos_secrets.vault.kdf import MEBIBYTE, Kdf, MasterKey

_SIGNATURE = bytes.fromhex("03d9a29a67fb4bb5")
_KEEPASS_1 = bytes.fromhex("03d9a29a65fb4bb5")
_MEMORY_PROTECTED = b"\x01"  # the flag byte before each attachment in a KDBX 4 inner header
# Derivations by the UUID that KDBX 4 names them with (keepass.info/help/kb/kdbx_4.html).
_KDF_UUIDS = {
    "aes": bytes.fromhex("c9d9f39a628a4460bf740d08c18a4fea"),
    "argon2d": bytes.fromhex("ef636ddf8c29444b91f7a9a403e30a0c"),
    "argon2id": bytes.fromhex("9e298b1956db4773b23dfc3ec6f0a1e6"),
}
# New vaults: Argon2id as RFC 9106 advises, 64 MiB as KeePassXC takes by default, 10 passes (about half a CPU second).
NEW_KDF = Kdf("argon2id", b"", rounds=10, memory=64 * MEBIBYTE, lanes=2)


class Format(NamedTuple):
    """What the unencrypted header says: KDBX version, cipher ("aes256", "chacha20", "twofish") and key derivation."""

    version: tuple[int, int]
    cipher: str
    kdf: Kdf


class Kdbx:
    """One decrypted KDBX file: its header, its XML tree (lxml) and its attachments."""

    def __init__(self, parsed: Any) -> None:
        self._parsed = parsed

    @property
    def format(self) -> Format:
        return _format(self._parsed.header.value)

    @property
    def root(self) -> Any:
        """The lxml element <KeePassFile>."""
        return self._parsed.body.payload.xml.getroot()

    def attachment(self, reference: str) -> bytes | None:
        """The content that an entry's `Ref` attribute points to, or None where it points nowhere."""
        if self.format.version < (4, 0):
            return self._attachments().get(reference)
        binaries = self._parsed.body.payload.inner_header.binary
        known = reference.isdecimal() and len(reference) < 9 and int(reference) < len(binaries)
        return bytes(binaries[int(reference)].data[1:]) if known else None

    def add_attachment(self, content: bytes) -> str:
        """Store `content` in a KDBX 4 file; returns the `Ref` for the entry that holds it."""
        binaries = self._parsed.body.payload.inner_header.binary
        binaries.append(_library().Container(type="binary", data=_MEMORY_PROTECTED + content))
        return str(len(binaries) - 1)

    def drop_unreferenced_attachments(self) -> None:
        """Forget attachments that no entry and no history item refers to: a removed key must leave the file."""
        binaries = self._parsed.body.payload.inner_header.binary
        values = [value for value in self.root.iterfind("Root//Binary/Value") if value.get("Ref") is not None]
        used = sorted({int(value.get("Ref")) for value in values if int(value.get("Ref")) < len(binaries)})
        renumbered = {str(old): str(new) for new, old in enumerate(used)}
        for value in values:
            value.set("Ref", renumbered.get(value.get("Ref"), value.get("Ref")))
        binaries[:] = [binaries[place] for place in used]

    def same_content(self, other: "Kdbx") -> bool:
        """Whether both hold the same tree and the same attachments."""
        text = _library().etree.tostring
        return bool(text(self.root) == text(other.root)) and self._attachments() == other._attachments()

    def build(self, key: MasterKey) -> bytes:
        """The bytes of the file, with new random seeds, encrypted under `key` derived for the salt that they carry."""
        library = _library()
        derived = key.derive(self.format.kdf)
        with _translated("it cannot be encoded"):
            library.rotate_seeds(self._parsed, rotate_kdf_salt=False)
            built: bytes = library.KDBX.build(
                self._parsed, password=None, keyfile=None, transformed_key=derived, decrypt=True
            )
        return built

    def with_argon2id(self, salt: bytes) -> "Kdbx":
        """The same content as KDBX 4 under `NEW_KDF` with `salt` (32 random bytes); this object is used up by it."""
        if self.format.version < (4, 0):
            attachments = self._attachments()  # before the tree loses them
            return _assembled(document.modernised(self.root), attachments, NEW_KDF._replace(salt=salt))
        parameters = _kdf_parameters(NEW_KDF._replace(salt=salt))
        self._parsed.header.value.dynamic_header.kdf_parameters.data = parameters
        return self

    def _attachments(self) -> dict[str, bytes]:
        if self.format.version < (4, 0):
            return document.attachments_in_xml(self.root)
        binaries = self._parsed.body.payload.inner_header.binary
        return {str(place): item.data[1:] for place, item in enumerate(binaries)}


def read_format(content: bytes) -> Format:
    """The header of a KDBX file, read without a key. Raises VaultUnreadable."""
    _check_signature(content)
    with _translated("its header is cut short or damaged"):
        header = _library().KDBX.header.parse(content)
        end = len(header.data)
        if header.value.major_version >= 4 and hashlib.sha256(header.data).digest() != content[end : end + 32]:
            raise VaultUnreadable("its header is damaged: the checksum does not match")
        return _format(header.value)


def decrypt(content: bytes, key: MasterKey) -> Kdbx:
    """Open a KDBX file. Raises VaultLocked when the key is not its key, VaultUnreadable when the file is broken."""
    derived = key.derive(read_format(content).kdf)
    library = _library()
    with _translated("its content is cut short or damaged"):
        try:
            parsed = library.KDBX.parse(content, password=None, keyfile=None, transformed_key=derived, decrypt=True)
        except library.ChecksumError as error:
            if str(error.path).endswith("cred_check"):
                raise VaultLocked("the password or key file does not open it") from None
            raise VaultUnreadable("its content is damaged: a checksum does not match") from None
        opened = Kdbx(parsed)
        if opened.root.find("Root/Group") is None:
            raise VaultUnreadable("it holds no group of entries")
        if opened.format.version < (4, 0):
            _check_old(parsed.header.data, opened.root)
    return opened


def create(name: str, salt: bytes, kdf: Kdf = NEW_KDF) -> Kdbx:
    """An empty KDBX 4 vault called `name`, to be derived by `kdf` with `salt` (32 random bytes)."""
    return _assembled(_library().etree.fromstring(document.empty(name)), {}, kdf._replace(salt=salt))


def _check_signature(content: bytes) -> None:
    if not content:
        raise VaultUnreadable("it is empty")
    if content.startswith(_KEEPASS_1):
        raise VaultUnreadable("it is a KeePass 1 file; open it with KeePassXC and save it as KDBX 4")
    if len(content) < 12:
        raise VaultUnreadable("it is cut short")
    if not content.startswith(_SIGNATURE):
        raise VaultUnreadable("it is not a KeePassXC file")
    major = int.from_bytes(content[10:12], "little")
    if major not in (3, 4):
        raise VaultUnreadable(f"it has the unknown format version {major}; 3 and 4 can be read")


def _check_old(header: bytes, root: Any) -> None:
    """What only KDBX 3.1 can get wrong; without the hash, a damaged key of its protected values would go unseen."""
    expected = root.findtext("Meta/HeaderHash")
    if expected and base64.b64decode(expected) != hashlib.sha256(header).digest():
        raise VaultUnreadable("its header is damaged: the checksum does not match")
    document.attachments_in_xml(root)


def _format(header: Any) -> Format:
    version = (header.major_version, header.minor_version)
    dynamic = header.dynamic_header
    if version < (4, 0):
        kdf = Kdf("aes", bytes(dynamic.transform_seed.data), rounds=dynamic.transform_rounds.data)
        return Format(version, str(dynamic.cipher_id.data), kdf)
    values = {name: item.value for name, item in dynamic.kdf_parameters.data.dict.items()}
    names = {uuid: name for name, uuid in _KDF_UUIDS.items()}
    algorithm = names.get(bytes(values["$UUID"]))
    if algorithm is None:
        raise VaultUnreadable("it uses an unknown key derivation")
    if algorithm == "aes":
        kdf = Kdf("aes", bytes(values["S"]), rounds=int(values["R"]))
    else:
        kdf = Kdf(algorithm, bytes(values["S"]), *(int(values[name]) for name in "IMPV"))
    return Format(version, str(dynamic.cipher_id.data), kdf)


def _assembled(root: Any, attachments: dict[str, bytes], kdf: Kdf) -> Kdbx:
    """A KDBX 4.0 file around `root`: AES-256, compressed, ChaCha20 for protected values."""
    library = _library()
    made = library.Container

    def item(key: str, name: str, data: Any) -> tuple[str, Any]:
        return name, made({key: name, "data": data})

    header = made(
        [
            item("id", "cipher_id", "aes256"),
            item("id", "compression_flags", made(compression=True)),
            item("id", "master_seed", bytes(32)),
            item("id", "encryption_iv", bytes(16)),
            item("id", "kdf_parameters", _kdf_parameters(kdf)),
            item("id", "end", b"\r\n\r\n"),
        ]
    )
    inner = made(
        [
            ("binary", library.ListContainer()),
            item("type", "protected_stream_id", "chacha20"),
            item("type", "protected_stream_key", bytes(64)),
            item("type", "end", b""),
        ]
    )
    signature = {"sig1": _SIGNATURE[:4], "sig2": _SIGNATURE[4:]}
    value = made(signature, minor_version=0, major_version=4, dynamic_header=header)
    payload = made(inner_header=inner, xml=root.getroottree())
    kdbx = Kdbx(made(header=made(value=value), body=made(payload=payload)))
    references = {old: kdbx.add_attachment(content) for old, content in attachments.items()}
    for reference in root.iterfind("Root//Binary/Value"):
        if reference.get("Ref") not in references:
            raise VaultUnreadable("an entry has an attachment whose content is not in the file")
        reference.set("Ref", references[reference.get("Ref")])
    return kdbx


def _kdf_parameters(kdf: Kdf) -> Any:
    """KDBX 4's dictionary of key derivation parameters (Argon2 only)."""
    made = _library().Container
    fields = [
        ("$UUID", 0x42, _KDF_UUIDS[kdf.algorithm]), ("I", 0x05, kdf.rounds), ("M", 0x05, kdf.memory),
        ("P", 0x04, kdf.lanes), ("S", 0x42, kdf.salt), ("V", 0x04, kdf.version),
    ]  # fmt: skip
    items = [(name, made(type=kind, key=name, value=value, next_byte=kind)) for name, kind, value in fields]
    items[-1][1].next_byte = 0  # pykeepass ends the dictionary at the item that is followed by a zero
    return made(version=b"\x00\x01", dict=made(items))


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn whatever the libraries raise on foreign bytes into VaultUnreadable."""
    try:
        yield
    except (VaultLocked, VaultUnreadable, ImportError):  # an incomplete installation is no damaged vault
        raise
    except Exception as error:  # construct and pykeepass raise what they like, plain Exception included
        raise VaultUnreadable(what) from error


class _NothingUnreadable(logging.Handler):
    """pykeepass only logs a protected value that it cannot decode, and goes on with its cipher text as the value."""

    def emit(self, record: logging.LogRecord) -> None:
        raise ValueError("a protected value cannot be decoded")


def _nothing_dropped(pattern: str, _: str, value: str) -> str:
    """In place of the `re.sub` by which pykeepass drops what XML cannot hold: a password would become another one."""
    if re.search(pattern, value):
        raise VaultUnreadable("a protected value holds control characters; find it with KeePassXC and type it anew")
    return value


@functools.cache
def _library() -> types.SimpleNamespace:
    """What we use of pykeepass, loaded without what we do not use (half of its import time).

    Its package file would import the classes we avoid; construct imports the debugger, and pycryptodomex prefers
    cffi's C parser over ctypes: none of it is needed to read a file.
    """
    with lean.without(packages=("pykeepass",), modules=("pdb",), hidden=("cffi",)):
        common = importlib.import_module("pykeepass.kdbx_parsing.common")
        kdbx = importlib.import_module("pykeepass.kdbx_parsing.kdbx")
        construct = importlib.import_module("construct")
    common.log.addHandler(_NothingUnreadable(logging.ERROR))
    common.log.propagate = False
    vars(common)["re"] = types.SimpleNamespace(sub=_nothing_dropped)
    return types.SimpleNamespace(
        KDBX=kdbx.KDBX, rotate_seeds=common.rotate_seeds, etree=common.etree, Container=construct.Container,
        ListContainer=construct.ListContainer, ChecksumError=construct.ChecksumError,
    )  # fmt: skip
