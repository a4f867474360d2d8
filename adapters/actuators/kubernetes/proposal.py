"""A patch as a commit on a branch of a Git repository, for a person or a GitOps tool to take up.

The commit is made in the object store alone: nothing is checked out, no index and no work tree of the repository is
touched, and the branch moves by compare-and-set.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path, PurePosixPath

from domain.errors import Misconfigured, Transient
from domain.target import Branch

GIT_SECONDS = 20.0
_AUTHOR = {
    "GIT_AUTHOR_NAME": "Trimtab",
    "GIT_AUTHOR_EMAIL": "trimtab@localhost",
    "GIT_COMMITTER_NAME": "Trimtab",
    "GIT_COMMITTER_EMAIL": "trimtab@localhost",
}
_PLAIN_FILE, _PROGRAM = "100644", "100755"
_AGAIN = ("but expected", "File exists", "reference already exists", "No space left", "Resource temporarily")
_MOST_TEXT = 256  # characters of git's message that are passed on


def propose(branch: Branch, content: str, run: str, subject: str) -> str:
    """Commit `content` as `branch.file` on `branch.branch` and return the commit. The branch is made from HEAD if it is
    not there. Content that is there already makes no new commit: the same call again changes nothing.

    Raises Misconfigured for a repository, branch or file that cannot be used, Transient if the branch moved meanwhile
    or git did not answer: the same call again may succeed."""
    git = _Git(branch)
    file = git.check()
    ref = f"refs/heads/{branch.branch}"
    old = git.commit_of(ref)
    base = old or git.commit_of("HEAD")
    blob = git.run("hash-object", "-w", "--stdin", text=content)
    mode, there = git.entry(base, file) if base else ("", "")
    if base and there == blob:
        return base
    try:
        with tempfile.TemporaryDirectory(prefix="trimtab-") as place:
            index = str(Path(place) / "index")
            git.run("read-tree", f"{base}^{{tree}}" if base else "--empty", index=index)
            git.run("update-index", "--add", "--cacheinfo", f"{mode or _PLAIN_FILE},{blob},{file}", index=index)
            tree = git.run("write-tree", index=index)
    except OSError as error:
        raise Transient(f"propose: no temporary directory can be used ({error}); make room, or set TMPDIR") from error
    parents = ("-p", base) if base else ()
    message = f"{' '.join(subject.split()) or 'Settings'}\n\nTrimtab-Run: {' '.join(run.split())}\n"
    commit = git.run("commit-tree", tree, *parents, "-F", "-", text=message)
    git.run("update-ref", "-m", "trimtab: proposal", ref, commit, old or "0" * len(commit))
    return commit


class _Git:
    """The git program on one repository, without hooks, prompts and whatever else the environment says of git."""

    def __init__(self, branch: Branch) -> None:
        self._branch = branch

    def check(self) -> str:
        """Raises Misconfigured for what cannot be committed to. Returns the file's path as git has it."""
        where = Path(self._branch.repository)
        if not where.is_dir():
            raise Misconfigured(f"propose.repository: {where} is no directory; name a Git repository that lies here")
        self.run("rev-parse", "--git-dir")
        name = self._branch.branch
        if name.startswith("-") or not name.isprintable() or self._fails("check-ref-format", f"refs/heads/{name}"):
            raise Misconfigured(f"propose.branch: {name!r} is no name for a branch; use letters, digits, - and /")
        shown = self.run("worktree", "list", "--porcelain").splitlines()
        if f"branch refs/heads/{name}" in shown and "bare" not in shown[:3]:
            raise Misconfigured(f"propose.branch: {name} is checked out; name a branch that nobody works on")
        file = PurePosixPath(self._branch.file)
        parts = file.parts
        odd = any(each in ("..", "/") or each.lower() == ".git" or not each.isprintable() for each in parts)
        if not parts or odd or self._branch.file.endswith("/"):
            raise Misconfigured(f"propose.file: {self._branch.file!r} is no path of a file inside the repository")
        return str(file)

    def commit_of(self, name: str) -> str:
        """The commit that a reference points to; empty if there is none."""
        return self.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", allowed=1)

    def entry(self, commit: str, file: str) -> tuple[str, str]:
        """Mode and object of a file in a commit; empty if it is not there. Raises Misconfigured where something else
        is in its place, or in the place of one of its directories."""
        for each in (*list(PurePosixPath(file).parents)[:-1], PurePosixPath(file)):
            listed = self.run("ls-tree", "-z", "--full-tree", commit, "--", str(each)).strip("\0")
            if not listed:
                continue
            mode, kind, rest = listed.split(" ", 2)
            if str(each) == file:
                if mode not in (_PLAIN_FILE, _PROGRAM):
                    raise Misconfigured(f"propose.file: {file} is a {_KINDS.get(mode, kind)} there; name a file")
                return mode, rest.partition("\t")[0]
            if kind != "tree":
                raise Misconfigured(f"propose.file: {each} is no directory there, so {file} cannot be in it")
        return "", ""

    def run(self, *arguments: str, text: str = "", index: str = "", allowed: int = 0) -> str:
        """What a git command prints. An exit code of 1 is no error if it is `allowed`."""
        done = self._start(arguments, text, index)
        if done.returncode not in (0, allowed):
            raise self._error(arguments[0], done.stderr)
        return done.stdout.strip()

    def _fails(self, *arguments: str) -> bool:
        return self._start(arguments, "", "").returncode != 0

    def _start(self, arguments: tuple[str, ...], text: str, index: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment |= {**_AUTHOR, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_LITERAL_PATHSPECS": "1"}
        environment |= {"GIT_INDEX_FILE": index} if index else {}
        # fsmonitor and hooks are programs that a repository's own configuration can name.
        command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", *arguments]
        try:
            return subprocess.run(
                command,
                cwd=self._branch.repository,
                env=environment,
                input=text,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=GIT_SECONDS,
                check=False,
            )
        except FileNotFoundError as error:
            raise Misconfigured("propose: git is not installed here; install it, or take propose out") from error
        except PermissionError as error:
            raise Misconfigured(f"propose.repository: {self._branch.repository} cannot be entered: {error}") from error
        except OSError as error:
            raise Transient(f"git {arguments[0]} cannot be started: {error}") from error
        except subprocess.TimeoutExpired as error:
            raise Transient(f"git {arguments[0]} in {self._branch.repository} took over {GIT_SECONDS:.0f} s") from error

    def _error(self, what: str, said: str) -> Misconfigured | Transient:
        words = " ".join(said.split())[:_MOST_TEXT] or "it says nothing"
        place = f"git {what} in {self._branch.repository}: {words}"
        if any(each in said for each in _AGAIN):
            return Transient(f"{place}; somebody else works on it, again in a moment")
        return Misconfigured(f"propose: {place}")


_KINDS = {"120000": "symbolic link", "160000": "submodule", "040000": "directory"}
