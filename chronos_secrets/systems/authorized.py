"""authorized_keys of an account: who may log in by an SSH key. A line is added or removed, every other one is kept.

The text is read and changed as OpenSSH reads it (sshd(8), AUTHORIZED_KEYS FILE FORMAT); the file is replaced whole.
"""

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from chronos_secrets.errors import Refused, TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems.answers import words
from chronos_secrets.systems.hosts import Host
from chronos_secrets.systems.hosts.placing import mode_of

TIMEOUT = 30.0  # seconds for one look
LIMIT = 1024 * 1024  # bytes of a file

_QUOTED = rb'"(?:\\"|[^"])*"'
_LINE = re.compile(
    rb'[ \t]*(?:(?P<options>(?:\\"|' + _QUOTED + rb'|[^ \t"#])(?:\\"|' + _QUOTED + rb'|[^ \t"])*)[ \t]+)?'
    rb"(?P<key>(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[A-Za-z0-9@.-]+[ \t]+(?P<blob>AAAA[A-Za-z0-9+/]+=*))(?=\s|\Z)",
)
# Prints each file that sshd may be told to look into: its path, its mode, its size (-1: it cannot be read), and itself.
_FILES = r"""
set -uf
export LC_ALL=C
user=$(id -un) || exit 1
expanded() {
    left=$1 made=
    while :; do
        case $left in *%*) ;; *) break ;; esac
        made=$made${left%%\%*} left=${left#*%}
        case $left in
            h*) made=$made$HOME ;; u*) made=$made$user ;; U*) made=$made$(id -u) ;; %*) made=$made% ;; *) return ;;
        esac
        left=${left#?}
    done
    made=$made$left
    case $made in none | '') ;; /*) printf '%s\n' "$made" ;; *) printf '%s\n' "$HOME/$made" ;; esac
}
named() {
    set +f
    for file in /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf; do
        [ ! -r "$file" ] || grep -i '^[[:space:]]*authorizedkeysfile[[:space:]=]' "$file"
    done | tr -d '"' | tr '=' ' '
}
{
    expanded .ssh/authorized_keys
    expanded .ssh/authorized_keys2
    named | while read -r _ words; do
        for word in $words; do expanded "$word"; done
    done
} | while IFS= read -r path; do
    [ -e "$path" ] || [ -L "$path" ] || continue
    size=-1
    if [ -f "$path" ] && [ -r "$path" ]; then size=$(($(wc -c < "$path"))); fi
    set -- $(ls -ldLn "$path" 2>/dev/null || echo ----------)
    printf '%s\n%s\n%s\n' "$path" "$1" "$size"
    [ "$size" -le 0 ] || head -c "$size" "$path"
done
"""


class PublicKey(NamedTuple):
    """The public half of an SSH key, as a line of authorized_keys has it."""

    kind: str  # ssh-ed25519, ssh-rsa, ...
    blob: bytes

    @classmethod
    def read(cls, line: str) -> "PublicKey":
        """From "ssh-ed25519 AAAA...", with or without a comment."""
        kind, blob = line.split()[:2]
        return cls(kind, base64.b64decode(blob))

    @property
    def text(self) -> bytes:
        """Kind and blob, as they are written."""
        return self.kind.encode() + b" " + base64.b64encode(self.blob)

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` shows it: SHA256:..."""
        return f"SHA256:{base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip('=')}"


class File(NamedTuple):
    """One authorized_keys file; `content` is None where it cannot be read."""

    path: str
    mode: int
    content: bytes | None


def allows(content: bytes, key: PublicKey) -> bool:
    """Whether a line of the file lets the key in."""
    return any(_key(line) == key.blob for line in _lines(content))


def added(content: bytes, key: PublicKey, *, beside: PublicKey) -> bytes:
    """The file with `key` allowed wherever `beside` is: the same options and comment, on the next line.

    Where the file already allows `key` it stays as it is.
    """
    if allows(content, key):
        return content
    whole = content if content.endswith(b"\n") else content + b"\n"
    made = (line + _twin(line, key) if _key(line) == beside.blob else line for line in _lines(whole))
    return b"".join(made)


def removed(content: bytes, key: PublicKey, *, keep: PublicKey) -> bytes:
    """The file without the lines of `key`. Raises Refused where `keep` would not be left: nobody could come back."""
    left = b"".join(line for line in _lines(content) if _key(line) != key.blob)
    if not allows(left, keep):
        raise Refused(
            f"the key {key.fingerprint} is not removed: the file does not allow {keep.fingerprint}, which replaces it"
        )
    return left


def files(host: Host) -> tuple[File, ...]:
    """The authorized_keys files of the account that programs run as on `host`.

    sshd's own answer to where they are needs root, so both of its usual files and all that its configuration names
    (in whatever `Match`) are taken. Raises TargetFailed.
    """
    ran = host.run(("sh", "-c", _FILES), timeout=TIMEOUT)
    if ran.status != 0:
        said = words(ran.err.decode(errors="replace"))
        raise TargetFailed(f"the authorized_keys of {host.name} cannot be looked at: {said}")
    return tuple({file.path: file for file in _printed(ran.out, host)}.values())


def allow(host: Host, key: PublicKey, *, beside: PublicKey) -> None:
    """Let `key` log in wherever `beside` may. Twice is once. Raises Refused, TargetFailed, Incomplete."""
    for file in holding(host, beside):
        _replace(host, file, added(file.content or b"", key, beside=beside))


def forbid(host: Host, key: PublicKey, *, keep: PublicKey) -> None:
    """Let `keep` log in wherever `key` may, and `key` no more. Twice is once. Raises what `allow` raises."""
    for file in files(host):
        content = file.content or b""
        if allows(content, key):
            _replace(host, file, removed(added(content, keep, beside=key), key, keep=keep))


def holding(host: Host, key: PublicKey) -> tuple[File, ...]:
    """The files that let the key in. Raises Refused where there is none: then it is let in by other means."""
    seen = files(host)
    found = tuple(file for file in seen if file.content is not None and allows(file.content, key))
    if not found:
        told = [f"{file.path}{' cannot be read' if file.content is None else ''}" for file in seen]
        raise Refused(
            f"no authorized_keys of {host.name} holds the key {key.fingerprint}, though it may be let in",
            details=[f"looked at: {', '.join(told) or 'nothing, for there is no such file'}"],
            hint=host.paste(("ls", "-la", ".ssh")),
        )
    return found


def _replace(host: Host, file: File, content: bytes) -> None:
    if content != file.content:
        seen = hashlib.sha256(file.content or b"").hexdigest()
        host.place(file.path, Secret(content), mode=file.mode, replaces=seen)


def _printed(out: bytes, host: Host) -> Iterator[File]:
    """What `_FILES` printed. Raises Refused, TargetFailed."""
    while out:
        path, mode, size, rest = (*out.split(b"\n", 3), b"", b"", b"")[:4]
        if not re.fullmatch(rb"-?[0-9]+", size) or len(rest) < int(size):
            raise TargetFailed(f"the authorized_keys of {host.name} changed while they were read")
        length, name = max(0, int(size)), path.decode(errors="surrogateescape")
        if length > LIMIT:
            raise Refused(f"{name} of {host.name} has more than {LIMIT} bytes", hint=host.paste(("ls", "-l", name)))
        yield File(name, mode_of(mode.decode()), None if int(size) < 0 else rest[:length])
        out = rest[length:]


def _lines(content: bytes) -> list[bytes]:
    """The lines with their ends, as sshd counts them: a carriage return alone ends none."""
    return re.findall(rb"[^\n]*\n|[^\n]+", content)


def _key(line: bytes) -> bytes | None:
    """The key that a line lets in; None for a comment, for what sshd does not understand and for an authority."""
    found = _LINE.match(line)
    if found is None or b"cert-authority" in re.sub(_QUOTED, b"", found["options"] or b"").lower().split(b","):
        return None
    try:
        return base64.b64decode(found["blob"], validate=True)
    except ValueError:
        return None


def _twin(line: bytes, key: PublicKey) -> bytes:
    """The line with another key in it."""
    found = _LINE.match(line)
    assert found is not None  # noqa: S101  # the caller has found a key in it
    return line[: found.start("key")] + key.text + line[found.end("key") :]
