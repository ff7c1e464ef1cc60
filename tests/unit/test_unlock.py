"""Where a password may come from, and what is exactly taken of it."""

import os
import threading
from pathlib import Path

import pytest

from chronos_secrets.errors import Refused, VaultLocked
from chronos_secrets.vault import unlock

PASSWORDS = {
    "plain": (b"correct horse", b"correct horse"),
    "line end": (b"correct horse\n", b"correct horse"),
    "windows line end": (b"correct horse\r\n", b"correct horse"),
    "two line ends": (b"correct horse\n\n", b"correct horse\n"),
    "two windows line ends": (b"correct horse\r\n\r\n", b"correct horse\r\n"),
    "carriage return": (b"correct horse\r", b"correct horse\r"),
    "spaces around": (b"  correct horse  \n", b"  correct horse  "),
    "several lines": (b"correct\nhorse\n", b"correct\nhorse"),
    "tab at the end": (b"correct horse\t", b"correct horse\t"),
    "beyond ascii": ("žluťoučký 漢字\n".encode(), "žluťoučký 漢字".encode()),
    "only spaces": (b"   \n", b"   "),
    "the longest": (b"x" * 65536, b"x" * 65536),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.touch(mode=0o600)
    return path


def _descriptor(content: bytes) -> int:
    """The reading end of a pipe that holds `content`."""
    read, write = os.pipe()

    def fill() -> None:
        with os.fdopen(write, "wb") as pipe:
            pipe.write(content)

    threading.Thread(target=fill).start()
    return read


@pytest.mark.parametrize("name", PASSWORDS)
def test_exactly_one_line_end_is_taken_from_the_end_of_a_file(name, file):
    content, expected = PASSWORDS[name]
    file.write_bytes(content)
    assert unlock.from_file(file).reveal_bytes() == expected


@pytest.mark.parametrize("name", PASSWORDS)
def test_exactly_one_line_end_is_taken_from_the_end_of_a_pipe(name):
    content, expected = PASSWORDS[name]
    assert unlock.from_descriptor(_descriptor(content)).reveal_bytes() == expected


NO_PASSWORDS = {
    "holds no password": b"",
    "holds no password ": b"\n",
    "holds bytes that are no UTF-8 text": b"correct \xff horse\n",
    "holds more than 64 KiB": b"x" * 65537,
}


@pytest.mark.parametrize("sentence", NO_PASSWORDS)
def test_what_is_no_password_is_said_and_never_shown(sentence, file):
    content = NO_PASSWORDS[sentence]
    file.write_bytes(content)
    for read in (lambda: unlock.from_file(file), lambda: unlock.from_descriptor(_descriptor(content))):
        with pytest.raises(VaultLocked, match=sentence.strip()) as caught:
            read()
        assert "correct" not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o777])
def test_a_file_that_others_may_touch_is_refused(mode, file):
    file.write_bytes(b"correct horse")
    file.chmod(mode)
    with pytest.raises(Refused, match="can be read by others or is not yours") as caught:
        unlock.from_file(file)
    assert caught.value.hint == f"chmod 600 {file}"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_that_only_we_may_touch_is_read(mode, file):
    file.write_bytes(b"correct horse")
    file.chmod(mode)
    assert unlock.from_file(file).reveal() == "correct horse"


def test_a_file_of_somebody_else_is_refused(file, monkeypatch):
    file.write_bytes(b"correct horse")
    monkeypatch.setattr(os, "geteuid", lambda: os.stat(file.parent).st_uid + 4242)
    with pytest.raises(Refused, match="is not yours"):
        unlock.from_file(file)


@pytest.mark.parametrize("mark", ["folder", "file"])
def test_a_file_inside_a_git_work_tree_is_refused(mark, file, tmp_path):
    """A linked work tree and a submodule have a file called .git."""
    file.write_bytes(b"correct horse")
    (tmp_path / ".git").mkdir() if mark == "folder" else (tmp_path / ".git").touch()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    inside = deep / "password"
    inside.touch(mode=0o600)
    inside.write_bytes(b"correct horse")
    for path in (file, inside):
        with pytest.raises(Refused, match="lies in the git work tree") as caught:
            unlock.from_file(path)
        assert caught.value.hint == "move it out of the work tree"


def test_a_link_to_a_file_inside_a_git_work_tree_is_refused(tmp_path):
    tree = tmp_path / "tree"
    (tree / ".git").mkdir(parents=True)
    (tree / "password").touch(mode=0o600)
    (tmp_path / "link").symlink_to(tree / "password")
    with pytest.raises(Refused, match="lies in the git work tree"):
        unlock.from_file(tmp_path / "link")


def test_a_link_inside_a_work_tree_to_a_file_outside_is_read(file, tmp_path):
    file.write_bytes(b"correct horse")
    tree = tmp_path / "tree"
    (tree / ".git").mkdir(parents=True)
    (tree / "link").symlink_to(file)
    assert unlock.from_file(tree / "link").reveal() == "correct horse"


def test_a_relative_path_is_judged_by_where_it_leads(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    (tmp_path / "password").touch(mode=0o600)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match="lies in the git work tree"):
        unlock.from_file(Path("password"))


def test_a_named_pipe_is_read_whatever_its_mode_and_wherever_it_lies(tmp_path):
    (tmp_path / ".git").mkdir()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o644)
    threading.Thread(target=pipe.write_bytes, args=(b"correct horse\n",)).start()
    assert unlock.from_file(pipe).reveal() == "correct horse"


def test_a_descriptor_given_as_a_path_is_read():
    read = _descriptor(b"correct horse\n")
    assert unlock.from_file(Path(f"/dev/fd/{read}")).reveal() == "correct horse"
    os.close(read)


def test_a_descriptor_is_closed_after_it_was_read():
    read = _descriptor(b"correct horse\n")
    unlock.from_descriptor(read)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(read)


@pytest.mark.parametrize("descriptor", [-1, 987654])
def test_a_descriptor_that_is_not_open_is_said(descriptor):
    with pytest.raises(VaultLocked, match=f"{descriptor}"):
        unlock.from_descriptor(descriptor)


@pytest.mark.parametrize(("name", "why"), [("none", "no such file or directory"), ("", "is a directory")])
def test_a_file_that_cannot_be_read_is_said_with_the_reason(name, why, tmp_path):
    with pytest.raises(VaultLocked, match=f"cannot read the password file .*: {why}"):
        unlock.from_file(tmp_path / name)


# --- what systemd hands over ------------------------------------------------------------------------------------------


def test_a_credential_is_found_by_the_name_of_the_project(tmp_path):
    (tmp_path / "chronos-secrets.aviary").touch()
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert unlock.credential("aviary", environ) == tmp_path / "chronos-secrets.aviary"
    assert unlock.credential("finches", environ) is None
    assert unlock.credential("aviary", {}) is None
    assert unlock.credential("aviary", {"CREDENTIALS_DIRECTORY": ""}) is None


def test_a_credential_that_is_there_but_cannot_be_read_is_said_and_not_passed_over(tmp_path):
    path = tmp_path / "chronos-secrets.aviary"
    path.mkdir()
    assert unlock.credential("aviary", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == path
    with pytest.raises(VaultLocked, match="is a directory"):
        unlock.from_file(path, by_systemd=True)


@pytest.fixture
def service_user(file, monkeypatch):
    """We are the user of a service, and `file` is root's."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a file that is root's")
    file.write_bytes(b"correct horse\n")
    monkeypatch.setattr(os, "geteuid", lambda: 4242)


@pytest.mark.parametrize("mode", [0o440, 0o400])
def test_a_credential_may_be_roots_whose_acl_lets_us_read_it(mode, file, service_user):
    """systemd's own write_credential() leaves 0400 and an ACL for the service's user; its mask shows as 0440."""
    file.chmod(mode)
    assert unlock.from_file(file, by_systemd=True).reveal() == "correct horse"
    with pytest.raises(Refused, match="is not yours"):
        unlock.from_file(file)


@pytest.mark.parametrize("mode", [0o444, 0o460, 0o640, 0o441, 0o450])
def test_a_credential_that_others_may_touch_is_refused(mode, file, service_user):
    file.chmod(mode)
    with pytest.raises(Refused, match="can be read by others"):
        unlock.from_file(file, by_systemd=True)


def test_a_credential_of_another_user_or_group_is_refused(file, service_user):
    file.chmod(0o440)
    for user, group in ((0, 100), (100, 0)):
        os.chown(file, user, group)
        with pytest.raises(Refused, match="is not yours"):
            unlock.from_file(file, by_systemd=True)
