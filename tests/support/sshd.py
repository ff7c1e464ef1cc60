"""A real sshd on loopback, in a mount namespace where the machine has accounts and sudo rules of our own.

The accounts, which exist nowhere else: deploy (sudo without a password), careful (sudo asks), plain (no sudo at all),
tiny (its shell and programs are busybox), rowdy (its login prints and its shell is bash), barred (nologin),
parrot (its shell is no shell: it repeats its input and keeps it).

Keys are taken from `authorized_keys` of the folder (root's, for everybody), from .ssh/authorized_keys of a home, and
from keys_of/ACCOUNT; for careful, instead of the last, from `hidden_keys`, of which only sshd knows.
"""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.support.containers import require_root
from tests.support.programs import require
from tests.support.targets import free_port
from tests.support.waiting import until

ACCOUNTS = ("deploy", "careful", "plain", "tiny", "rowdy", "barred", "parrot")
_FIRST_UID = 61001

# The key exchange is the quickest: the usual one is most of what a login costs here.
_SSHD = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
PidFile {folder}/pid
AuthorizedKeysFile {folder}/authorized_keys .ssh/authorized_keys "{folder}/keys_of/%u"
KexAlgorithms curve25519-sha256
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
Banner {folder}/banner
SetEnv PATH={path}
Include {folder}/hidden.conf
Match User tiny
    SetEnv PATH={folder}/rootfs/bin
"""
# Read by sshd, but not where an account without rights would look for it.
_HIDDEN = """\
Match User careful
    AuthorizedKeysFile {folder}/authorized_keys .ssh/authorized_keys {folder}/hidden_keys
Match all
"""
_SUDOERS = """\
Defaults secure_path="{path}", use_pty
root ALL=(ALL:ALL) ALL
deploy ALL=(ALL) NOPASSWD: ALL
careful ALL=(ALL) ALL
"""
_CLIENT = """\
{accounts}
Host unknown changed
    StrictHostKeyChecking no
Host unknown shared
    UserKnownHostsFile {folder}/nothing_known
Host changed
    UserKnownHostsFile {folder}/other_known_hosts
Host shared
    ControlPath {folder}/shared
Host locked
    IdentityFile {folder}/locked_key
Host refused
    IdentityFile {folder}/other_key
Host away
    Port {closed}
Host mute
    Port {mute}
Host nowhere
    HostName nowhere.invalid
Host cut
    ProxyCommand {python} {folder}/cut.py {port} {folder}/came
Host eager
    LocalForward 127.0.0.1:{port} 127.0.0.1:1
    RemoteCommand echo not what was asked
    ExitOnForwardFailure yes
    RequestTTY force
    PermitLocalCommand yes
    LocalCommand touch {folder}/local_command_ran
    ControlMaster auto
    ControlPath {folder}/control
    ControlPersist yes
    StrictHostKeyChecking no
    ForwardAgent yes
    IdentityAgent SSH_AUTH_SOCK
    LogLevel DEBUG1
Host *
    HostName 127.0.0.1
    Port {port}
    User deploy
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile none
Host * !refused !locked
    IdentityFile {folder}/user_key
"""
# Carries a connection until CUT_THERE bytes went to the host, or CUT_BACK bytes came from it; notes how many came.
_CUT = """\
import os, selectors, socket, sys
left = {0: int(os.environ.get("CUT_THERE", 1 << 40)), 1: int(os.environ.get("CUT_BACK", 1 << 40))}
host = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
came, note = 0, os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT, 0o600)
waiting = selectors.DefaultSelector()
waiting.register(0, selectors.EVENT_READ, 0)
waiting.register(host, selectors.EVENT_READ, 1)
while True:
    for key, _ in waiting.select():
        data = os.read(key.fd, min(65536, left[key.data]) or 1)
        if not data or not left[key.data]:
            sys.exit()
        left[key.data] -= len(data)
        if key.data == 1:
            came += len(data)
            os.pwrite(note, b"%9d" % came, 0)
        host.sendall(data) if key.data == 0 else os.write(1, data)
"""


class Sshd:
    """The server, and the client's side of it: `config` is what `ssh -F` reads; its aliases are described there."""

    def __init__(self, folder: Path, *, programs: Path) -> None:
        """`folder` must be open to every user; `programs` comes first in everybody's PATH."""
        require_root()
        require("ssh")
        require("sudo")
        self.folder = folder
        self.config = folder / "ssh_config"
        self.port = free_port()
        self._closed = socket.socket()  # nobody listens there, and nobody else can
        self._closed.bind(("127.0.0.1", 0))
        self._mute = socket.create_server(("127.0.0.1", 0))  # takes connections and says nothing
        path = f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        facts = {
            "folder": folder, "port": self.port, "closed": self._closed.getsockname()[1], "mute": self._mute.getsockname()[1],
            "path": path, "python": sys.executable,
            "accounts": "\n".join(f"Host {name}\n    User {name}" for name in ACCOUNTS),
        }  # fmt: skip
        texts = {"sshd_config": _SSHD, "hidden.conf": _HIDDEN, "sudoers": _SUDOERS, "ssh_config": _CLIENT}
        for name, text in texts.items():
            (folder / name).write_text(text.format(**facts))
        (folder / "sudoers").chmod(0o440)
        (folder / "cut.py").write_text(_CUT)
        (folder / "banner").write_text("all that you do is watched\n")
        self._make_keys()
        self._make_accounts()
        self._server = self._start()

    def _make_keys(self) -> None:
        for name in ("host_key", "user_key", "other_key", "locked_key"):
            password = secrets.token_hex(8) if name == "locked_key" else ""
            argv = (require("ssh-keygen"), "-q", "-t", "ed25519", "-N", password, "-C", name, "-f", self.folder / name)
            subprocess.run(argv, check=True, timeout=60)
        known = [(self.folder / f"{name}.pub").read_text() for name in ("user_key", "locked_key")]
        (self.folder / "authorized_keys").write_text("".join(known))
        (self.folder / "authorized_keys").chmod(0o644)
        (self.folder / "keys_of").mkdir(mode=0o777)
        (self.folder / "keys_of").chmod(0o777)
        for key, file in {"host_key": "known_hosts", "other_key": "other_known_hosts"}.items():
            public = (self.folder / f"{key}.pub").read_text()
            (self.folder / file).write_text(f"[127.0.0.1]:{self.port} {public}")
        (self.folder / "nothing_known").touch()

    def _make_accounts(self) -> None:
        shells = {
            "tiny": f"{self.folder}/rootfs/bin/sh",
            "barred": "/usr/sbin/nologin",
            "parrot": self._program("parrot", f"tee {self.folder}/homes/parrot/heard >&2"),
        }
        passwd, group, shadow = (Path("/etc", name).read_text() for name in ("passwd", "group", "shadow"))
        for uid, name in enumerate(ACCOUNTS, _FIRST_UID):
            home = self.folder / "homes" / name
            home.mkdir(parents=True)
            os.chown(home, uid, uid)
            passwd += f"{name}:x:{uid}:{uid}::{home}:{shells.get(name, '/bin/bash')}\n"
            group += f"{name}:x:{uid}:\n"
            shadow += f"{name}:*:19000:0:99999:7:::\n"
        (self.folder / "homes" / "rowdy" / ".bashrc").write_text("echo 'welcome back'; printf 'no line end' >&2\n")
        for name, text in {"passwd": passwd, "group": group, "shadow": shadow}.items():
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o600 if name == "shadow" else 0o644)

    def _program(self, name: str, script: str) -> str:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    def _start(self) -> subprocess.Popen[bytes]:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        binds = "".join(
            f"mount --bind {self.folder}/{name} /etc/{name}; " for name in ("passwd", "group", "shadow", "sudoers")
        )
        binds += f"mount --bind {self.folder}/sshd_config /etc/ssh/sshd_config; "
        script = f"set -e; {binds} exec {require('sshd')} -D -E {self.folder}/log -f {self.folder}/sshd_config"
        server = subprocess.Popen(
            (require("unshare"), "--mount", "--propagation", "slave", "sh", "-c", script), stdin=subprocess.DEVNULL
        )

        def asked_from() -> int:
            assert server.poll() is None, (self.folder / "log").read_text()
            return _answers(self.port)

        ended = f" by 127.0.0.1 port {until(asked_from, 'sshd does not listen')}"
        until(lambda: ended in (self.folder / "log").read_text(), "sshd does not write that we left again")
        return server

    def close(self) -> None:
        """Stop the server."""
        self._mute.close()
        self._closed.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._server.pid, signal.SIGTERM)
        self._server.wait(60)


def _answers(port: int) -> int:
    """The port that we asked from; 0 where no sshd answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as talk:
            return int(talk.getsockname()[1]) if talk.recv(4) == b"SSH-" else 0
    except OSError:
        return 0
