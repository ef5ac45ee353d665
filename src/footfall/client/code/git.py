"""What git says of a directory: the files that it has or would add, the commit, and whether the files differ from it.

Git itself is asked, so that all four sources of its rules count (the ``.gitignore`` files, ``.git/info/exclude``, those of the
user and of the system), and a file that is tracked although a rule names it. Submodules and other repositories inside are
asked for theirs.
"""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from footfall.errors import InputError

_GITLINK = b"160000"
_OF_ONE_REPOSITORY = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_NAMESPACE"}
)
"""Variables that hooks are started with, and that would name the same repository for every directory."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit, and whether what is below the directory differs from it: changed, removed, or new files."""

    id: str
    is_modified: bool


@dataclass(slots=True)
class Worktree:
    """What git has of a directory; paths are relative to it, with slashes."""

    commit: Commit | None = None
    tracked: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    """Tracked ones, and those that are not ignored."""
    directories: set[str] = field(default_factory=set)
    """Those that the files are in."""

    def add(self, path: str) -> None:
        """Note a file."""
        self.files.add(path)
        for parent in PurePosixPath(path).parents:
            text = str(parent)
            if text in self.directories:
                break
            self.directories.add(text)


@dataclass(frozen=True, slots=True)
class NoWorktree:
    """Git does not decide. ``top``: of the work tree that is there all the same; ``problem``: what git said, if it was asked."""

    top: Path | None = None
    problem: str = ""


def read_worktree(directory: Path) -> Worktree | NoWorktree:
    """Ask git for the files below a directory.

    It does not decide where there is no work tree, no program ``git``, where git refuses the tree (as one of another user), and
    where the directory itself is ignored: whoever names such a one wants what is in it.
    """
    real = directory.resolve()
    top = next((each for each in (real, *real.parents) if (each / ".git").exists()), None)
    if top is None:
        return NoWorktree()
    try:
        asked = _git(directory, "rev-parse", "--is-inside-work-tree")
    except FileNotFoundError:
        return NoWorktree(top, "there is no program git")
    if asked.returncode or asked.stdout.strip() != b"true":
        lines = asked.stderr.decode("utf-8", "replace").splitlines() or ["it is no work tree"]
        return NoWorktree(top, lines[0].removeprefix("fatal: "))
    if real != top and _git(directory, "check-ignore", "-q", ".").returncode == 0:
        return NoWorktree()
    tree = Worktree(_commit(directory))
    _list(directory, "", tree)
    return tree


def _list(directory: Path, prefix: str, tree: Worktree) -> None:
    for line in _lines(directory, "ls-files", "-z", "--stage"):
        facts, _, name = line.partition(b"\t")
        path = prefix + os.fsdecode(name)
        if facts.startswith(_GITLINK):
            _list_inside(directory, os.fsdecode(name), prefix, tree)
        else:
            tree.tracked.add(path)
            tree.add(path)
    for name in _lines(directory, "ls-files", "-z", "--others", "--exclude-standard"):
        if name.endswith(b"/"):
            _list_inside(directory, os.fsdecode(name).rstrip("/"), prefix, tree)
        else:
            tree.add(prefix + os.fsdecode(name))


def _list_inside(directory: Path, name: str, prefix: str, tree: Worktree) -> None:
    """Add the files of a repository within the repository; a submodule that was not fetched has none."""
    if (directory / name / ".git").exists():
        _list(directory / name, f"{prefix}{name}/", tree)


def _commit(directory: Path) -> Commit | None:
    head = _git(directory, "rev-parse", "--verify", "-q", "HEAD")
    if head.returncode:
        return None  # nothing was committed yet
    changes = _lines(directory, "status", "--porcelain", "-z", "--untracked-files=normal", "--", ".")
    return Commit(head.stdout.decode().strip(), bool(changes))


def _lines(directory: Path, *arguments: str) -> list[bytes]:
    done = _git(directory, *arguments)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise InputError(f"git cannot list the files of {directory}: {said or f'exit code {done.returncode}'}.")
    return [line for line in done.stdout.split(b"\0") if line]


def _git(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    command = ["git", "--no-optional-locks", "-C", str(directory), *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ONE_REPOSITORY} | {"LC_ALL": "C"}
    return subprocess.run(command, capture_output=True, check=False, env=environment)
