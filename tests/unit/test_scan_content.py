"""What the bytes of a file hold: encodings, line ends, cuts, archives, base64, binaries, files on disk."""

import base64
import bz2
import gzip
import io
import lzma
import os
import random
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from chronos_secrets.scan import added, content, encoded, texts, unpacking
from chronos_secrets.scan.found import Piece, Unread
from chronos_secrets.scan.places import is_lock

MARK = b"the-needle-of-this-haystack"
LONG = os.environ.get("CHRONOS_LONG") == "1"


class Pipe:
    """A source that can only be read on, a few bytes less at a time than asked for."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, count: int, /) -> bytes:
        return self._file.read(max(1, count - 3)) if count else b""


def look(data: "bytes | Pipe", path: bytes = b"file") -> tuple[list[Piece], list[Unread]]:
    found = list(content.pieces(path, data))
    return [each for each in found if isinstance(each, Piece)], [each for each in found if isinstance(each, Unread)]


def places(pieces: Iterable[Piece | Unread], mark: bytes = MARK) -> list[tuple[str, int]]:
    """Where the mark stands: via and line, for each time that it is in a piece."""
    found = []
    for piece in pieces:
        at = piece.text.find(mark) if isinstance(piece, Piece) else -1
        while at >= 0:
            found.append((piece.via, piece.line_at(at)))
            at = piece.text.find(mark, at + 1)
    return found


def marked(data: "bytes | Pipe") -> list[tuple[str, int]]:
    pieces, unread = look(data)
    assert [each.reason for each in unread] == []
    return places(pieces)


TEXT = b"one\ntwo\npassword = " + MARK + b"\nfour\n"


def test_a_plain_text_is_one_piece_and_the_very_same_bytes():
    pieces, _ = look(TEXT)
    assert [(piece.text, piece.via, piece.path) for piece in pieces] == [(TEXT, "", b"file")]
    assert marked(TEXT) == [("", 3)]


def test_an_empty_file_has_nothing():
    assert look(b"") == ([], [])


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
def test_lines_are_counted_whatever_their_ends(end):
    assert marked(TEXT.replace(b"\n", end)) == [("", 3)]
    assert b"\r" not in look(TEXT.replace(b"\n", end))[0][0].text


def test_a_carriage_return_inside_a_line_is_no_line_end_where_others_are():
    assert marked(b"progress 1\rprogress 2\n" + MARK + b"\n") == [("", 2)]


def test_a_utf8_mark_is_no_part_of_the_text():
    pieces, _ = look(b"\xef\xbb\xbf" + TEXT)
    assert pieces[0].text == TEXT
    assert pieces[0].via == ""


@pytest.mark.parametrize("mark", [True, False], ids=["with a mark", "without a mark"])
@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_encodings_are_read(codec, mark):
    data = ("\ufeff".encode(codec) if mark else b"") + TEXT.decode().encode(codec)
    assert marked(data) == [(codec[:6], 3)]
    assert marked(data.replace("\n".encode(codec), "\r\n".encode(codec))) == [(codec[:6], 3)]


def test_utf16_is_read_in_a_text_that_is_mostly_chinese():
    text = "\u5bc6\u7801\n" * 200 + MARK.decode() + "\n"
    assert marked(text.encode("utf-16")) == [("utf-16", 201)]


def test_what_was_appended_to_a_utf16_file_in_another_encoding_is_seen():
    assert ("binary", 5) in marked("\ufeff".encode("utf-16-le") + b"a\0b\0\n\0" * 4 + MARK + b"\n")


def test_what_was_appended_to_a_text_in_utf16_is_seen():
    assert ("utf-16", 201) in marked(b"a plain line\n" * 200 + (MARK.decode() + "\n").encode("utf-16-le"))


def test_nul_bytes_do_not_hide_a_text():
    assert marked(b"first line of a text\n\0" + TEXT) == [("", 4)]
    assert marked(b"USER=me\0PASSWORD=" + MARK + b"\0HOME=/\0") == [("", 1)]
    assert look(b"USER=me\0PASSWORD=" + MARK + b"\0")[0][0].text == b"USER=me PASSWORD=" + MARK + b" "


def test_latin1_is_text():
    assert marked("gr\u00fc\u00dfe\n".encode("latin-1") + TEXT) == [("", 4)]


def binary(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def test_printable_stretches_of_a_binary_are_seen_with_their_line():
    noise = binary(1, 5000)
    found = marked(noise + b"\n\0" + MARK + b"\0" + binary(2, 100))
    assert found == [("binary", noise.count(b"\n") + 2)]
    assert marked(noise + b"\0\0" + MARK.decode().encode("utf-16-le") + b"\1\1") == [("binary", noise.count(b"\n") + 1)]


def test_nothing_joins_across_the_bytes_between_two_stretches_of_a_binary():
    pieces, _ = look(b"\0\1\2\3" * 50 + b"password=\1\2hunter-two-three\nnext-line-follows\n" + b"\0\1\2\3" * 50)
    assert pieces[0].text == b"password=\n\nhunter-two-three\nnext-line-follows"
    assert pieces[0].numbers == [1, 0, 1, 2]


def test_a_stretch_that_two_blocks_of_a_binary_share_is_told_once():
    for shift in (0, 1, len(MARK) - 1, len(MARK)):
        first = binary(3, texts.PART - shift - 2) + b"\0\1"
        assert marked(Pipe(first + MARK + binary(4, 1000))) == [("binary", first.count(b"\n") + 1)]


def test_a_file_of_zeros_has_nothing_and_costs_no_memory():
    class Zeros:
        left = 300 << 20

        def read(self, count: int, /) -> bytes:
            count = min(count, self.left)
            self.left -= count
            return bytes(count)

    tracemalloc.start()
    assert list(content.pieces(b"file", Zeros())) == []
    assert tracemalloc.get_traced_memory()[1] < 30 << 20
    tracemalloc.stop()


# --- cuts


def lines_of(size: int, seed: int = 5, *, blank: bool = True) -> bytes:
    chance = random.Random(seed)
    made = [b"line %d of a long text" % each + b" x" * chance.randrange(40) for each in range(size // 50)]
    return b"\n".join(b"" if blank and each % 29 == 0 else line for each, line in enumerate(made))[:size]


@pytest.mark.parametrize("shift", [-4000, -100, -len(MARK), -len(MARK) // 2, 0, 1, 5000])
@pytest.mark.parametrize("blank", [True, False])
def test_a_secret_near_a_cut_is_in_one_piece_with_its_line(shift, blank):
    before = lines_of(texts.PART + shift, blank=blank)
    data = before + b"\n" + MARK + b"\n" + lines_of(2 * texts.PART, 6)
    assert marked(Pipe(data)) == [("", before.count(b"\n") + 2)]


def test_all_lines_of_a_long_text_are_told_once_and_in_order():
    data = lines_of(3 * texts.PART)
    pieces, _ = look(Pipe(data))
    assert len(pieces) == 4
    assert b"".join(piece.text for piece in pieces) == data
    assert [piece.first for piece in pieces] == [
        1 + b"".join(each.text for each in pieces[:index]).count(b"\n") for index in range(4)
    ]


@pytest.mark.parametrize("shift", [10, 40, 300, 700, 1500])
def test_a_cut_does_not_go_through_a_private_key(shift):
    key = b"-----BEGIN " + b"PRIVATE KEY-----\n" + b"QUJD" * 16 + b"\n" + b"\n".join([b"REVG" * 16] * 20)
    key += b"\n-----END " + b"PRIVATE KEY-----\n"
    data = lines_of(texts.PART - shift, blank=False) + b"\n" + key + lines_of(texts.PART)
    pieces, _ = look(Pipe(data))
    assert sum(key in piece.text for piece in pieces) == 1


@pytest.mark.parametrize("name", [b"password:", b"secret = (", b"  <key>password</key>", b"<password>"])
def test_a_cut_does_not_go_between_a_name_and_its_value(name):
    start = lines_of(texts.PART - len(name) - 9, blank=False) + b"\n"
    data = start + name + b"\n" + MARK * 3 + b"\n" + lines_of(texts.PART)
    pieces, _ = look(Pipe(data))
    assert sum(name + b"\n" + MARK in piece.text for piece in pieces) == 1


@pytest.mark.parametrize("shift", [0, 1, 13, len(MARK), 60, 70_000])
def test_a_secret_in_a_line_longer_than_a_part_is_in_one_piece(shift):
    row = b'{"name":"someone","number":12345},'
    before = (row * (texts.PART // len(row) + 1))[: texts.PART - shift]
    data = before + b'{"password":"' + MARK + b'"},' + row * 200_000
    assert marked(Pipe(data)) == [("", 1)]


@pytest.mark.parametrize("shift", [0, 1, 13, len(MARK) - 1, 600, 4000, 4100])
def test_a_secret_in_a_line_without_any_separator_is_whole_in_a_piece(shift):
    data = b"A" * (texts.PART - shift) + MARK + b"B" * texts.PART
    assert {*marked(Pipe(data))} == {("", 1)}


def test_a_carriage_return_and_its_line_feed_may_come_in_two_blocks():
    blocks = [b"one\r", b"\ntwo\r", b"\n", b"three"]
    assert b"".join(texts.lines(blocks)) == b"one\ntwo\nthree"


# --- base64


def in_base64(data: bytes) -> bytes:
    return base64.b64encode(data)


SECRET_TEXT = b"user: me\npassword: " + MARK + b"\nhost: example.org, and some more words\n"


@pytest.mark.parametrize(
    "form",
    [
        base64.b64encode,
        base64.urlsafe_b64encode,
        lambda data: in_base64(data).rstrip(b"="),
        lambda data: b"data:text/plain;base64," + in_base64(data),
        lambda data: b'  "file": "' + in_base64(data) + b'",',
    ],
)
def test_text_in_base64_is_read_and_has_the_line_of_its_run(form):
    pieces, _ = look(b"one\ntwo\n" + form(SECRET_TEXT) + b"\nfour\n")
    assert places(pieces) == [("base64", 3)]
    assert pieces[1].text == SECRET_TEXT


@pytest.mark.parametrize("indent", [b"", b"    ", b"\t"])
@pytest.mark.parametrize("width", [64, 76])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_base64_that_is_wrapped_over_lines_is_one_text(width, indent, end):
    whole = in_base64(SECRET_TEXT * 5)
    rows = [indent + whole[at : at + width] for at in range(0, len(whole), width)]
    pieces, _ = look(b"data: |" + end + end.join(rows) + end + b"other: 1" + end)
    assert [piece.text for piece in pieces[1:]] == [SECRET_TEXT * 5]
    assert {*places(pieces)} == {("base64", 2)}


def test_each_line_of_a_list_of_base64_texts_is_read():
    hashes = [random.Random(each).randbytes(32).hex().encode() for each in range(3)]
    texts_in_it = [b"words and words, number %d" % each + b" " + MARK for each in range(3)]
    lines = [line for pair in zip(hashes, map(in_base64, texts_in_it), strict=True) for line in pair]
    assert marked(b"\n".join(lines)) == [("base64", 2), ("base64", 4), ("base64", 6)]


def test_what_only_looks_like_base64_is_left_alone():
    chance = random.Random(7)
    noise = [
        b"-" * 79,
        b"_" * 60,
        b"A" * 200,
        chance.randbytes(64).hex().encode(),
        in_base64(chance.randbytes(600)),
        b"/usr/lib/python3/dist-packages/somewhere/deep/below/this/folder/module",
        b"an_identifier_that_is_really_much_longer_than_anybody_wants_to_type",
    ]
    assert len(look(b"\n".join(noise))[0]) == 1


def test_base64_in_base64_utf16_in_base64_and_gzip_in_base64_are_read():
    assert marked(in_base64(in_base64(SECRET_TEXT))) == [("base64, base64", 1)]
    assert marked(in_base64(SECRET_TEXT.decode().encode("utf-16-le"))) == [("base64, utf-16", 1)]
    assert marked(b"\n" + in_base64(gzip.compress(SECRET_TEXT))) == [("base64, gzip", 2)]


def test_base64_many_times_over_ends_with_a_reason():
    data = SECRET_TEXT
    for _ in range(6):
        data = in_base64(data)
    _, unread = look(data)
    assert [each.reason for each in unread] == ["texts in base64 stand in each other more than 4 deep"]


def test_a_run_of_base64_that_a_cut_divides_is_read_on():
    line = in_base64(SECRET_TEXT * 100_000)
    assert {*marked(Pipe(b"x" + line))} == {("base64", 1)}


def test_a_megabyte_of_wrapped_binary_base64_costs_no_more_than_reading_it():
    rows = [in_base64(binary(each, 48)) for each in range(16_000)]
    assert list(encoded.blobs(b"\n".join(rows))) == []


# --- archives


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return made.getvalue()


def tarred(members: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


MEMBERS = {"a/first.txt": b"nothing here\n", "a/\u00fc second.env": TEXT}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_of_a_zip_file_are_read(method):
    assert marked(zipped(MEMBERS, method)) == [("zip: a/\u00fc second.env", 3)]
    assert marked(Pipe(zipped(MEMBERS, method))) == [("zip: a/\u00fc second.env", 3)]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize(
    ("pack", "name"), [(bytes, ""), (gzip.compress, "gzip, "), (bz2.compress, "bzip2, "), (lzma.compress, "xz, ")]
)
def test_members_of_a_tar_file_are_read(form, pack, name):
    long = "folder/" * 12 + "of-a-deep-tree-of-a-certain-kind/"[:30] + "file.txt"
    data = pack(tarred({**MEMBERS, long: b"\n" + MARK}, form))
    assert marked(data) == [(f"{name}tar: a/\u00fc second.env", 3), (f"{name}tar: {long}", 2)]


def test_a_large_name_and_a_large_member_of_a_tar_file_are_read():
    data = tarred({"x" * 300: lines_of(5 << 20) + b"\n" + MARK}, tarfile.GNU_FORMAT)
    assert [via for via, _ in marked(Pipe(data))] == ["tar: " + "x" * 200]


def test_a_size_of_a_tar_member_may_be_a_binary_number():
    data = bytearray(tarred({"file": TEXT, "next": TEXT}, tarfile.GNU_FORMAT))
    data[124:136] = b"\x80" + len(TEXT).to_bytes(11, "big")
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + 8 * 32 + sum(data[156:512]))
    assert marked(bytes(data)) == [("tar: file", 3), ("tar: next", 3)]


def test_a_damaged_archive_is_told_once_and_what_stands_before_the_damage_is_read():
    members = {"first": TEXT, **{f"noise {each}": binary(each, 3000) for each in range(20)}}
    pieces, unread = look(gzip.compress(tarred(members))[:-30_000])
    assert places(pieces) == [("gzip, tar: first", 3)]
    assert [each.reason for each in unread] == ["it is damaged"]


def test_tar_files_that_were_joined_are_all_read():
    assert len(marked(tarred(MEMBERS) + tarred(MEMBERS))) == 2


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files_are_read_even_where_several_were_joined(pack):
    assert [line for _, line in marked(pack(b"one\n") + pack(TEXT))] == [4]
    assert [line for _, line in marked(Pipe(pack(b"one\n") + pack(TEXT)))] == [4]


def test_archives_inside_archives_are_read_to_a_depth_and_then_told():
    assert marked(zipped({"lib/app.jar": zipped({"conf.gz": gzip.compress(TEXT)})})) == [
        ("zip: lib/app.jar, zip: conf.gz, gzip", 3)
    ]
    data = TEXT
    for _ in range(6):
        data = gzip.compress(data)
    pieces, unread = look(data)
    assert places(pieces) == []
    assert [each.reason for each in unread] == ["archives stand in each other more than 4 deep"]


def test_a_member_of_a_debian_package_is_read():
    member = gzip.compress(tarred({"./etc/conf": TEXT}))
    header = b"%-16s%-12s%-6s%-6s%-8s%-10d`\n" % (b"data.tar.gz/", b"0", b"0", b"0", b"100644", len(member))
    assert marked(b"!<arch>\n" + header + member + b"\n" * (len(member) % 2)) == [
        ("ar: data.tar.gz, gzip, tar: ./etc/conf", 3)
    ]


def test_a_program_with_a_zip_file_behind_it_is_looked_into():
    data = b"\x7fELF" + binary(8, 3000) + zipped(MEMBERS)
    assert ("zip: a/\u00fc second.env", 3) in marked(data)


def encrypted() -> bytes:
    """A zip file whose member is marked as encrypted, in both of its headers."""
    data = bytearray(zipped({"secret.txt": TEXT}, zipfile.ZIP_STORED))
    for at in (data.index(b"PK\3\4") + 6, data.index(b"PK\1\2") + 8):
        data[at] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encrypted, "it is encrypted"),
        (lambda: zipped(MEMBERS)[:-30], "it is damaged"),
        (lambda: gzip.compress(binary(9, 4000))[:-2000], "it is damaged"),
        (lambda: bz2.compress(binary(9, 4000))[:-2000], "it is damaged"),
        (lambda: lzma.compress(binary(9, 4000))[:-2000], "it is damaged"),
        (lambda: tarred({"a": lines_of(3000)}, tarfile.USTAR_FORMAT)[:1900], "it ends too early"),
        (lambda: b"7z\xbc\xaf\x27\x1c" + binary(1, 99), "7z archives cannot be looked into"),
        (lambda: b"Rar!\x1a\x07\1\0" + binary(1, 99), "rar archives cannot be looked into"),
    ],
)
def test_what_cannot_be_looked_into_is_told_with_its_reason(data, reason):
    assert [each.reason for each in look(data())[1]] == [reason]


def test_of_a_broken_archive_at_least_the_printable_part_is_read():
    pieces, unread = look(zipped({"file": TEXT}, zipfile.ZIP_STORED)[:-30])
    assert [via for via, _ in places(pieces)] == ["binary"]
    assert [(each.via, each.reason) for each in unread] == [("zip", "it is damaged")]


def test_the_readable_members_of_a_broken_archive_are_read():
    data = bytearray(zipped({"bad.txt": lines_of(9000), "good.txt": TEXT}))
    data[200:260] = bytes(60)
    pieces, unread = look(bytes(data))
    assert places(pieces) == [("zip: good.txt", 3)]
    assert [(each.via, each.reason) for each in unread] == [("zip: bad.txt", "it is damaged")]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, lambda data: zipped({"zeros": data})])
def test_a_bomb_is_told_and_not_unpacked(pack):
    data = pack(bytes(30 << 20))
    tracemalloc.start()
    _, unread = look(data)
    assert tracemalloc.get_traced_memory()[1] < 60 << 20
    tracemalloc.stop()
    assert [each.reason for each in unread] == ["it unpacks to more than 200 times its size"]


def test_a_zip_file_with_too_many_members_or_bytes_is_told_once(monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_MEMBERS", 3)
    monkeypatch.setattr(unpacking, "MOST_BYTES", 1000)
    assert [each.reason for each in look(zipped({str(each): b"x" for each in range(9)}))[1]] == [
        "it holds more than 3 members"
    ]
    assert [each.reason for each in look(zipped({str(each): lines_of(900) for each in range(3)}))[1]] == [
        "it unpacks to more than 0 MB"
    ]


def test_the_directory_of_a_zip_file_is_not_loaded_when_it_is_huge(monkeypatch):
    data = zipped({f"{each:0200}": b"" for each in range(18_000)})
    monkeypatch.setattr(zipfile, "ZipFile", lambda *args: pytest.fail("the directory was loaded"))
    assert [each.reason for each in look(data)[1]] == ["its list of members is larger than 4 MB"]


def test_names_of_members_are_shown_without_what_a_terminal_would_obey():
    pieces, _ = look(zipped({"a\x1b[2Jb\n": TEXT}))
    assert [piece.via for piece in pieces] == ["zip: a?[2Jb?"]


def test_a_member_of_a_zip_file_without_a_name_or_named_like_a_folder_is_read():
    named = zipped({"q": TEXT}, zipfile.ZIP_STORED).replace(b"q", b"/")
    assert marked(named) == [("zip: /", 3)]
    nameless = bytearray(zipped({"q": TEXT}))
    nameless[nameless.index(b"PK\1\2") + 28] = 0
    assert [type(each) for each in content.pieces(b"file", bytes(nameless))] != []


FORMATS: dict[str, Callable[[], bytes]] = {
    "zip": lambda: zipped(MEMBERS),
    "zip, lzma": lambda: zipped({"a": gzip.compress(TEXT), "b": tarred(MEMBERS)}, zipfile.ZIP_LZMA),
    "tar": lambda: tarred(MEMBERS),
    "tar.gz": lambda: gzip.compress(tarred(MEMBERS)),
    "bz2": lambda: bz2.compress(TEXT),
    "xz": lambda: lzma.compress(TEXT),
    "utf-16": lambda: TEXT.decode().encode("utf-16"),
    "base64": lambda: in_base64(gzip.compress(TEXT)),
    "ar": lambda: b"!<arch>\n" + b"%-48s%-10d`\n" % (b"x", len(TEXT)) + TEXT,
}


@pytest.mark.parametrize("form", FORMATS)
def test_mutated_files_never_end_in_anything_but_pieces_and_reasons(form):
    chance = random.Random(form)
    for _ in range(20_000 if LONG else 150):
        data = bytearray(FORMATS[form]())
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(data))
            match chance.randrange(4):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at : at + chance.randrange(1, 40)]
                case 2:
                    data[at:at] = chance.randbytes(chance.randrange(1, 20))
                case _:
                    data[at : at + 4] = chance.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"])
            data = data or bytearray(b"x")
        for each in content.pieces(b"file", chance.choice([bytes, Pipe])(bytes(data))):
            assert isinstance(each, Piece | Unread)


# --- what is new


def some_text(chance: random.Random) -> list[bytes]:
    words = [b"a", b"bb", b"  bb", b"ccc", b"", b"password:", b"x = 1", b"\tx = 1", b"}", b"the quick brown fox"]
    words += [b"line %d" % each for each in range(30)]
    return chance.choices(words, k=chance.randrange(0, 60))


def edited(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    made = list(lines)
    for _ in range(chance.randrange(0, 5)):
        at = chance.randrange(len(made) + 1)
        made[at : at + chance.randrange(3)] = some_text(chance)[: chance.randrange(4)]
    return made


def new_of(old: bytes, new: bytes, *, moved_is_new: bool = False) -> dict[int, bytes]:
    before = added.Before(moved_is_new=moved_is_new)
    before.add(content.plain(b"", old))
    (piece, *_) = content.plain(b"file", new) if new else (Piece(b"file", b""),)
    assert isinstance(piece, Piece)
    only = added.new_lines(piece, before)
    if only is None:
        return {}
    lines = only.text.split(b"\n")
    numbers = only.numbers or list(range(1, len(lines) + 1))
    assert len(lines) == len(numbers)
    told = {number: line for number, line in zip(numbers, lines, strict=True) if number}
    assert all(new.split(b"\n")[number - 1] == line for number, line in told.items())
    return told


@pytest.mark.parametrize("moved_is_new", [True, False])
def test_every_line_that_did_not_stand_there_is_told_and_others_only_where_they_are_needed(moved_is_new):
    chance = random.Random(11)
    for _ in range(30_000 if LONG else 1500):
        first = some_text(chance)
        second = edited(chance, first)
        old, new = b"\n".join(first), b"\n".join(second)
        stood = {line.strip() for line in first}
        expected = {number for number, line in enumerate(second, 1) if line.strip() and line.strip() not in stood}
        told = new_of(old, new, moved_is_new=moved_is_new)
        assert expected <= {*told}
        if not moved_is_new and old:
            extra = {number: line for number, line in told.items() if number not in expected and line.strip()}
            assert all(texts.opens(line) for line in extra.values())
        if first == second:
            assert told == {} or not old


def test_what_is_new_in_a_large_file_is_told_where_everything_moved():
    chance = random.Random(12)
    first = [b"the line with the number %d" % each for each in range(20_000)]
    second = [b"  " + line for line in first]
    chance.shuffle(second)
    second[777] = MARK
    assert [*new_of(b"\n".join(first), b"\n".join(second)).values()] == [MARK]


def test_more_lines_than_are_held_count_as_new_rather_than_as_old(monkeypatch):
    monkeypatch.setattr(added, "_MOST_LINES", 50)
    monkeypatch.setattr(added, "_MOST_BYTES", 3000)
    monkeypatch.setattr(texts, "PART", 1000)
    monkeypatch.setattr(texts, "_BACK", 300)
    before = added.Before()
    before.add(content.plain(b"", b"\n".join(b"the old line %d" % each for each in range(1000))))
    found = list(added.pieces(content.plain(b"", lines_of(9000, 3) + b"\n" + MARK), before))
    assert [via for via, _ in places(found)] == [""]


# --- files on disk


def below(*paths: "str | bytes | Path") -> list[Piece | Unread]:
    return list(content.files([os.fsencode(each) for each in paths]))


def test_all_files_below_a_folder_are_read_in_order_but_not_git(tmp_path, monkeypatch):
    for name in ("b/c.txt", "a.txt", "b.txt", ".git/config", "b/.git", ".env"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(TEXT)
    monkeypatch.chdir(tmp_path)
    assert [each.path for each in below(".")] == [b".env", b"a.txt", b"b.txt", b"b/c.txt"]
    assert [each.path for each in below("b", "a.txt")] == [b"b/c.txt", b"a.txt"]


def test_a_link_is_not_followed_but_its_target_is_read(tmp_path):
    (tmp_path / "outside").write_bytes(TEXT)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(tmp_path / "outside")
    (tree / "folder").symlink_to(tmp_path)
    (tree / "token").symlink_to(MARK.decode())
    found = below(tree)
    assert places(found) == [("symlink", 1)]
    assert [os.path.basename(each.path) for each in found] == [b"folder", b"link", b"token"]
    assert places(below(tree / "link")) == [("", 3)]


def test_pipes_and_devices_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert below(tmp_path) == []
    found = below(tmp_path / "pipe", "/dev/zero")
    assert [each.reason for each in found if isinstance(each, Unread)] == ["it is neither a file nor a folder"] * 2


def test_what_vanished_or_may_not_be_read_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(TEXT)
    (found,) = below(tmp_path / "nothing")
    assert isinstance(found, Unread)
    assert found.reason == "no such file or directory"

    def refuse(*args: object, **kwargs: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    (found,) = below(tmp_path)
    assert isinstance(found, Unread)
    assert (os.path.basename(found.path), found.reason) == (b"file", "permission denied")


def test_a_file_that_becomes_a_link_or_a_pipe_before_it_is_opened_is_not_followed(tmp_path):
    (tmp_path / "outside").write_bytes(TEXT)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a").write_bytes(b"one")
    (tree / "b").write_bytes(b"two")
    (tree / "c").write_bytes(b"three")
    walk = content.files([os.fsencode(tree)])
    next(walk)
    (tree / "b").unlink()
    (tree / "b").symlink_to(tmp_path / "outside")
    (tree / "c").unlink()
    os.mkfifo(tree / "c")
    assert [each.reason for each in walk if isinstance(each, Unread)] == [
        "too many levels of symbolic links",
        "it is no longer a file",
    ]


def test_any_name_of_a_file_is_kept_as_it_is(tmp_path):
    name = b'sp ace "quote" new\nline \xff'
    (tmp_path / os.fsdecode(name)).write_bytes(TEXT)
    assert [os.path.basename(each.path) for each in below(tmp_path)] == [name]


def test_a_zip_file_on_disk_is_read_in_place(tmp_path):
    (tmp_path / "big.zip").write_bytes(zipped({"noise": binary(1, 5 << 20), "file": TEXT}))
    assert ("zip: file", 3) in places(below(tmp_path))


@pytest.mark.parametrize(
    "path", [b"package-lock.json", b"a/yarn.lock", b"Cargo.lock", b"go.sum", b"x/uv.lock", b"pnpm-lock.yaml"]
)
def test_lock_files_are_known(path):
    assert is_lock(path)


@pytest.mark.parametrize("path", [b"lock", b"clock.py", b"package.json", b"go.mod", b"a.lock/file.py", b"locks.json"])
def test_other_files_are_no_lock_files(path):
    assert not is_lock(path)
