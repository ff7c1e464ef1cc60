"""From a password and a key file to the key of one file."""

import hashlib
import random
import time

import pytest
from Cryptodome.Cipher import AES

from chronos_secrets.errors import VaultLocked, VaultUnreadable
from chronos_secrets.secret import Secret
from chronos_secrets.vault.kdf import MEBIBYTE, Kdf, MasterKey, key_file_key
from tests.support import vaults

SALT = random.Random(1).randbytes(32)


def _composite(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def _plain_loop(seed: bytes, rounds: int, composite: bytes) -> bytes:
    """AES-KDF as KeePass describes it: both halves encrypted again and again."""
    cipher = AES.new(seed, AES.MODE_ECB)
    for _ in range(rounds):
        composite = cipher.encrypt(composite)
    return hashlib.sha256(composite).digest()


@pytest.mark.parametrize("rounds", [1, 2, 5, 8191, 8192, 8193, 20000])
def test_the_fast_aes_derivation_equals_the_plain_loop(rounds):
    composite = _composite(hashlib.sha256(b"correct horse").digest())
    assert MasterKey(Secret("correct horse")).derive(Kdf("aes", SALT, rounds)) == _plain_loop(SALT, rounds, composite)


def test_a_million_rounds_of_aes_take_less_than_a_second():
    began = time.process_time()
    MasterKey(Secret("correct horse")).derive(Kdf("aes", SALT, 1_000_000))
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "password", [None, "correct horse", ""], ids=["no password", "a password", "an empty password"]
)
def test_password_and_key_file_are_combined_in_that_order(password):
    key_file = random.Random(2).randbytes(100)
    parts = [] if password is None else [hashlib.sha256(password.encode()).digest()]
    expected = _plain_loop(SALT, 3, _composite(*parts, hashlib.sha256(key_file).digest()))
    assert vaults.key(password, key_file).derive(Kdf("aes", SALT, 3)) == expected


def test_an_empty_password_is_not_the_same_as_none():
    kdf = Kdf("aes", SALT, 3)
    assert vaults.key("", b"file").derive(kdf) != vaults.key(None, b"file").derive(kdf)


@pytest.mark.parametrize(
    "other",
    [
        {"salt": bytes(32)}, {"rounds": 2}, {"memory": 16 * 1024}, {"lanes": 2, "memory": 16 * 1024},
        {"algorithm": "argon2d"}, {"version": 0x10},
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_key_is_never_used_for_other_settings(other):
    kdf = Kdf("argon2id", SALT, 1, 8 * 1024, 1)
    key = MasterKey(Secret("correct horse"))
    first = key.derive(kdf)
    changed = kdf._replace(**other)
    assert key.derive(changed) == MasterKey(Secret("correct horse")).derive(changed) != first
    assert key.derive(kdf) == first


def test_neither_password_nor_key_file_is_refused():
    with pytest.raises(VaultLocked, match="neither a password nor a key file was given"):
        MasterKey(None, None)


def test_a_key_shows_nothing_of_itself():
    key = MasterKey(Secret("correct horse"))
    derived = key.derive(Kdf("aes", SALT, 1))
    assert "horse" not in repr(key)
    assert derived.hex() not in repr(key)


# --- key files -------------------------------------------------------------------------------------------------------


def test_every_notation_of_one_key_is_the_same_key(tmp_path):
    made = {name: path.read_bytes() for name, path in vaults.key_files(tmp_path).items()}
    same = {key_file_key(made[name]) for name in ("xml-1", "xml-2", "xml-2-lines", "raw", "hex")}
    assert same == {made["raw"]}
    assert key_file_key(made["hex"].lower()) == made["raw"]


@pytest.mark.parametrize("name", ["any", "any-64", "hex-with-line-end"])
def test_any_other_file_is_hashed(name, tmp_path):
    content = vaults.key_files(tmp_path)[name].read_bytes()
    assert key_file_key(content) == hashlib.sha256(content).digest()


def test_a_key_file_whose_check_value_does_not_match_is_refused(tmp_path):
    content = vaults.key_files(tmp_path)["xml-2"].read_bytes()
    digit = content.index(b'">') + 2
    damaged = content[:digit] + (b"0" if content[digit : digit + 1] != b"0" else b"1") + content[digit + 1 :]
    with pytest.raises(VaultUnreadable, match="check value does not match"):
        key_file_key(damaged)


@pytest.mark.parametrize(("kind", "data"), [("1.00", b"not*base64="), ("2.0", b"not hex")])
def test_a_key_file_whose_data_cannot_be_decoded_is_refused(kind, data):
    content = b"<KeyFile><Meta><Version>%b</Version></Meta><Key><Data>%b</Data></Key></KeyFile>" % (kind.encode(), data)
    with pytest.raises(VaultUnreadable, match="its data cannot be decoded"):
        key_file_key(content)


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["argon2d", "argon2id"])
def test_impossible_memory_is_refused_at_once(algorithm):
    with pytest.raises(VaultUnreadable, match="asks for 1048576 MiB of memory to open; 4096 is our limit"):
        MasterKey(Secret("x")).derive(Kdf(algorithm, SALT, 1, 1048576 * MEBIBYTE))


@pytest.mark.parametrize("rounds", [2**31 - 1, 2**60])
def test_more_rounds_than_keepassxc_accepts_are_refused_at_once(rounds):
    with pytest.raises(VaultUnreadable, match=f"asks for {rounds} rounds of AES, which would take more than a minute"):
        MasterKey(Secret("x")).derive(Kdf("aes", SALT, rounds))


def test_passes_that_would_take_more_than_a_minute_are_refused_at_once():
    with pytest.raises(VaultUnreadable, match="asks for 1000000 passes of Argon2"):
        MasterKey(Secret("x")).derive(Kdf("argon2id", SALT, 1_000_000, 64 * MEBIBYTE))


@pytest.mark.parametrize(
    "kdf",
    [
        Kdf("aes", b"short", 1), Kdf("argon2d", b"short", 1, 8192), Kdf("argon2d", SALT, 0, 8192),
        Kdf("argon2d", SALT, 1, 0), Kdf("argon2d", SALT, 1, 8192, 0), Kdf("argon2d", SALT, 2**40, 8192),
        Kdf("argon2d", SALT, 1, 8192, 2**24),
    ],
    ids=["aes salt", "argon2 salt", "no pass", "no memory", "no lane", "too many passes", "too many lanes"],
)  # fmt: skip
def test_impossible_settings_are_refused(kdf):
    with pytest.raises(VaultUnreadable, match=r"settings are impossible|more than a minute"):
        MasterKey(Secret("x")).derive(kdf)
