"""Proposals in a real Git repository: one commit on a branch, and nothing else moves."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from adapters.actuators.kubernetes import proposal
from adapters.actuators.kubernetes.proposal import propose
from domain.errors import Misconfigured, Transient
from domain.target import Branch

FILE = "apps/shop/patch.yaml"


def git(where: Path, *arguments: str) -> str:
    settings = ["-c", "user.name=Ann", "-c", "user.email=ann@localhost", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *settings, *arguments], cwd=where, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout with one commit, something staged and something edited."""
    where = tmp_path / "repository"
    where.mkdir()
    git(where, "init", "-q")
    (where / "README").write_text("hello\n")
    (where / "run.sh").write_text("true\n")
    (where / "run.sh").chmod(0o755)
    (where / "link").symlink_to("README")
    git(where, "add", ".")
    git(where, "commit", "-q", "-m", "first")
    (where / "staged").write_text("staged\n")
    git(where, "add", "staged")
    (where / "README").write_text("edited\n")
    return where


def branch(repository: Path, name: str = "trimtab/shop", file: str = FILE) -> Branch:
    return Branch(str(repository), name, file)


def test_a_commit_on_a_new_branch(repository: Path) -> None:
    """From HEAD, with the file and the run's id, by us; the checkout stays as the person left it."""
    head, status = git(repository, "rev-parse", "HEAD"), git(repository, "status", "--porcelain")
    index = (repository / ".git" / "index").read_bytes()
    commit = propose(branch(repository), "cpu: 1\n", "run-7", "Tuned\nsettings for shop")
    assert git(repository, "rev-parse", "trimtab/shop") == commit
    assert git(repository, "rev-parse", f"{commit}^") == head
    assert git(repository, "show", f"{commit}:{FILE}") == "cpu: 1"
    assert git(repository, "diff", "--name-only", head, commit) == FILE
    said = git(repository, "log", "-1", "--format=%an %s%n%(trailers)", commit).split()
    assert said == ["Trimtab", "Tuned", "settings", "for", "shop", "Trimtab-Run:", "run-7"]
    assert git(repository, "status", "--porcelain") == status
    assert (repository / ".git" / "index").read_bytes() == index
    assert git(repository, "rev-parse", "HEAD") == head
    assert not (repository / "apps").exists()


def test_the_same_content_again_makes_no_commit(repository: Path) -> None:
    """Nor a move of the branch; other content goes on top."""
    first = propose(branch(repository), "cpu: 1\n", "run-7", "one")
    assert propose(branch(repository), "cpu: 1\n", "run-8", "two") == first
    second = propose(branch(repository), "cpu: 2\n", "run-8", "two")
    assert git(repository, "rev-parse", f"{second}^") == first
    assert git(repository, "rev-list", "--count", "trimtab/shop") == "3"


def test_what_is_there_keeps_its_mode(repository: Path) -> None:
    """A program stays one; bytes are stored as they are, whatever the repository's line ends."""
    git(repository, "config", "core.autocrlf", "true")
    commit = propose(branch(repository, file="run.sh"), "one\r\ntwo\n", "r", "s")
    assert git(repository, "ls-tree", commit, "run.sh").startswith("100755 ")
    shown = subprocess.run(
        ["git", "cat-file", "blob", f"{commit}:run.sh"], cwd=repository, capture_output=True, check=True
    )
    assert shown.stdout == b"one\r\ntwo\n"


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    """The proposal is its first one; so is one in a bare repository, on any branch."""
    git(tmp_path, "init", "-q")
    assert git(tmp_path, "rev-list", propose(branch(tmp_path), "x\n", "r", "s")).count("\n") == 0
    bare = tmp_path / "bare.git"
    git(tmp_path, "init", "-q", "--bare", str(bare))
    commit = propose(branch(bare, name="main"), "x\n", "r", "s")
    assert git(bare, "rev-parse", "main") == commit


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("main", FILE, "is checked out"),
        ("-x", FILE, "no name for a branch"),
        ("a..b", FILE, "no name for a branch"),
        ("a b", FILE, "no name for a branch"),
        ("a\0b", FILE, "no name for a branch"),
        ("", FILE, "no name for a branch"),
        ("x", "../out.yaml", "no path of a file"),
        ("x", "/etc/passwd", "no path of a file"),
        ("x", ".git/config", "no path of a file"),
        ("x", "a/.GIT/hooks/x", "no path of a file"),
        ("x", "a\nb", "no path of a file"),
        ("x", "apps/", "no path of a file"),
        ("x", "", "no path of a file"),
        ("x", "link", "is a symbolic link there"),
        ("x", "README/patch.yaml", "README is no directory there"),
        ("main/below", FILE, "propose: git update-ref"),
    ],
)
def test_branches_and_files_that_cannot_be_used(repository: Path, name: str, file: str, text: str) -> None:
    """They are named, and no reference moves."""
    before = git(repository, "for-each-ref")
    with pytest.raises(Misconfigured) as told:
        propose(branch(repository, name, file), "x\n", "r", "s")
    assert text in str(told.value)
    assert git(repository, "for-each-ref") == before


def test_a_directory_in_the_place_of_the_file(repository: Path) -> None:
    """It would vanish with all that is in it."""
    propose(branch(repository), "x\n", "r", "s")
    with pytest.raises(Misconfigured, match="is a directory there"):
        propose(branch(repository, file="apps/shop"), "x\n", "r", "s")


def test_a_branch_in_another_work_tree_is_left_alone(repository: Path, tmp_path: Path) -> None:
    """Somebody works there, too."""
    git(repository, "worktree", "add", "-q", "-b", "busy", str(tmp_path / "other"))
    with pytest.raises(Misconfigured, match="busy is checked out"):
        propose(branch(repository, "busy"), "x\n", "r", "s")


def test_places_that_are_no_repository(tmp_path: Path) -> None:
    """A path that is not there, a file, and a directory without one."""
    (tmp_path / "file").write_text("")
    for where, text in (
        (tmp_path / "none", "no directory"),
        (tmp_path / "file", "no directory"),
        (tmp_path, "not a git"),
    ):
        with pytest.raises(Misconfigured, match=text):
            propose(branch(where), "x\n", "r", "s")


def test_a_branch_that_moves_meanwhile_is_not_overwritten(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit of somebody else stays, and the same call again goes on top of it."""
    first = propose(branch(repository), "cpu: 1\n", "r", "s")
    real = proposal._Git.run

    def slow(self: proposal._Git, *arguments: str, text: str = "", index: str = "", allowed: int = 0) -> str:
        if arguments[0] == "commit-tree":
            theirs = git(repository, "commit-tree", f"{first}^{{tree}}", "-p", first, "-m", "theirs")
            git(repository, "update-ref", "refs/heads/trimtab/shop", theirs)
        return real(self, *arguments, text=text, index=index, allowed=allowed)

    monkeypatch.setattr(proposal._Git, "run", slow)
    with pytest.raises(Transient, match="again in a moment"):
        propose(branch(repository), "cpu: 2\n", "r", "s")
    monkeypatch.undo()
    assert git(repository, "log", "-1", "--format=%s", "trimtab/shop") == "theirs"
    propose(branch(repository), "cpu: 2\n", "r", "mine")
    assert git(repository, "log", "--format=%s", "trimtab/shop").split() == ["mine", "theirs", "s", "first"]


def test_a_locked_branch_is_tried_again(repository: Path) -> None:
    """Another git holds it, or died while it did."""
    propose(branch(repository), "x\n", "r", "s")
    lock = repository / ".git" / "refs" / "heads" / "trimtab" / "shop.lock"
    lock.write_text("")
    with pytest.raises(Transient, match="File exists"):
        propose(branch(repository), "y\n", "r", "s")
    lock.unlink()
    propose(branch(repository), "y\n", "r", "s")


def test_hooks_and_the_environment_do_not_matter(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository's hook is somebody's program, and GIT_DIR somebody else's repository."""
    hook, seen = repository / ".git" / "hooks" / "reference-transaction", tmp_path / "seen"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {seen}\n")
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    commit = propose(branch(repository), "x\n", "r", "s")
    monkeypatch.undo()
    assert git(repository, "rev-parse", "trimtab/shop") == commit
    assert not seen.exists()


def test_no_room_for_an_index(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without a place to write may get one."""

    def full(**_: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    with pytest.raises(Transient, match="make room"):
        propose(branch(repository), "x\n", "r", "s")


def test_git_that_hangs_or_is_not_there(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one may pass, the other is for a person."""
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 5\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setattr(proposal, "GIT_SECONDS", 0.2)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Transient, match="took over"):
        propose(branch(repository), "x\n", "r", "s")
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    with pytest.raises(Misconfigured, match="git is not installed"):
        propose(branch(repository), "x\n", "r", "s")
