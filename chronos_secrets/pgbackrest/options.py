"""The option names that pgBackRest knows, and what a value of each may look like. Pure.

Sources: `pgbackrest help COMMAND` of 2.45 for every command, the internal names that the same program accepts without
a warning (a contract test asks it), and for later releases the public configuration reference (2.46 to 2.59; `since=`
gives the first release where known). A name that is missing here is refused, so a newer release only ever needs a line.
"""

import re
from typing import NamedTuple

HIGHEST_INDEX = 256


class Option(NamedTuple):
    """One option without its index: `repo-path` stands for repo1-path, repo2-path and so on."""

    name: str
    kind: str  # boolean, integer, size, time, path, text, choice
    indexed: bool
    repeats: bool = False  # a list: may stand several times in one section
    stanza_only: bool = False  # ignored with a warning in [global]
    command_line: bool = False  # ignored with a warning in any file
    secret: bool = False
    choices: tuple[str, ...] = ()
    at_least: int | None = None
    at_most: int | None = None
    since: str = ""


# name, kind, marks. A choice lists its values; `plain` is a pg-/repo- name that takes no index.
_TABLE = """
annotation                      text     repeats
archive-async                   boolean
archive-check                   boolean
archive-copy                    boolean
archive-get-queue-max           size
archive-header-check            boolean
archive-missing-retry           boolean
archive-mode                    choice   off|preserve
archive-mode-check              boolean
archive-push-queue-max          size
archive-timeout                 time
backup-standby                  choice   y|n|prefer
beta                            boolean  since=2.46
buffer-size                     size
checksum-page                   boolean
cipher-pass                     text     command-line secret
cmd                             text
cmd-ssh                         text
compress                        boolean
compress-level                  integer
compress-level-network          integer
compress-type                   choice   none|bz2|gz|lz4|zst
config                          text     command-line
config-include-path             path     command-line
config-path                     path     command-line
db-exclude                      text     repeats
db-include                      text     repeats
db-timeout                      time
delta                           boolean
dry-run                         boolean  command-line
exclude                         text     repeats
exec-id                         text     command-line
expire-auto                     boolean
filter                          text     command-line
force                           boolean  command-line
ignore-missing                  boolean  command-line
io-timeout                      time
job-retry                       integer
job-retry-interval              time
link-all                        boolean
link-map                        text     repeats
lock-path                       path
log-level-console               choice   off|error|warn|info|detail|debug|trace
log-level-file                  choice   off|error|warn|info|detail|debug|trace
log-level-stderr                choice   off|error|warn|info|detail|debug|trace
log-path                        path
log-subprocess                  boolean
log-timestamp                   boolean
manifest-save-threshold         size
neutral-umask                   boolean
online                          boolean  command-line
output                          text     command-line
page-header-check               boolean  since=2.46
pg                              integer  command-line
pg-database                     text     stanza
pg-host                         text     stanza
pg-host-ca-file                 text
pg-host-ca-path                 text
pg-host-cert-file               text
pg-host-cmd                     text     stanza
pg-host-config                  text     stanza
pg-host-config-include-path     path     stanza
pg-host-config-path             path     stanza
pg-host-key-file                text
pg-host-port                    integer  stanza 0..65535
pg-host-type                    choice   ssh|tls
pg-host-user                    text     stanza
pg-local                        boolean  command-line
pg-path                         path     stanza
pg-port                         integer  stanza 0..65535
pg-socket-path                  path     stanza
pg-user                         text     stanza
pg-version-force                text     stanza plain
priority                        integer  since=2.58
process                         integer  command-line
process-max                     integer  1..999
protocol-timeout                time
raw                             boolean  command-line
recovery-option                 text     repeats
recurse                         boolean  command-line
reference                       text     command-line since=2.46
remote-type                     text     command-line
repo                            integer  command-line
repo-azure-account              text     secret
repo-azure-container            text
repo-azure-endpoint             text
repo-azure-key                  text     secret
repo-azure-key-type             choice   shared|sas|auto
repo-azure-uri-style            choice   host|path
repo-block                      boolean
repo-block-age-map              text     repeats
repo-block-checksum-size-map    text     repeats
repo-block-size-map             text     repeats
repo-block-size-super           size
repo-block-size-super-full      size
repo-bundle                     boolean
repo-bundle-limit               size
repo-bundle-size                size
repo-cipher-pass                text     secret
repo-cipher-type                choice   none|aes-256-cbc
repo-gcs-bucket                 text
repo-gcs-endpoint               text
repo-gcs-key                    text     secret
repo-gcs-key-type               choice   auto|service|token
repo-gcs-user-project           text     since=2.55
repo-hardlink                   boolean
repo-host                       text
repo-host-ca-file               text
repo-host-ca-path               text
repo-host-cert-file             text
repo-host-cmd                   text
repo-host-config                text
repo-host-config-include-path   path
repo-host-config-path           path
repo-host-key-file              text
repo-host-port                  integer  0..65535
repo-host-type                  choice   ssh|tls
repo-host-user                  text
repo-local                      boolean  command-line
repo-path                       path
repo-retention-archive          integer  1..9999999
repo-retention-archive-type     choice   full|diff|incr
repo-retention-diff             integer  1..9999999
repo-retention-full             integer  1..9999999
repo-retention-full-type        choice   count|time
repo-retention-history          integer  0..9999999
repo-s3-bucket                  text
repo-s3-endpoint                text
repo-s3-key                     text     secret
repo-s3-key-secret              text     secret
repo-s3-key-type                choice   shared|auto|web-id|pod-id|process
repo-s3-kms-key-id              text
repo-s3-process-cmd             text     repeats since=2.59
repo-s3-region                  text
repo-s3-requester-pays          boolean  since=2.55
repo-s3-role                    text
repo-s3-service                 text     since=2.59
repo-s3-sse-customer-key        text     secret since=2.46
repo-s3-sts-host                text     since=2.59
repo-s3-token                   text     secret
repo-s3-uri-style               choice   host|path
repo-sftp-host                  text     since=2.46
repo-sftp-host-fingerprint      text     since=2.46
repo-sftp-host-key-check-type   choice   accept-new|fingerprint|none|strict since=2.48
repo-sftp-host-key-hash-type    choice   md5|sha1|sha256 since=2.46
repo-sftp-host-port             integer  1..65535 since=2.46
repo-sftp-host-user             text     since=2.46
repo-sftp-known-host            text     repeats since=2.48
repo-sftp-private-key-file      text     since=2.46
repo-sftp-private-key-passphrase text    secret since=2.46
repo-sftp-public-key-file       text     since=2.46
repo-storage-ca-file            text
repo-storage-ca-path            path
repo-storage-host               text
repo-storage-port               integer  1..65535
repo-storage-tag                text     repeats since=2.48
repo-storage-upload-chunk-size  size
repo-storage-verify-tls         boolean
repo-symlink                    boolean  since=2.46
repo-target-time                text     plain since=2.54
repo-type                       choice   azure|cifs|gcs|posix|s3|sftp
report                          boolean  command-line since=2.46
resume                          boolean
sck-block                       boolean
sck-keep-alive                  boolean
set                             text     command-line
sort                            text     command-line
spool-path                      path
stanza                          text     command-line
start-fast                      boolean
stop-auto                       boolean
tablespace-map                  text     repeats
tablespace-map-all              text
target                          text     command-line
target-action                   text     command-line
target-exclusive                boolean  command-line
target-timeline                 text     command-line
tcp-keep-alive-count            integer  1..32
tcp-keep-alive-idle             integer  1..3600
tcp-keep-alive-interval         integer  1..900
tls-cipher-12                   text     since=2.58
tls-cipher-13                   text     since=2.58
tls-server-address              text
tls-server-auth                 text     repeats
tls-server-ca-file              path
tls-server-cert-file            path
tls-server-key-file             path
tls-server-port                 integer  1..65535
type                            text     command-line
verbose                         boolean  command-line
"""

# Old names that every 2.x still reads, and what they mean now; `?` is an index.
_OLD_NAMES = """
archive-queue-max archive-push-queue-max
backup-cmd repo1-host-cmd
backup-config repo1-host-config
backup-host repo1-host
backup-ssh-port repo1-host-port
backup-user repo1-host-user
db-cmd pg1-host-cmd
db-config pg1-host-config
db-host pg1-host
db-path pg1-path
db-port pg1-port
db-socket-path pg1-socket-path
db-ssh-port pg1-host-port
db-user pg1-host-user
db?-cmd pg?-host-cmd
db?-config pg?-host-config
db?-host pg?-host
db?-path pg?-path
db?-port pg?-port
db?-socket-path pg?-socket-path
db?-ssh-port pg?-host-port
db?-user pg?-host-user
hardlink repo1-hardlink
repo-cipher-pass repo1-cipher-pass
repo-cipher-type repo1-cipher-type
repo-path repo1-path
repo-s3-bucket repo1-s3-bucket
repo-s3-ca-file repo1-storage-ca-file
repo-s3-ca-path repo1-storage-ca-path
repo-s3-endpoint repo1-s3-endpoint
repo-s3-host repo1-storage-host
repo-s3-key repo1-s3-key
repo-s3-key-secret repo1-s3-key-secret
repo-s3-region repo1-s3-region
repo-s3-verify-ssl repo1-storage-verify-tls
repo-type repo1-type
repo?-azure-ca-file repo?-storage-ca-file
repo?-azure-ca-path repo?-storage-ca-path
repo?-azure-host repo?-storage-host
repo?-azure-port repo?-storage-port
repo?-azure-verify-tls repo?-storage-verify-tls
repo?-s3-ca-file repo?-storage-ca-file
repo?-s3-ca-path repo?-storage-ca-path
repo?-s3-host repo?-storage-host
repo?-s3-port repo?-storage-port
repo?-s3-verify-ssl repo?-storage-verify-tls
repo?-s3-verify-tls repo?-storage-verify-tls
retention-archive repo1-retention-archive
retention-archive-type repo1-retention-archive-type
retention-diff repo1-retention-diff
retention-full repo1-retention-full
"""

# The words after the colon in [global:backup]; a section for any other word is never read.
_COMMANDS = """
annotate archive-get archive-push backup check expire help info manifest repo-create repo-get repo-ls repo-put
repo-rm restore server server-ping stanza-create stanza-delete stanza-upgrade start stop verify version
"""
COMMANDS = frozenset(_COMMANDS.split())


def _option(line: str) -> Option:
    name, kind, *marks = line.split()
    low, _, high = next((mark for mark in marks if ".." in mark), "").partition("..")
    return Option(
        name=name,
        kind=kind,
        indexed=name.startswith(("pg-", "repo-")) and "plain" not in marks,
        repeats="repeats" in marks,
        stanza_only="stanza" in marks,
        command_line="command-line" in marks,
        secret="secret" in marks,
        choices=tuple(marks[0].split("|")) if kind == "choice" else (),
        at_least=int(low) if low else None,
        at_most=int(high) if high else None,
        since=next((mark.removeprefix("since=") for mark in marks if mark.startswith("since=")), ""),
    )


OPTIONS = {option.name: option for option in map(_option, _TABLE.strip().splitlines())}
OLD_NAMES = {old: new for old, new in map(str.split, _OLD_NAMES.strip().splitlines())}  # noqa: C416  # pairs for mypy
_INDEXED = re.compile(r"(db|pg|repo)([0-9]+)-(.+)", re.ASCII)


def resolve(key: str) -> tuple[str, Option] | None:
    """The name that a key stands for, with its index and without old spellings, and its option. None when unknown.

    `repo01-path`, `repo-path` and `repo1-path` are the same option to pgBackRest; two of them are a duplicate.
    """
    found = _INDEXED.fullmatch(key)
    if found is None:
        name = OLD_NAMES.get(key, key)
        return resolve(name) if name != key else _plain(name)
    group, digits, rest = found.groups()
    if len(digits) > 9 or not 1 <= int(digits) <= HIGHEST_INDEX:
        return None
    name = OLD_NAMES.get(f"{group}?-{rest}", f"{group}?-{rest}")
    option = OPTIONS.get(name.replace("?", "", 1))
    return (name.replace("?", str(int(digits)), 1), option) if option and option.indexed else None


def _plain(name: str) -> tuple[str, Option] | None:
    option = OPTIONS.get(name)
    return (name, option) if option and not option.indexed else None


def nearest(key: str) -> str | None:
    """The known name that an unknown key most resembles, with the key's index; None when nothing comes close."""
    from difflib import get_close_matches  # only ever needed for a file with a mistake

    found = _INDEXED.fullmatch(key.lower())
    group, digits, rest = found.groups() if found else ("", "", key.lower())
    index = digits if digits and len(digits) < 4 and 1 <= int(digits) <= HIGHEST_INDEX else "1"
    close = get_close_matches(f"{group}-{rest}" if group else rest, OPTIONS, n=1, cutoff=0.75)
    if not close:
        return None
    prefix, _, tail = close[0].partition("-")
    return f"{prefix}{index}-{tail}" if OPTIONS[close[0]].indexed else close[0]
