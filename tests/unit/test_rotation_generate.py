"""New secrets are strong, need no quoting, and are what OpenSSH reads."""

import string
import subprocess
from collections import Counter

import pytest

from chronos_secrets.errors import Refused
from chronos_secrets.rotation import generate
from chronos_secrets.secret import Secret
from tests.support.programs import require


@pytest.mark.parametrize("length", [20, 32, 128])
def test_a_password_has_the_length_and_only_characters_that_need_no_quoting(length):
    text = generate.password(length).reveal()
    assert len(text) == length
    assert set(text) <= set(string.ascii_letters + string.digits + "-_.~")


def test_no_password_is_made_twice_and_every_character_is_about_as_likely():
    made = [generate.password().reveal() for _ in range(500)]
    assert len(set(made)) == 500
    counts = Counter("".join(made))
    assert set(counts) == set(generate.ALPHABET)
    assert max(counts.values()) < 2 * min(counts.values())  # 16000 draws: 242 of each, give or take 15


def test_a_password_that_could_be_guessed_is_refused_with_the_line_to_write():
    with pytest.raises(Refused, match="a password of 19 characters could be guessed") as caught:
        generate.password(19)
    assert "generate: {length: 32}" in (caught.value.hint or "")


def test_openssh_reads_the_key_and_tells_the_same_line_and_fingerprint(tmp_path):
    pair = generate.ed25519()
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_bytes(pair.private.reveal_bytes())
    line = subprocess.run([require("ssh-keygen"), "-y", "-f", path], capture_output=True, text=True, check=True)
    told = subprocess.run([require("ssh-keygen"), "-l", "-f", path], capture_output=True, text=True, check=True)
    assert line.stdout.split()[:2] == pair.public.split()
    assert told.stdout.split()[1] == pair.fingerprint
    assert generate.public(pair.private) == (pair.public, pair.fingerprint)
    assert pair.private.reveal_bytes().endswith(b"\n")  # OpenSSH takes no key whose last line has no end


def test_no_key_is_made_twice():
    assert generate.ed25519().fingerprint != generate.ed25519().fingerprint


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_the_public_half_of_every_kind_of_key_is_told(kind, tmp_path):
    path = tmp_path / "key"
    subprocess.run([require("ssh-keygen"), "-q", "-t", kind, "-N", "", "-f", path], check=True)
    told = subprocess.run([require("ssh-keygen"), "-l", "-f", path], capture_output=True, text=True, check=True)
    assert generate.public(Secret(path.read_bytes()))[1] == told.stdout.split()[1]


def test_an_rsa_key_in_the_old_form_is_told_too(tmp_path):
    path = tmp_path / "key"
    subprocess.run([require("ssh-keygen"), "-q", "-t", "rsa", "-m", "PEM", "-N", "", "-f", path], check=True)
    assert generate.public(Secret(path.read_bytes()))[0].startswith("ssh-rsa ")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_what_is_no_key_is_refused_without_showing_it(content):
    with pytest.raises(Refused, match="the private key cannot be read") as caught:
        generate.public(Secret(content))
    assert caught.value.__cause__ is None


def test_a_key_with_a_passphrase_is_refused(tmp_path):
    path = tmp_path / "key"
    subprocess.run([require("ssh-keygen"), "-q", "-t", "ed25519", "-N", "twelve words", "-f", path], check=True)
    with pytest.raises(Refused, match="it has a passphrase, or is none"):
        generate.public(Secret(path.read_bytes()))
