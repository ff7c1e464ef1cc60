"""The real pgBackRest's opinion of a configuration, asked without network, repository or database.

The text goes in through a pipe that the program opens as /dev/stdin: never a file, an argument or the environment.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

from chronos_secrets.errors import TargetFailed
from chronos_secrets.pgbackrest.lint import Problem
from chronos_secrets.pgbackrest.options import nearest, resolve
from chronos_secrets.secret import Secret

# The exit statuses that speak of the file. All others (43: no WAL segment given, 55: empty repository, 72: another
# host, 104: expire failed) come after the file was accepted.
_FIXES = {
    29: "each line is a [section], a # comment or option=value",
    31: "set each option once, under its whole name",
    32: "give the option a value of its kind",
    37: "add the option that is named",
    42: "no line may be longer than 65535 bytes",
}
_WARNING = re.compile(r"WARN: (configuration file contains .*)")
_ERROR = re.compile(r"ERROR: \[[0-9]+\]: (.*)")
_VERBATIM = re.compile(r"(at line [0-9]+): .*")  # what follows is the line of the file itself
_REPOSITORY = re.compile(rb"^[ \t]*repo([0-9]{0,3})-", re.MULTILINE)
_CRASHES = re.compile(rb"^[ \t]*(?:pg|repo)0+-", re.MULTILINE)
_HARMLESS = re.compile(r"[yn]|[0-9]{1,5}")


def lint_with_binary(
    conf: Secret, *, stanza: str, program: str = "pgbackrest", timeout: float = 20
) -> list[Problem] | None:
    """What pgBackRest itself finds wrong with the text; None where the program is not installed.

    Two commands read it: `archive-push` without a WAL segment, which stops (43) once every option is accepted, so the
    repository's own options are judged as they are; and `expire --dry-run` on an empty directory, for the retention.
    `info` is not used: with repoN-host set it connects by ssh. Options of other commands (backup, restore) are judged
    by their name only. Messages are pgBackRest's with every value of the text masked. Raises TargetFailed on a timeout.
    """
    path = shutil.which(program)
    if path is None:
        return None
    if _CRASHES.search(conf.reveal_bytes()):  # 2.45 dies of a segmentation fault, and a core dump would hold the text
        return [Problem(0, "pgbackrest-crash", "pgbackrest crashes on an option with index 0", "begin with 1")]
    problems: dict[Problem, None] = {}
    with tempfile.TemporaryDirectory(prefix="chronos-secrets-") as empty:  # 0700
        for command in (("archive-push",), _expire(conf, empty)):
            status, output = _ask(path, conf, (f"--stanza={stanza}", f"--lock-path={empty}", *command), timeout)
            problems |= dict.fromkeys(_problems(status, output, conf))
            if status in _FIXES or status < 0:
                break
    return list(problems)


def _expire(conf: Secret, empty: str) -> tuple[str, ...]:
    """Expire with every repository of the text moved to a directory of its own that does not exist."""
    found = {int(digits or 1) for digits in _REPOSITORY.findall(conf.reveal_bytes())} & set(range(1, 257))
    moved = [(f"--repo{index}-type=posix", f"--repo{index}-path={empty}/{index}") for index in sorted(found or {1})]
    return (*(argument for pair in moved for argument in pair), "--dry-run", "expire")


def _ask(program: str, conf: Secret, arguments: tuple[str, ...], timeout: float) -> tuple[int, str]:
    try:
        done = subprocess.run(
            (
                program, "--config=/dev/stdin", "--log-level-console=off", "--log-level-stderr=warn",
                "--log-level-file=off", *arguments,
            ),
            input=conf.reveal_bytes(),
            capture_output=True,
            timeout=timeout,
            env={name: value for name, value in os.environ.items() if not name.startswith("PGBACKREST_")},
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        # its own text would carry what the program had said so far, unmasked
        raise TargetFailed(f"pgbackrest did not read the configuration within {timeout:g} seconds") from None
    return done.returncode, (done.stderr + b"\n" + done.stdout).decode(errors="surrogateescape")


def _problems(status: int, output: str, conf: Secret) -> Iterator[Problem]:
    for warning in _WARNING.findall(output):
        yield Problem(0, "pgbackrest-warn", masked(warning, conf), "correct the option's name or place")
    if status in _FIXES:
        error = _ERROR.search(output)
        yield Problem(0, f"pgbackrest-{status}", masked(error[1] if error else "", conf), _FIXES[status])
    if status < 0:
        yield Problem(0, "pgbackrest-crash", f"pgbackrest died of signal {-status}", "use the options it documents")


def masked(message: str, conf: Secret) -> str:
    """What pgBackRest said of a configuration, without any value that stands in it and without its own lines."""
    message = _VERBATIM.sub(r"\1", message)
    for value in sorted(_values(conf.reveal_bytes().decode(errors="surrogateescape")), key=len, reverse=True):
        if len(value) >= 8:
            message = message.replace(value, "***")
        else:  # a short one is masked as a word, or "s3" and "4" would eat the names of the options
            message = re.sub(rf"(?<![\w-]){re.escape(value)}(?![\w-])", "***", message)
    return message.encode(errors="replace").decode()


def _values(text: str) -> set[str]:
    """Everything in the text that a message might repeat and that is not plainly harmless."""
    found: set[str] = set()
    for line in text.split("\n"):
        key, _, value = (part.strip(" \t\r") for part in line.partition("="))
        known = resolve(key)
        if known is None and nearest(key) is None and not key.startswith(("[", "#")):
            found.add(key)
        option = known[1] if known else None
        if option is None or option.secret or not (value in option.choices or _HARMLESS.fullmatch(value)):
            found |= {value, *value.split("=", 1)}
    return found - {""}
