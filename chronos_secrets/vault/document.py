"""The XML of a KDBX file as KDBX 4 wants it: a new one, and an old one (KDBX 3.1) brought up to date."""

import base64
import uuid
import zlib
from datetime import UTC, datetime
from typing import Any

from chronos_secrets.errors import VaultUnreadable

_EPOCH = datetime(1, 1, 1, tzinfo=UTC)
_NO_UUID = base64.b64encode(bytes(16)).decode()
# Every element of KDBX 3.1 whose text is a time (keepass.info/help/kb/kdbx.html).
_TIMES = frozenset([
    "CreationTime", "LastModificationTime", "LastAccessTime", "ExpiryTime", "LocationChanged", "DeletionTime",
    "SettingsChanged", "DatabaseNameChanged", "DatabaseDescriptionChanged", "DefaultUserNameChanged",
    "MasterKeyChanged", "RecycleBinChanged", "EntryTemplatesGroupChanged",
])  # fmt: skip


def encode_time(when: datetime) -> str:
    """KDBX 4's text for a time: whole seconds since the year 1 (UTC), eight bytes, base64."""
    return base64.b64encode(int((when - _EPOCH).total_seconds()).to_bytes(8, "little")).decode()


def decode_time(text: str) -> datetime:
    """The time in KDBX 4's form or in KDBX 3.1's ISO form. Raises ValueError."""
    if "T" in text and "-" in text:
        return datetime.fromisoformat(text).astimezone(UTC)
    seconds = int.from_bytes(base64.b64decode(text), "little")
    return datetime.fromtimestamp(seconds + int(_EPOCH.timestamp()), UTC)


def new_uuid() -> str:
    """A new random UUID in the form KDBX keeps it."""
    return base64.b64encode(uuid.uuid4().bytes).decode()


def hex_uuid(text: str) -> str:
    """The 32 hex digits of a UUID kept as base64, as KeePassXC shows them in a reference."""
    return base64.b64decode(text).hex().upper()


def element(markup: str) -> Any:
    """The lxml element that `markup` describes."""
    from lxml import etree

    return etree.fromstring(markup)


def empty(name: str) -> bytes:
    """The XML of an empty vault: one root group called `name`, a recycle bin to be made, ten history items."""
    now = encode_time(datetime.now(UTC))
    return f"""<KeePassFile><Meta><Generator>chronos-secrets</Generator>
<DatabaseName>{_escaped(name)}</DatabaseName><DatabaseNameChanged>{now}</DatabaseNameChanged>
<DatabaseDescription/><DatabaseDescriptionChanged>{now}</DatabaseDescriptionChanged>
<DefaultUserName/><DefaultUserNameChanged>{now}</DefaultUserNameChanged>
<MaintenanceHistoryDays>365</MaintenanceHistoryDays><Color/>
<MasterKeyChanged>{now}</MasterKeyChanged><MasterKeyChangeRec>-1</MasterKeyChangeRec>
<MasterKeyChangeForce>-1</MasterKeyChangeForce>
<MemoryProtection><ProtectTitle>False</ProtectTitle><ProtectUserName>False</ProtectUserName>
<ProtectPassword>True</ProtectPassword><ProtectURL>False</ProtectURL><ProtectNotes>False</ProtectNotes>
</MemoryProtection><RecycleBinEnabled>True</RecycleBinEnabled><RecycleBinUUID>{_NO_UUID}</RecycleBinUUID>
<RecycleBinChanged>{now}</RecycleBinChanged><EntryTemplatesGroup>{_NO_UUID}</EntryTemplatesGroup>
<EntryTemplatesGroupChanged>{now}</EntryTemplatesGroupChanged><LastSelectedGroup>{_NO_UUID}</LastSelectedGroup>
<LastTopVisibleGroup>{_NO_UUID}</LastTopVisibleGroup><HistoryMaxItems>10</HistoryMaxItems>
<HistoryMaxSize>6291456</HistoryMaxSize><SettingsChanged>{now}</SettingsChanged></Meta>
<Root>{group(name, now)}<DeletedObjects/></Root></KeePassFile>""".replace("\n", "").encode()


def _escaped(text: str) -> str:
    """Text as XML content; `xml.sax.saxutils` has the same and imports an HTTP client for it."""
    return text.translate({38: "&amp;", 60: "&lt;", 62: "&gt;"})


def group(name: str, now: str) -> str:
    """The XML of an empty group."""
    return (
        f"<Group><UUID>{new_uuid()}</UUID><Name>{_escaped(name)}</Name><Notes/><IconID>48</IconID>{times(now)}"
        "<IsExpanded>True</IsExpanded><DefaultAutoTypeSequence/><EnableAutoType>null</EnableAutoType>"
        f"<EnableSearching>null</EnableSearching><LastTopVisibleEntry>{_NO_UUID}</LastTopVisibleEntry></Group>"
    )


def entry(title: str, now: str) -> str:
    """The XML of an entry with a title and an empty password."""
    text = "".join(f"<String><Key>{key}</Key><Value/></String>" for key in ("UserName", "URL", "Notes"))
    return (
        f"<Entry><UUID>{new_uuid()}</UUID><IconID>0</IconID><ForegroundColor/><BackgroundColor/><OverrideURL/><Tags/>"
        f"{times(now)}<String><Key>Title</Key><Value>{_escaped(title)}</Value></String>{text}"
        '<String><Key>Password</Key><Value Protected="True"/></String>'
        "<AutoType><Enabled>True</Enabled><DataTransferObfuscation>0</DataTransferObfuscation><DefaultSequence/>"
        "</AutoType><History/></Entry>"
    )


def times(now: str) -> str:
    """The XML of the times of something made now that does not expire."""
    stamps = "".join(
        f"<{name}>{now}</{name}>"
        for name in ("LastModificationTime", "CreationTime", "LastAccessTime", "ExpiryTime", "LocationChanged")
    )
    return f"<Times>{stamps}<Expires>False</Expires><UsageCount>0</UsageCount></Times>"


def modernised(root: Any) -> Any:
    """Turn the tree of a KDBX 3.1 file into KDBX 4's: times in base64, no attachments or header hash in <Meta>.

    Raises VaultUnreadable for a time that is none and for attachments kept inside an entry (KeePass before 2.20).
    """
    for element in root.iter(*_TIMES):
        if element.text:
            element.text = _modern_time(element.text)
    meta = root.find("Meta")
    for name in ("HeaderHash", "Binaries"):
        for element in meta.findall(name):
            meta.remove(element)
    if any(value.get("Ref") is None for value in root.iterfind("Root//Binary/Value")):
        raise VaultUnreadable("it keeps attachments in a way that only old versions of KeePass used")
    return root


def _modern_time(text: str) -> str:
    try:
        return encode_time(decode_time(text))
    except (ValueError, OverflowError) as error:
        raise VaultUnreadable("it holds a time that cannot be read") from error


def attachments_in_xml(root: Any) -> dict[str, bytes]:
    """The attachments of a KDBX 3.1 file, which stand in its XML, by their `Ref`. Raises ValueError, zlib.error."""
    found = {}
    for element in root.iterfind("Meta/Binaries/Binary"):
        if element.get("Protected") == "True":
            raise VaultUnreadable("it holds memory-protected attachments, which cannot be read")
        content = base64.b64decode(element.text or "")
        if element.get("Compressed") == "True":
            content = zlib.decompress(content, zlib.MAX_WBITS | 32)
        found[element.get("ID")] = content
    return found
