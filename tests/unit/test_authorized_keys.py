"""authorized_keys is changed as sshd reads it: one line more or one less, and every other byte as it was."""

import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as some

from chronos_secrets.errors import Refused
from chronos_secrets.rotation import generate
from chronos_secrets.secret import Secret
from chronos_secrets.systems.authorized import PublicKey, added, allows, removed
from tests.support.programs import require


def _public(private: ed25519.Ed25519PrivateKey) -> PublicKey:
    form = serialization.PrivateFormat.OpenSSH
    pem = private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return _read(pem)


def _read(private: bytes) -> PublicKey:
    return PublicKey.read(generate.public(Secret(private))[0])


OLD, NEW, OTHER = (_public(ed25519.Ed25519PrivateKey.generate()) for _ in range(3))
# Lines that are no business of ours; `other` has a key, the rest none that lets anybody in.
LINES = [
    b"", b"   ", b"# a comment", b"#" + OLD.text, b"not a key at all", b"ssh-ed25519", b"ssh-ed25519 AAAA!",
    b"\xff\xfe\x00", b"cert-authority " + OLD.text, b'principals="a,b",cert-authority,no-pty ' + OLD.text + b" ca",
    b"restrict", OTHER.text, b'command="echo \\"' + OLD.text + b'\\"" ' + OTHER.text + b" " + OLD.text,
    b"ssh-ed25519 " + OLD.text[12:-4],
]  # fmt: skip
OPTIONS = [
    b"", b" ", b"restrict ", b"\tno-pty,no-X11-forwarding\t ", b'from="10.0.0.0/8,!10.1.*",command="ls -l # \\"x\\"" ',
    b'environment="A=cert-authority" ',
]  # fmt: skip
COMMENTS = [b"", b" wren@nest", b" two words  ", b" " + NEW.text[:20], b"\t# no comment of sshd's"]
ENDS = [b"\n", b"\r\n"]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("comment", COMMENTS)
@pytest.mark.parametrize("end", ENDS)
def test_the_new_line_is_the_old_one_with_another_key(options, comment, end):
    line = options + OLD.text + comment + end
    assert added(line, NEW, beside=OLD) == line + options + NEW.text + comment + end
    assert removed(added(line, NEW, beside=OLD), OLD, keep=NEW) == options + NEW.text + comment + end


def _texts() -> some.SearchStrategy[bytes]:
    own = some.builds(
        lambda options, comment: options + OLD.text + comment, some.sampled_from(OPTIONS), some.sampled_from(COMMENTS)
    )
    line = some.one_of(some.sampled_from(LINES), own)
    whole = some.lists(some.builds(bytes.__add__, line, some.sampled_from(ENDS)), max_size=8).map(b"".join)
    return some.builds(bytes.__add__, whole, some.one_of(some.just(b""), line))


@given(_texts())
def test_no_byte_of_the_file_is_lost_and_each_old_line_gets_one_new_one(content):
    made = added(content, NEW, beside=OLD)
    repaired = content if content.endswith(b"\n") else content + b"\n"
    before, after = repaired.split(b"\n"), made.split(b"\n")
    assert [line for line in after if NEW.text not in line] == before
    assert [line.replace(NEW.text, OLD.text) for line in after if NEW.text in line] == [
        line for line in before if allows(line, OLD)
    ]
    assert added(made, NEW, beside=OLD) == made


@given(_texts())
def test_removing_takes_the_lines_of_the_key_and_nothing_else(content):
    made = added(content, NEW, beside=OLD)
    if not allows(content, OLD):
        with pytest.raises(Refused, match="is not removed"):
            removed(made, OLD, keep=NEW)
        return
    left = removed(made, OLD, keep=NEW)
    assert left == b"".join(line for line in made.splitlines(keepends=True) if not allows(line, OLD))
    assert not allows(left, OLD)
    assert allows(left, NEW)
    assert removed(left, OLD, keep=NEW) == left


def test_a_file_without_a_last_line_end_gets_one():
    assert added(OLD.text + b" a", NEW, beside=OLD) == OLD.text + b" a\n" + NEW.text + b" a\n"
    assert added(OLD.text + b"\n" + OTHER.text, NEW, beside=OLD) == b"\n".join((OLD.text, NEW.text, OTHER.text, b""))


def test_the_last_key_is_not_removed():
    with pytest.raises(Refused, match=re.escape(f"does not allow {NEW.fingerprint}")):
        removed(OLD.text + b"\n" + OTHER.text + b"\n", OLD, keep=NEW)


def test_a_commented_key_and_an_authority_let_nobody_in():
    assert not allows(b"\n".join((b"# " + OLD.text, b"cert-authority " + OLD.text)), OLD)
    assert allows(b'environment="X=cert-authority" ' + OLD.text, OLD)


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_the_fingerprint_is_what_ssh_keygen_says(tmp_path: Path, kind: str):
    path = tmp_path / "key"
    subprocess.run((require("ssh-keygen"), "-q", "-t", kind, "-N", "", "-C", "a comment", "-f", path), check=True)
    found = PublicKey.read(path.with_suffix(".pub").read_text())
    assert found == _read(path.read_bytes())
    told = subprocess.run(("ssh-keygen", "-l", "-f", path), capture_output=True, text=True, check=True).stdout
    assert found.fingerprint == told.split()[1]
