"""What a commit, a push and a history bring, on real git."""

import base64
import gzip
import io
import os
import random
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from chronos_secrets.scan import history, messages, pushed, staged
from chronos_secrets.scan.found import Piece, Trouble, Unread
from tests.support.programs import require

MARK = b"the-needle-of-this-haystack"
OLD = b"what-stood-here-before"
LONG = os.environ.get("CHRONOS_LONG") == "1"
SOURCE = Path(staged.__file__).parents[2]
LINES = b"".join(b"line %d of the file\n" % each for each in range(1, 41))

Place = tuple[bytes, int, str]


class Repository:
    """A repository of a test, and the working directory of the process."""

    def __init__(self, path: Path, *options: str) -> None:
        self.path = path
        path.mkdir(exist_ok=True)
        self("init", "-q", "-b", "main", *options)

    def __call__(self, *args: "str | bytes", given: "bytes | None" = None, ok: bool = True, **env: str) -> bytes:
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always"]
        done = subprocess.run(
            [*command, *args], cwd=self.path, input=given, capture_output=True, env=os.environ | env, check=False
        )
        assert not ok or done.returncode == 0, done.stderr.decode()
        return done.stdout.strip()

    def write(self, name: "str | bytes", data: bytes) -> None:
        path = self.path / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def stage(self, name: "str | bytes", data: bytes) -> None:
        self.write(name, data)
        self("add", "-A")

    def commit(self, name: "str | bytes | None" = None, data: bytes = b"", message: str = "a message") -> str:
        if name is not None:
            self.stage(name, data)
        self("commit", "-q", "--allow-empty", "-m", message)
        return self("rev-parse", "HEAD").decode()


@pytest.fixture(params=["sha1", "sha256"])
def both(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository of each hash."""
    require("git")
    made = Repository(tmp_path / "repository", f"--object-format={request.param}")
    monkeypatch.chdir(made.path)
    return made


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    require("git")
    made = Repository(tmp_path / "repository")
    monkeypatch.chdir(made.path)
    return made


def places(pieces: Iterable["Piece | Unread"], mark: bytes = MARK) -> list[Place]:
    """Path, line and via of the mark, each time it stands in a piece. Fails on what could not be read."""
    found = []
    for piece in pieces:
        assert isinstance(piece, Piece), piece.reason
        at = piece.text.find(mark)
        while at >= 0:
            found.append((piece.path, piece.line_at(at), piece.via))
            at = piece.text.find(mark, at + 1)
    return found


def found() -> list[Place]:
    return places(staged.pieces())


def new_text() -> bytes:
    """Everything that the commit would bring, as one text."""
    return b"\n".join(each.text for each in staged.pieces() if isinstance(each, Piece))


def reasons() -> list[tuple[bytes, str]]:
    return [(each.path, each.reason) for each in staged.pieces() if isinstance(each, Unread)]


# --- which blobs


def test_nothing_staged_is_nothing_to_scan(repository):
    assert list(staged.pieces()) == []
    repository.commit("file", LINES)
    assert list(staged.pieces()) == []


def test_the_first_commit_brings_all_that_is_staged(both):
    both.stage("folder/file", LINES + MARK)
    assert found() == [(b"folder/file", 41, "")]


def test_a_later_commit_brings_only_its_new_lines(both):
    both.commit("file", OLD + b"\n" + LINES)
    both.stage("file", OLD + b"\n" + LINES.replace(b"line 7 ", MARK + b" ", 1) + b"last\n")
    assert found() == [(b"file", 8, "")]
    assert new_text() == MARK + b" of the file\n\nlast"


def test_new_lines_that_do_not_stand_together_are_kept_apart(repository):
    repository.commit("file", b"a = 1\nb = 2\n")
    repository.stage("file", b"one = 1\na = 1\ntwo = 2\nthree = 3\nb = 2\n")
    (piece,) = staged.pieces()
    assert piece.text == b"one = 1\n\ntwo = 2\nthree = 3"
    assert piece.numbers == [1, 0, 3, 4]


def test_the_index_counts_and_not_the_work_tree(repository):
    repository.commit("file", LINES)
    repository.stage("file", LINES + MARK)
    repository.write("file", LINES)
    assert found() == [(b"file", 41, "")]
    repository("reset", "-q")
    repository.write("file", LINES + MARK)
    repository.write("untracked", MARK)
    assert found() == []


def test_of_a_partly_staged_file_only_the_staged_part_counts(repository):
    repository.commit("file", LINES)
    blob = repository("hash-object", "-w", "--stdin", given=LINES + b"staged\n").decode()
    repository("update-index", "--cacheinfo", f"100644,{blob},file")
    repository.write("file", LINES + b"staged\nnot staged " + MARK)
    assert new_text() == b"staged"


def test_a_merge_brings_what_the_other_branch_has_and_what_was_resolved(repository):
    repository.commit("file", LINES)
    repository("checkout", "-q", "-b", "other")
    repository.commit("theirs", b"x = 1\n" + MARK)
    repository("checkout", "-q", "main")
    repository.commit("ours", OLD)
    repository("merge", "-q", "--no-commit", "--no-ff", "other")
    repository.stage("file", LINES + b"resolved " + MARK)
    assert sorted(found()) == [(b"file", 41, ""), (b"theirs", 2, "")]
    assert OLD not in new_text()


def test_an_amended_commit_brings_what_its_first_form_did_not_have(repository):
    repository.commit("file", LINES)
    repository.commit("file", LINES + OLD + b"\n")
    repository.stage("file", LINES + OLD + b"\n" + MARK)
    hook = repository.path / ".git" / "hooks" / "pre-commit"
    hook.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{SHOW}' >told\n")
    hook.chmod(0o755)
    repository("commit", "-q", "--amend", "--no-edit", PYTHONPATH=str(SOURCE))
    assert (repository.path / "told").read_bytes() == MARK


SHOW = """
import sys
from chronos_secrets.scan import staged
sys.stdout.buffer.write(b"|".join(each.text for each in staged.pieces()))
"""


@pytest.mark.parametrize("args", [["-a"], ["one"], ["-i", "one", "two"], ["-o", "one"], ["--only", "one", "new"]])
def test_a_hook_sees_the_index_of_its_own_commit(repository, args):
    for name in ("one", "two", "three"):
        repository.commit(name, LINES)
    for name in ("one", "two", "three", "new"):
        repository.write(name, LINES + name.encode())
    repository("add", "new", "three")
    hook = repository.path / ".git" / "hooks" / "pre-commit"
    hook.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{SHOW}' >../told\n")
    hook.chmod(0o755)
    repository("commit", "-q", "-m", "x", *args, PYTHONPATH=str(SOURCE))
    told = (repository.path.parent / "told").read_bytes()
    committed = repository("show", "--name-only", "--format=", "HEAD").split()
    assert sorted(each.rpartition(b"\n")[2] for each in told.split(b"|")) == sorted(committed)


def test_a_renamed_file_brings_nothing_and_an_edited_one_its_new_lines(repository):
    repository.commit("old", LINES + OLD)
    repository.commit("other", LINES + b"of the other " + OLD)
    repository("mv", "old", "new")
    assert list(staged.pieces()) == []
    repository("mv", "other", "folder")
    repository.stage("folder", LINES.replace(b"line 3 ", MARK, 1) + b"of the other " + OLD)
    assert found() == [(b"folder", 3, "")]
    assert OLD not in new_text()


def test_a_copy_of_a_file_that_stays_is_new(repository):
    repository.commit("old", LINES + MARK)
    repository.stage("copy", LINES + MARK)
    assert found() == [(b"copy", 41, "")]


def test_a_line_that_was_moved_or_indented_is_not_new(repository):
    repository.commit("file", b"a\n" + OLD + b"\nb\n")
    repository.stage("file", b"a\nb\nif x:\n    " + OLD + b"\n")
    assert new_text() == b"if x:"


def test_a_mode_that_changed_alone_brings_nothing(repository):
    repository.commit("file", LINES + OLD)
    (repository.path / "file").chmod(0o755)
    repository("add", "file")
    assert b"100755" in repository("diff-index", "--cached", "HEAD")
    assert list(staged.pieces()) == []


def test_the_target_of_a_link_is_read_and_the_file_behind_it_is_not(repository):
    repository.commit("file", MARK)
    (repository.path / "link").symlink_to("file")
    (repository.path / "token").symlink_to("https://example.org/" + MARK.decode())
    repository("add", "-A")
    assert found() == [(b"token", 1, "symlink")]
    repository.commit()
    (repository.path / "token").unlink()
    (repository.path / "token").symlink_to("elsewhere")
    repository("add", "-A")
    assert new_text() == b"elsewhere"


def test_a_file_in_the_place_of_a_link_is_new(repository):
    (repository.path / "link").symlink_to("somewhere")
    repository.commit("file", LINES)
    (repository.path / "link").unlink()
    repository.stage("link", LINES + MARK)
    assert found() == [(b"link", 41, "")]


def test_a_submodule_brings_nothing_when_it_comes_moves_or_becomes_a_folder(repository, tmp_path):
    other = Repository(tmp_path / "other")
    other.commit("file", MARK)
    repository("submodule", "--quiet", "add", str(other.path), "sub")
    assert found() == []
    assert b"path = sub" in new_text()
    repository.commit()
    other.commit("file", MARK + b"2")
    repository("-C", "sub", "pull", "-q")
    repository("add", "sub")
    assert list(staged.pieces()) == []
    repository("rm", "-q", "-f", "--cached", "sub")
    repository("config", "diff.ignoreSubmodules", "all")
    blob = repository("hash-object", "-w", "--stdin", given=MARK).decode()
    repository("update-index", "--add", "--cacheinfo", f"100644,{blob},sub")
    assert found() == [(b"sub", 1, "")]


def test_a_worktree_has_an_index_of_its_own(repository, tmp_path, monkeypatch):
    repository.commit("file", LINES)
    repository("worktree", "add", "-q", str(tmp_path / "second"))
    second = tmp_path / "second"
    (second / "file").write_bytes(LINES + MARK)
    repository("-C", str(second), "add", "file")
    assert found() == []
    monkeypatch.chdir(second)
    assert found() == [(b"file", 41, "")]


ODD = [
    b"with space",
    b'"quoted"',
    b"new\nline",
    b"tab\there",
    b"\xff\xfe-\x01",
    "ü".encode(),
    b"-r",
    b"HEAD",
    b":(top)x",
]
ODD += [b"back\\slash", b"a\n:100644 100644 0 0 M\nb", b"'"]


@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_any_path_is_read_and_told_as_it_is(repository, name):
    repository.commit("first", LINES)
    repository.write(name, LINES + MARK)
    repository("add", "-A")
    assert found() == [(name, 41, "")]
    repository.commit()
    repository.write(name, LINES + OLD)
    repository("add", "-A")
    assert new_text() == OLD


def test_a_conflict_that_is_not_resolved_is_told(repository):
    repository.commit("file", LINES)
    repository("checkout", "-q", "-b", "other")
    repository.commit("file", LINES + b"theirs")
    repository("checkout", "-q", "main")
    repository.commit("file", LINES + b"ours")
    repository("merge", "-q", "other", ok=False)
    assert {*reasons()} == {(b"file", "its conflict is not resolved yet")}


def test_a_file_that_is_only_intended_to_be_added_is_no_part_of_the_commit(repository):
    repository.commit("file", LINES)
    repository.write("new", MARK)
    repository("add", "-N", "new")
    assert found() == []


def test_a_deleted_file_brings_nothing(repository):
    repository.commit("file", LINES + OLD)
    repository("rm", "-q", "file")
    assert list(staged.pieces()) == []


# --- what surrounds git


SETTINGS = {
    "color.ui": "always",
    "color.diff": "always",
    "diff.external": "true",
    "diff.noprefix": "true",
    "diff.relative": "true",
    "diff.renames": "copies",
    "diff.orderFile": "/dev/null",
    "diff.submodule": "log",
    "diff.ignoreSubmodules": "all",
    "diff.word.textconv": "true",
    "diff.word.command": "true",
    "core.quotePath": "true",
    "core.abbrev": "4",
    "core.pager": "cat >/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "attributes",
    "diff.suppressBlankEmpty": "true",
    "diff.context": "0",
    "diff.interHunkContext": "10",
    "diff.algorithm": "patience",
    "log.showRoot": "false",
    "log.showSignature": "true",
    "core.bigFileThreshold": "1",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_of_git_hides_a_line(repository, monkeypatch, name):
    repository.commit("folder/file", LINES)
    repository.commit("attributes", b"* diff=word\n")
    repository("config", name, SETTINGS[name])
    repository.stage("folder/file", LINES + MARK + b"\n")
    repository.stage("above", MARK + b"\n")
    assert sorted(found()) == [(b"above", 1, ""), (b"folder/file", 41, "")]
    monkeypatch.chdir(repository.path / "folder")
    assert sorted(found()) == [(b"above", 1, ""), (b"folder/file", 41, "")]


@pytest.mark.parametrize(
    "attribute", ["-diff", "binary", "diff=word", "-text", "working-tree-encoding=UTF-16LE", "eol=crlf"]
)
def test_no_attribute_hides_a_line(repository, attribute):
    repository("config", "diff.word.textconv", "true")
    repository.commit(".gitattributes", f"file {attribute}\n".encode())
    text = LINES + MARK + b"\n"
    repository.stage("file", text.decode().encode("utf-16-le") if "UTF-16" in attribute else text)
    assert found() == [(b"file", 41, "")]


@pytest.mark.parametrize("name", ["GIT_TRACE", "GIT_TRACE2", "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_PAGER"])
def test_no_variable_of_the_environment_comes_between(repository, monkeypatch, name, tmp_path):
    monkeypatch.setenv(name, str(tmp_path / "trace"))
    repository.stage("file", LINES + MARK)
    (tmp_path / "trace").unlink(missing_ok=True)
    assert found() == [(b"file", 41, "")]
    assert not (tmp_path / "trace").exists()


def test_a_replaced_blob_does_not_hide_the_real_one(repository):
    repository.commit("file", LINES)
    repository.stage("file", LINES + MARK)
    real = repository("rev-parse", ":file").decode()
    harmless = repository("hash-object", "-w", "--stdin", given=LINES).decode()
    repository("replace", real, harmless)
    assert MARK not in repository("cat-file", "blob", real)
    assert found() == [(b"file", 41, "")]


def git_of_a_test(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that stands before the real git in the PATH."""
    fake = folder / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    return fake


def test_outside_of_a_repository_there_is_a_sentence_in_any_language(tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Trouble, match="this folder is not in a git repository"):
        list(staged.pieces())
    german = 'test "$LC_ALL" = C || { echo "Schwerwiegend: kein Git-Repository" >&2; exit 128; }\n'
    git_of_a_test(tmp_path, f'{german}exec {require("git")} "$@"', monkeypatch)
    with pytest.raises(Trouble, match="this folder is not in a git repository"):
        list(staged.pieces())


def test_without_git_there_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Trouble, match="git cannot be run: No such file or directory") as trouble:
        list(staged.pieces())
    assert trouble.value.hint == "command -v git"


def test_a_repository_of_somebody_else_is_told_with_what_helps(repository, monkeypatch):
    repository.commit("file", LINES)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(Trouble, match="it belongs to another user") as trouble:
        list(staged.pieces())
    assert trouble.value.hint == f"git config --global --add safe.directory '{repository.path}'"


def object_file(repository: Repository, name: str) -> Path:
    path = repository.path / ".git" / "objects" / name[:2] / name[2:]
    path.chmod(0o644)
    return path


def test_a_blob_that_git_dies_of_is_a_sentence_that_names_it(repository):
    repository.commit("file", LINES)
    repository.stage("file", os.urandom(200_000) + MARK)
    name = repository("rev-parse", ":file").decode()
    path = object_file(repository, name)
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(Trouble, match=f"object {name} cannot be read") as trouble:
        list(staged.pieces())
    assert trouble.value.hint == "git fsck"


@pytest.mark.parametrize("damage", [None, b"", b"garbage"], ids=["missing", "empty", "garbage"])
def test_a_blob_that_is_not_there_is_told_and_the_others_are_read(repository, damage):
    repository.commit("first", LINES)
    repository.stage("gone", b"gone")
    repository.stage("here", LINES + MARK)
    name = repository("rev-parse", ":gone").decode()
    path = object_file(repository, name)
    path.unlink() if damage is None else path.write_bytes(damage)
    pieces = list(staged.pieces())
    assert places(each for each in pieces if isinstance(each, Piece)) == [(b"here", 41, "")]
    (unread,) = [each for each in pieces if isinstance(each, Unread)]
    assert (unread.path, unread.reason) == (b"gone", f"its blob {name} is missing from the repository or damaged")


def test_a_missing_blob_of_before_makes_everything_new(repository):
    repository.commit("file", LINES)
    repository.stage("file", LINES + MARK)
    object_file(repository, repository("rev-parse", "HEAD:file").decode()).unlink()
    assert found() == [(b"file", 41, "")]


@pytest.mark.parametrize("broken", ["HEAD", "index", "the commit"])
def test_a_broken_repository_is_a_sentence(repository, broken):
    head = repository.commit("file", LINES)
    repository.stage("file", MARK)
    if broken == "the commit":
        object_file(repository, head).unlink()
    else:
        (repository.path / ".git" / broken).write_bytes(b"garbage")
    with pytest.raises(Trouble) as trouble:
        list(staged.pieces())
    assert "\n" not in trouble.value.message


def test_a_git_that_is_killed_is_a_sentence(repository, tmp_path, monkeypatch):
    repository.commit("file", LINES)
    repository.stage("file", MARK)
    script = f'if [ "$1" = cat-file ]; then kill -9 $$; fi\nexec {require("git")} "$@"'
    fake = git_of_a_test(tmp_path, script, monkeypatch)
    with pytest.raises(Trouble, match="was killed by signal 9"):
        list(staged.pieces())
    fake.write_text("#!/bin/sh\nkill -9 $$\n")
    with pytest.raises(Trouble, match=r"git rev-parse was killed by signal 9"):
        list(staged.pieces())


def test_more_objects_than_a_pipe_holds_are_asked_for_without_a_deadlock(repository):
    for each in range(3000):
        repository.write(f"folder/{each}", b"%d\n" % each + (MARK if each == 2990 else b""))
    repository("add", "-A")
    assert found() == [(b"folder/2990", 2, "")]


def test_whoever_leaves_early_leaves_no_process_behind(repository):
    for each in range(300):
        repository.write(f"{each}", bytes(each) + LINES * 50)
    repository("add", "-A")
    before = children()
    pieces = staged.pieces()
    next(pieces)
    assert children() - before
    pieces.close()
    assert not children() - before


def children() -> set[str]:
    tasks = Path("/proc/self/task").glob("*/children")
    return {child for task in tasks for child in task.read_text().split()}


def run(code: str, *args: str, **kwargs: object) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n{code}", *args]
    return subprocess.run(command, capture_output=True, check=False, **kwargs)  # type: ignore[call-overload, no-any-return]


def test_it_works_with_all_standard_streams_closed(repository):
    repository.stage("file", LINES + MARK)
    code = SHOW.replace("sys.stdout.buffer.write(", "open(sys.argv[1], 'wb').write(")
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", code, "../told"],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        check=False,
    )
    assert done.returncode == 0
    assert (repository.path.parent / "told").read_bytes() == LINES + MARK


def test_it_works_where_the_end_of_children_is_ignored(repository):
    repository.stage("file", LINES + MARK)
    code = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n" + SHOW
    assert run(code).stdout == LINES + MARK


def test_a_sparse_index_hides_nothing(repository):
    repository.commit("in/file", LINES)
    repository.commit("out/file", LINES + OLD)
    repository("sparse-checkout", "set", "--cone", "--sparse-index", "in")
    repository.stage("in/file", LINES + MARK)
    blob = repository("hash-object", "-w", "--stdin", given=LINES + OLD + MARK).decode()
    repository("update-index", "--add", "--cacheinfo", f"100644,{blob},out/file")
    assert found() == [(b"in/file", 41, ""), (b"out/file", 41, "")]


def test_nothing_heavy_is_imported_for_an_ordinary_commit(repository):
    repository.stage("file", LINES + MARK)
    done = run(SHOW + "\nsys.stderr.write(' '.join(sys.modules))", env={"PATH": os.environ["PATH"]})
    modules = {*done.stderr.decode().split()}
    assert done.stdout == LINES + MARK
    heavy = {"re", "subprocess", "zipfile", "tarfile", "gzip", "typing", "dataclasses", "enum", "tempfile", "logging"}
    assert modules & heavy == {*run("sys.stderr.write(' '.join(sys.modules))").stderr.decode().split()} & heavy


# --- what the bytes are


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_of_a_file_in_utf16_only_the_new_lines_count(repository, codec):
    text = LINES.decode()
    repository.commit("file", (text + OLD.decode()).encode(codec))
    repository.stage("file", (text + OLD.decode() + "\n" + MARK.decode()).encode(codec))
    assert found() == [(b"file", 42, codec[:6])]
    assert new_text() == MARK


def test_a_file_that_changes_its_encoding_or_its_line_ends_brings_nothing(repository):
    repository.commit("file", LINES + OLD)
    repository.stage("file", (LINES + OLD).decode().encode("utf-16"))
    assert list(staged.pieces()) == []
    repository.stage("file", (LINES + OLD).replace(b"\n", b"\r\n"))
    assert list(staged.pieces()) == []


def test_lines_that_look_like_those_of_a_diff_are_lines(repository):
    repository.commit("file", LINES)
    repository.stage("file", LINES + b"++ b/" + MARK + b"\n-- a/x\n@@ -0,0 +1 @@\ndiff --git a/x b/x\n")
    assert found() == [(b"file", 41, "")]


def test_a_nul_byte_and_a_long_line_hide_nothing(repository):
    repository.commit("file", LINES + b"\0" + OLD)
    repository.stage("file", LINES + b"\0" + OLD + b"\n" + b"x, " * 3_000_000 + MARK)
    assert found() == [(b"file", 42, "")]
    assert OLD not in new_text()


def zipped(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return made.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


@pytest.mark.parametrize(
    ("pack", "via"),
    [
        (lambda text: zipped({"a.txt": b"x", "b.txt": text}), "zip: b.txt"),
        (lambda text: tarred({"a.txt": b"x", "b.txt": text}), "gzip, tar: b.txt"),
        (gzip.compress, "gzip"),
    ],
)
def test_of_an_archive_only_the_new_lines_of_its_members_count(repository, pack, via):
    repository.commit("file", pack(LINES + OLD))
    repository.stage("file", pack(LINES + OLD + b"\n" + MARK))
    assert found() == [(b"file", 42, via)]
    assert new_text() == MARK


def test_of_a_text_in_base64_only_the_new_lines_count(repository):
    def packed(text: bytes) -> bytes:
        return b"one\ntwo: " + base64.b64encode(text) + b"\n"

    repository.commit("file", packed(LINES + OLD))
    repository.stage("file", packed(LINES + OLD + b"\n" + MARK))
    assert found() == [(b"file", 2, "base64")]
    assert OLD not in new_text()


def test_an_encrypted_archive_is_told_but_not_when_it_only_moves(repository):
    data = bytearray(zipped({"a.txt": b"x"}))
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    repository.stage("file.zip", bytes(data))
    assert reasons() == [(b"file.zip", "it is encrypted")]
    repository.commit()
    repository("mv", "file.zip", "moved.zip")
    assert list(staged.pieces()) == []
    (repository.path / "moved.zip").chmod(0o755)
    repository("add", "moved.zip")
    repository.commit()
    (repository.path / "moved.zip").chmod(0o644)
    repository("add", "moved.zip")
    assert list(staged.pieces()) == []


# --- what new lines need to be understood


def key(seed: int) -> bytes:
    """The shape of a key file. Its first line is always the same, as that of an OpenSSH key is."""
    rows = [b"Constant" * 8, *(base64.b64encode(bytes([seed, each] * 24)) for each in range(8))]
    return b"-----BEGIN " + b"PRIVATE KEY-----\n" + b"\n".join(rows) + b"\n-----END " + b"PRIVATE KEY-----\n"


def test_a_key_in_the_place_of_another_comes_with_all_its_lines(repository):
    repository.commit("file", b"before\n" + key(1) + b"after\n")
    repository.stage("file", b"before\n" + key(2) + b"after\n")
    assert new_text() == key(2).rstrip(b"\n")
    repository.stage("file", b"before\n" + key(1) + b"after\n" + key(2))
    assert new_text() == key(2).rstrip(b"\n")


@pytest.mark.parametrize("name", [b"password:", b"password = (", b'"secret": [', b"<password>", b"<key>password</key>"])
def test_a_new_value_comes_with_the_line_that_names_it(repository, name):
    repository.commit("file", b"a: " + OLD + b"\n" + name + b"\n  old-value\nb: 2\n")
    repository.stage("file", b"a: " + OLD + b"\n" + name + b"\n  new-value\nb: 2\n")
    (piece,) = staged.pieces()
    assert piece.text == name + b"\n  new-value"
    assert piece.numbers == [2, 3]


# --- a history


Told = list[tuple[str, bytes, int, str]]


def told(found: "Iterable[history.Found]", mark: bytes = MARK) -> Told:
    """Commit, path, line and via of each place of the mark, as `places`."""
    return [(commit.id, *place) for commit, piece in found for place in places([piece], mark)]


def unread_in(found: "Iterable[history.Found]") -> list[tuple[bytes, str]]:
    return [(piece.path, piece.reason) for _, piece in found if isinstance(piece, Unread)]


def test_each_commit_of_a_history_brings_what_its_parents_did_not_have(both):
    first = both.commit("file", LINES + MARK + b"1\n")
    both.commit("file", LINES + MARK + b"1\nmore\n")
    third = both.commit("folder/other", MARK + b"2")
    fourth = both.commit("file", b"++ " + MARK + b"3\n" + LINES + MARK + b"1\nmore\n")
    both.commit("file", LINES)
    assert told(history.pieces()) == [
        (fourth, b"file", 1, ""),
        (third, b"folder/other", 1, ""),
        (first, b"file", 41, ""),
    ]


def test_a_commit_of_a_history_has_the_date_of_its_author(repository):
    repository.commit("file", LINES)
    repository("commit", "-q", "--amend", "--no-edit", "--date", "2020-02-03T04:05:06+01:00")
    assert {commit.date for commit, _ in history.pieces()} == {"2020-02-03T04:05:06+01:00"}


def test_a_history_has_all_refs_and_a_range_only_its_commits(repository):
    repository.commit("file", LINES)
    repository("checkout", "-q", "-b", "other")
    other = repository.commit("theirs", MARK)
    repository("checkout", "-q", "--detach", "main")
    loose = repository.commit("loose", MARK + b"2")
    assert {name for name, *_ in told(history.pieces())} == {other, loose}
    assert told(history.pieces("main..other")) == [(other, b"theirs", 1, "")]
    assert told(history.pieces("main")) == []
    repository("checkout", "-q", "main")
    repository.write("file", MARK + b"3")
    repository("stash")
    assert (b"file", 1, "") in [place[1:] for place in told(history.pieces())]


@pytest.mark.parametrize("range_", ["nonsense", "a..b", "--all", "--output=x"])
def test_a_range_that_is_none_is_a_sentence(repository, range_):
    repository.commit("file", LINES)
    with pytest.raises(Trouble, match="git rev-list failed"):
        list(history.pieces(range_))
    assert not (repository.path / "x").exists()


def test_a_history_of_nothing_has_nothing(repository):
    assert list(history.pieces()) == []


def test_what_a_merge_itself_brings_is_told_and_not_what_it_joins(repository):
    repository.commit("file", LINES)
    repository("checkout", "-q", "-b", "other")
    theirs = repository.commit("file", LINES + b"theirs " + MARK)
    repository("checkout", "-q", "main")
    ours = repository.commit("file", LINES.replace(b"line 1 ", b"ours " + MARK, 1))
    repository("merge", "-q", "--no-commit", "other")
    repository.write("evil", MARK)
    merge = repository.commit(
        "file", LINES.replace(b"line 1 ", b"ours " + MARK, 1) + b"theirs " + MARK + b"\nit " + MARK
    )
    found = told(history.pieces())
    assert sorted(found) == sorted(
        [(theirs, b"file", 41, ""), (ours, b"file", 1, ""), (merge, b"file", 42, ""), (merge, b"evil", 1, "")]
    )


def test_a_change_that_many_commits_make_comes_once(repository):
    repository.commit("file", LINES)
    repository("checkout", "-q", "-b", "other")
    repository.commit("file", LINES + MARK)
    repository("checkout", "-q", "main")
    repository.commit("another", b"x")
    repository("cherry-pick", "other")
    assert len(told(history.pieces())) == 1


def test_a_line_that_comes_goes_and_comes_again_is_never_lost(repository):
    first = repository.commit("file", MARK + b"\n")
    repository.commit("file", MARK + b"\nmore\n")
    repository.commit("file", MARK + b"\n")
    assert told(history.pieces()) == [(first, b"file", 1, "")]


def test_a_moved_file_is_not_told_again(repository):
    first = repository.commit("file", LINES + MARK)
    repository("mv", "file", "new")
    repository.commit()
    assert told(history.pieces()) == [(first, b"file", 41, "")]


@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_any_path_of_a_history_is_told_as_it_is(repository, name):
    commit = repository.commit(name, LINES + MARK)
    repository.commit(name, LINES)
    assert told(history.pieces()) == [(commit, name, 41, "")]


@pytest.mark.parametrize("setting", SETTINGS)
def test_no_setting_of_git_hides_a_commit(repository, setting):
    repository("config", setting, SETTINGS[setting])
    first = repository.commit("folder/file", LINES + MARK)
    second = repository.commit("folder/file", LINES + MARK + b"\n" + MARK + b"2")
    assert told(history.pieces()) == [(second, b"folder/file", 42, ""), (first, b"folder/file", 41, "")]


def test_archives_utf16_and_base64_of_a_history_are_read(repository):
    text = LINES + MARK
    first = repository.commit("a.zip", zipped({"b.txt": LINES}))
    second = repository.commit("a.zip", zipped({"b.txt": text}))
    third = repository.commit("wide", text.decode().encode("utf-16"))
    fourth = repository.commit("wrapped", base64.b64encode(text))
    repository.commit("a.zip", zipped({"b.txt": text, "c": b"x"}))
    assert first not in [name for name, *_ in told(history.pieces())]
    assert told(history.pieces()) == [
        (fourth, b"wrapped", 1, "base64"),
        (third, b"wide", 41, "utf-16"),
        (second, b"a.zip", 41, "zip: b.txt"),
    ]


def test_a_key_in_the_place_of_another_comes_whole_in_a_history(repository):
    repository.commit("file", key(1))
    repository.commit("file", key(2))
    assert [piece.text for _, piece in history.pieces("HEAD^!") if piece.path == b"file"] == [key(2).rstrip(b"\n")]


def test_messages_of_commits_and_tags_are_read(both):
    commit = both.commit("file", LINES, message="subject\n\n:100644 " + MARK.decode())
    both("tag", "-a", "v1", "-m", "tag " + MARK.decode())
    both("tag", "-a", "v2", "v1", "-m", "tag of a tag")
    tag = both("rev-parse", "v1").decode()
    assert told(history.pieces()) == [
        (commit, messages.MESSAGE, 3, "message"),
        (tag, b"refs/tags/v1", 1, "message"),
        (tag, b"refs/tags/v2", 1, "message"),
    ]


def test_messages_of_commits_that_change_nothing_are_read(repository):
    repository.commit("file", LINES)
    repository("checkout", "-q", "-b", "other")
    empty = repository.commit(message="empty " + MARK.decode())
    repository("checkout", "-q", "main")
    repository("merge", "-q", "--no-ff", "-m", "merge " + MARK.decode(), "other")
    merge = repository("rev-parse", "HEAD").decode()
    assert [place[:2] for place in told(history.pieces())] == [(merge, messages.MESSAGE), (empty, messages.MESSAGE)]


def test_a_blob_and_a_tree_that_are_tagged_are_read(repository):
    repository.commit("file", LINES)
    blob = repository("hash-object", "-w", "--stdin", given=MARK).decode()
    tree = repository("mktree", given=f"100644 blob {blob}\tinside".encode()).decode()
    repository("tag", "one", blob)
    repository("tag", "-a", "two", tree, "-m", "x")
    assert [place[1:] for place in told(history.pieces())] == [(b"refs/tags/one", 1, ""), (b"inside", 1, "")]


def test_replaced_commits_and_grafts_do_not_hide_a_history(repository):
    first = repository.commit("file", MARK)
    second = repository.commit("file", LINES)
    third = repository.commit("file", LINES + b"x")
    (repository.path / ".git" / "info" / "grafts").write_text(f"{third}\n")
    assert told(history.pieces()) == [(first, b"file", 1, "")]
    (repository.path / ".git" / "info" / "grafts").unlink()
    tree = repository("rev-parse", f"{second}^{{tree}}").decode()
    repository("replace", second, repository("commit-tree", tree, "-m", "x").decode())
    assert (first, b"file", 1, "") in told(history.pieces())


def test_in_a_shallow_clone_the_oldest_commit_brings_all_it_has(repository, tmp_path, monkeypatch):
    repository.commit("file", LINES + MARK)
    last = repository.commit("other", LINES)
    repository("clone", "-q", "--depth", "1", repository.path.as_uri(), str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    assert told(history.pieces()) == [(last, b"file", 41, "")]


@pytest.mark.parametrize("older", [False, True], ids=["", "git before 2.39.4"])
def test_in_a_partial_clone_what_is_missing_is_told_and_nothing_is_fetched(repository, tmp_path, monkeypatch, older):
    repository.commit("old", MARK + b"1")
    repository.commit("old", MARK + b"2")
    repository.commit("old", LINES)
    repository.commit("file", LINES + MARK)
    repository("config", "uploadpack.allowFilter", "true")
    repository("config", "uploadpack.allowAnySHA1InWant", "true")
    repository("clone", "-q", "--filter=blob:none", repository.path.as_uri(), str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    if older:
        git_of_a_test(tmp_path, f'unset GIT_NO_LAZY_FETCH\nexec {require("git")} "$@"', monkeypatch)
    found = list(history.pieces())
    assert [place[1:] for place in told(each for each in found if isinstance(each[1], Piece))] == [(b"file", 41, "")]
    (_, (path, reason)) = unread_in(found)
    assert path == b"old"
    assert reason.endswith(" is missing from the repository or damaged")
    assert repository("-C", str(tmp_path / "clone"), "show", "HEAD~3:old") == MARK + b"1"  # git itself would fetch it


def test_a_corrupt_blob_of_a_history_is_told_and_the_others_are_read(repository):
    first = repository.commit("first", LINES + MARK)
    repository.commit("bad", os.urandom(200_000))
    path = object_file(repository, repository("rev-parse", "HEAD:bad").decode())
    path.write_bytes(path.read_bytes()[:-9000])
    last = repository.commit("last", LINES + b"x" + MARK)
    found = list(history.pieces())
    assert told(each for each in found if isinstance(each[1], Piece)) == [
        (last, b"last", 41, ""),
        (first, b"first", 41, ""),
    ]
    ((path_of_it, reason),) = unread_in(found)
    assert path_of_it == b"bad"
    assert reason.startswith("object ")


def test_a_corrupt_commit_ends_a_history_with_a_sentence(repository):
    first = repository.commit("file", LINES)
    repository.commit("file", b"x")
    object_file(repository, first).write_bytes(b"garbage")
    with pytest.raises(Trouble):
        list(history.pieces())


def test_no_line_of_any_blob_of_a_history_is_lost(repository):
    chance = random.Random(21)
    for step in range(40):
        if step % 9 == 4:
            repository("checkout", "-q", "-B", f"b{step}", f"HEAD~{chance.randrange(1, 3)}")
        if step % 9 == 8:
            repository("merge", "-q", "-X", "ours", "--no-edit", f"b{step - 4}", ok=False)
            repository("merge", "-q", "-X", "theirs", "--no-edit", "main", ok=False)
        for name in chance.sample(("a", "b", "c"), 2):
            path = repository.path / name
            lines = path.read_bytes().split(b"\n") if path.exists() else []
            for _ in range(3):
                at = chance.randrange(len(lines) + 1)
                lines[at : at + chance.randrange(3)] = [b"line %d" % chance.randrange(300) for _ in range(2)]
            repository.write(name, b"\n".join(lines))
        repository("add", "-A")
        repository("commit", "-q", "--allow-empty", "-m", "x")
    listed = [
        each.split()[0] for each in repository("rev-list", "--all", "--objects", "--no-object-names").split(b"\n")
    ]
    kinds = repository("cat-file", "--batch-check", given=b"\n".join(listed)).split(b"\n")
    blobs = [each.split()[0] for each in kinds if b" blob " in each]
    assert len(blobs) > 50
    stand = {line for each in blobs for line in repository("cat-file", "blob", each).split(b"\n")}
    reported = {line for _, piece in history.pieces() if isinstance(piece, Piece) for line in piece.text.split(b"\n")}
    assert stand <= reported


def test_a_missing_tree_ends_a_history_with_a_sentence(repository):
    repository.commit("file", LINES)
    repository.commit("file", LINES + MARK)
    object_file(repository, repository("rev-parse", "HEAD~^{tree}").decode()).unlink()
    with pytest.raises(Trouble, match="git diff-tree failed"):
        list(history.pieces())


def test_progress_is_told_commit_by_commit(repository):
    for each in range(3):
        repository.commit("file", b"%d" % each)
    seen: list[tuple[int, int]] = []
    list(history.pieces(None, lambda done, whole: seen.append((done, whole))))
    assert seen == [(1, 3), (2, 3), (3, 3)]


# --- a push


@pytest.fixture
def remote(repository: Repository, tmp_path: Path) -> Repository:
    """A repository that `origin` of the other one points to. It has one commit, with a mark."""
    made = Repository(tmp_path / "remote", "--bare")
    repository("remote", "add", "origin", str(made.path))
    repository.commit("old", MARK)
    repository("push", "-q", "origin", "main")
    return made


def push(repository: Repository, *args: str) -> list["history.Found"]:
    """What the hook of a real push tells."""
    hook = repository.path / ".git" / "hooks" / "pre-push"
    hook.write_text('#!/bin/sh\nprintf %s "$1" >.git/remote\ncat >.git/lines\nexit 1\n')
    hook.chmod(0o755)
    repository("push", *args, ok=False)
    lines = repository.path / ".git" / "lines"
    found = list(pushed.pieces((repository.path / ".git" / "remote").read_text(), lines.read_bytes()))
    lines.unlink()
    return found


def test_a_push_brings_its_new_commits_and_their_messages(repository, remote):
    one = repository.commit("file", LINES + MARK)
    two = repository.commit("file", LINES, message=MARK.decode())
    assert told(push(repository, "origin", "main")) == [(two, messages.MESSAGE, 1, "message"), (one, b"file", 41, "")]


def test_a_new_branch_brings_what_no_branch_of_the_remote_has(repository, remote):
    repository("checkout", "-q", "-b", "topic")
    one = repository.commit("file", MARK)
    assert told(push(repository, "origin", "topic", "main")) == [(one, b"file", 1, "")]
    assert told(push(repository, "origin", "topic")) == [(one, b"file", 1, "")]
    assert told(push(repository, "origin", "HEAD^{/a message}:refs/heads/new")) == [(one, b"file", 1, "")]


def test_a_first_push_and_one_to_an_address_bring_everything(repository, remote, tmp_path):
    first = repository("rev-parse", "HEAD").decode()
    Repository(tmp_path / "second", "--bare")
    assert told(push(repository, str(tmp_path / "second"), "main")) == [(first, b"old", 1, "")]
    repository("remote", "add", "second", str(tmp_path / "second"))
    assert told(push(repository, "second", "main")) == [(first, b"old", 1, "")]


def test_a_forced_push_brings_the_new_form_only(repository, remote):
    repository.commit("file", LINES + MARK)
    repository("push", "-q", "--no-verify", "origin", "main")
    repository.stage("file", LINES + MARK + b"\nnew " + MARK)
    repository("commit", "-q", "--amend", "-m", "again")
    new = repository("rev-parse", "HEAD").decode()
    assert told(push(repository, "-f", "origin", "main")) == [(new, b"file", 41, ""), (new, b"file", 42, "")]


def test_a_push_to_an_address_brings_what_its_branch_does_not_have(repository, remote):
    one = repository.commit("file", MARK)
    assert told(push(repository, str(remote.path), "main")) == [(one, b"file", 1, "")]


def test_what_the_remote_got_from_elsewhere_does_not_hinder(repository, remote):
    repository.commit("file", MARK)
    head = repository("rev-parse", "HEAD")
    line = b"refs/heads/main " + head + b" refs/heads/main " + b"1" * 40 + b"\n"
    assert told(pushed.pieces("origin", line)) == [(head.decode(), b"file", 1, "")]


def test_a_deleted_branch_and_an_empty_push_bring_nothing(repository, remote):
    repository("push", "-q", "--no-verify", "origin", "main:gone")
    assert push(repository, "origin", ":gone") == []
    assert list(pushed.pieces("origin", b"")) == []


def test_a_tag_brings_its_message_and_its_commits(repository, remote):
    repository("checkout", "-q", "--detach")
    one = repository.commit("file", MARK)
    repository("tag", "-a", "v1", "-m", MARK.decode())
    repository("tag", "light")
    tag = repository("rev-parse", "v1").decode()
    assert told(push(repository, "origin", "v1", "light")) == [
        (tag, b"refs/tags/v1", 1, "message"),
        (one, b"file", 1, ""),
    ]


def test_a_tag_of_a_blob_is_read(repository, remote):
    blob = repository("hash-object", "-w", "--stdin", given=MARK).decode()
    repository("tag", "-a", "key", blob, "-m", "x")
    assert told(push(repository, "origin", "key")) == [(blob, b"refs/tags/key", 1, "")]


def test_what_a_merge_of_a_push_brings_is_read(repository, remote):
    repository("checkout", "-q", "-b", "other")
    repository.commit("theirs", b"x")
    repository("checkout", "-q", "main")
    repository.commit("ours", b"y")
    repository("merge", "-q", "--no-commit", "other")
    repository.write("evil", MARK)
    merge = repository.commit("theirs", b"x\n" + MARK)
    assert sorted(told(push(repository, "origin", "main"))) == [(merge, b"evil", 1, ""), (merge, b"theirs", 2, "")]


def test_what_is_no_description_of_a_push_is_a_sentence(repository):
    with pytest.raises(Trouble, match="git describes the push in a way that is not understood"):
        list(pushed.pieces("origin", b"nonsense\n"))


# --- a message


def message(repository: Repository, text: str, *args: str, **env: str) -> bytes:
    """What is scanned of the message that git hands to the hook of a real commit."""
    hook = repository.path / ".git" / "hooks" / "commit-msg"
    show = "import sys; from chronos_secrets.scan import messages as m; sys.stdout.buffer.write(m.message(sys.argv[1]).text)"
    hook.write_text(f"#!/bin/sh\n{sys.executable} -c '{show}' \"$1\" >.git/told || exit 1\n")
    hook.chmod(0o755)
    editor = repository.path / ".git" / "editor"
    editor.write_text(
        f"#!{sys.executable}\nimport sys\np=sys.argv[1]\nold=open(p).read()\nopen(p,'w').write({text!r}+old)\n"
    )
    editor.chmod(0o755)
    repository("commit", "--allow-empty", *args, PYTHONPATH=str(SOURCE), EDITOR=str(editor), VISUAL=str(editor), **env)
    return (repository.path / ".git" / "told").read_bytes()


def test_comment_lines_of_an_edited_message_are_left_out(repository):
    assert message(repository, "subject\n# a comment\nbody\n").split() == [b"subject", b"body"]


def test_what_is_below_the_scissors_is_left_out(repository):
    repository.commit("file", LINES + OLD)
    repository.stage("file", LINES)
    assert message(repository, "subject\n", "-v").split() == [b"subject"]
    repository.stage("file", LINES + b"x")
    assert message(repository, "subject\n", "--cleanup=scissors", "-v").partition(b"\n")[0] == b"subject"


def test_with_a_message_of_the_command_line_comment_lines_stay(repository):
    assert message(repository, "", "-m", "subject\n\n# " + MARK.decode()).endswith(b"# " + MARK + b"\n")


@pytest.mark.parametrize(("cleanup", "stays"), [("verbatim", True), ("whitespace", True), ("strip", False)])
def test_comment_lines_stay_where_git_is_told_to_keep_them(repository, cleanup, stays):
    repository("config", "commit.cleanup", cleanup)
    assert (b"# " + MARK in message(repository, "subject\n# " + MARK.decode() + "\n")) == stays


@pytest.mark.parametrize("char", [";", "auto"])
def test_another_comment_character_is_known(repository, char):
    repository("config", "core.commentChar", char)
    told_of_it = message(repository, "subject\n# " + MARK.decode() + "\n; a comment of git\n" * (char == ";"), "-v")
    assert (b"# " + MARK in told_of_it) == (char == ";")
    assert b"a comment of git" not in told_of_it


def test_a_message_has_the_line_numbers_of_its_file(tmp_path, repository):
    (tmp_path / "file").write_bytes(b"# one\r\nsubject\r\n# two\r\n" + MARK)
    assert places([messages.message(str(tmp_path / "file"))]) == [(messages.MESSAGE, 4, "message")]
    with pytest.raises(Trouble, match="the message of the commit cannot be read: no such file or directory"):
        messages.message(str(tmp_path / "nothing"))


# --- size


MEMORY = """
from chronos_secrets.scan import staged
text = marks = 0
for each in staged.pieces():
    text += len(each.text)
    marks += each.text.count(sys.argv[1].encode())
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
sys.stdout.write(f"{marks} {int(peak.split()[1]) // 1024}")
"""


@pytest.mark.parametrize("kind", ["zeros", "text", "one line", "text that was there"])
def test_a_huge_file_is_read_in_little_memory(repository, kind):
    size = (2 << 30) if LONG else (96 << 20)
    if kind == "text that was there":
        repository.commit("file", b"".join(b"%d is a line of it\n" % each for each in range(1_500_000)))
    with (repository.path / "file").open("wb") as file:
        if kind == "zeros":
            file.truncate(size)
            file.seek(size)
        for each in range(0 if kind == "zeros" else size >> 20):
            row = b"x" * 50 + (b", " if kind == "one line" else b"\n")
            file.write(row * ((1 << 20) // len(row)) if each % 2 else b"%d " % each + row)
        file.write(b"\0" * 9 + MARK + b"\0")
    repository("-c", "core.compression=1", "-c", "core.bigFileThreshold=50m", "add", "file")
    done = run(MEMORY, MARK.decode())
    marks, memory = done.stdout.split()
    assert int(marks) == 1, done.stderr.decode()
    assert int(memory) < 200
