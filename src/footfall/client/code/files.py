"""Which files of a directory a run gets: git's set where there is a work tree, then ``.nsmlignore``, and nothing private.

Without git the ``.gitignore`` files decide, those of the directories above up to the top of the work tree too. What
``.nsmlignore`` names with ``!`` is sent whatever the others say; so is what git tracks, be it ever so private.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

from pathspec import GitIgnoreSpec

from footfall.client.code.git import Commit, NoWorktree, Worktree, read_worktree
from footfall.client.code.private import PRIVATE_MARKS, is_home, kind_of_directory, kind_of_file
from footfall.errors import InputError

Rules = list[tuple[Path, GitIgnoreSpec]]


@dataclass(slots=True)
class CodeFiles:
    """What is sent, sorted: files, links, and without git directories that are empty; and what somebody should know of it."""

    paths: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    commit: Commit | None = None


def choose_files(directory: Path) -> CodeFiles:
    """Return what of a directory is sent.

    Raises:
        InputError: the directory is the home of a server, or git cannot list its files.
    """
    if is_home(directory, {entry.name for entry in os.scandir(directory)}):
        raise InputError(f"{directory} is the home of a Footfall server; name the directory of your code with --code.")
    tree = read_worktree(directory)
    chosen = CodeFiles()
    above: Rules = []
    if isinstance(tree, Worktree):
        chosen.commit = tree.commit
    elif tree.top is not None:
        chosen.notes.append(f"git does not tell the files of {directory} ({tree.problem}); the .gitignore files decide.")
        parents = [each for each in reversed(directory.parents) if each == tree.top or tree.top in each.parents]
        for parent in parents:
            above = _with(parent, ".gitignore", above)
    _Walk(directory, tree, chosen).walk(directory, above, [], is_asked_for=True)
    return chosen


class _Walk:
    def __init__(self, root: Path, tree: Worktree | NoWorktree, chosen: CodeFiles) -> None:
        self._root, self._chosen = root, chosen
        self._tree = tree if isinstance(tree, Worktree) else None

    def walk(self, directory: Path, git_rules: Rules, own_rules: Rules, *, is_asked_for: bool) -> None:
        entries = sorted(os.scandir(directory), key=lambda entry: os.fsencode(entry.name))
        reason = None if is_asked_for else kind_of_directory(directory, {entry.name for entry in entries})
        if reason is not None:
            self._leave_out(directory, reason, "/")
            return
        if self._tree is None:
            git_rules = _with(directory, ".gitignore", git_rules)
        own_rules = _with(directory, ".nsmlignore", own_rules)
        for entry in entries:
            path = Path(entry.path)
            is_dir = entry.is_dir(follow_symlinks=False)
            own = _verdict(path, own_rules, is_dir=is_dir)
            if entry.name == ".git" or own or (own is None and self._is_ignored(path, git_rules, is_dir=is_dir)):
                continue
            is_asked_for = own is False or self._is_tracked(path, is_dir=is_dir)
            if is_dir:
                self.walk(path, git_rules, own_rules, is_asked_for=is_asked_for)
            else:
                self._take(path, entry, is_asked_for)
        if not entries and directory != self._root and self._tree is None:
            self._chosen.paths.append(directory)

    def _take(self, path: Path, entry: "os.DirEntry[str]", is_asked_for: bool) -> None:
        if entry.is_symlink():
            self._chosen.paths.append(path)
        elif entry.is_file():
            reason = None if is_asked_for else kind_of_file(path)
            if reason is None:
                self._chosen.paths.append(path)
            else:
                self._leave_out(path, reason)

    def _is_ignored(self, path: Path, rules: Rules, *, is_dir: bool) -> bool:
        if self._tree is None:
            return bool(_verdict(path, rules, is_dir=is_dir))
        return self._name(path) not in (self._tree.directories if is_dir else self._tree.files)

    def _is_tracked(self, path: Path, *, is_dir: bool) -> bool:
        """Whether git has a file, or of a directory what makes it a private one."""
        names = [path / each for each in PRIVATE_MARKS] if is_dir else [path]
        return self._tree is not None and any(self._name(each) in self._tree.tracked for each in names)

    def _leave_out(self, path: Path, reason: str, end: str = "") -> None:
        name = self._name(path) + end
        self._chosen.notes.append(f"{name} is not sent: {reason}. The line !/{name} in .nsmlignore sends it.")

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def _with(directory: Path, name: str, rules: Rules) -> Rules:
    try:
        lines = (directory / name).read_text("utf-8", "replace").splitlines()
    except (FileNotFoundError, IsADirectoryError):
        return rules
    return [*rules, (directory, GitIgnoreSpec.from_lines(lines))]


def _verdict(path: Path, rules: Rules, *, is_dir: bool) -> bool | None:
    """Return whether rules leave a path out, None if none names it: the last that matches decides, a deeper directory's first."""
    for base, spec in reversed(rules):
        is_left_out = spec.check_file(path.relative_to(base).as_posix() + ("/" if is_dir else "")).include
        if is_left_out is not None:
            return is_left_out
    return None
