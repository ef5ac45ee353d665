"""A control group of its own for a node's processes: bounds how many there are, and finds those that hide.

It counts only where the kernel really does: many machines have a directory where the groups of version 2 would be that is no
such thing, takes every write and limits nothing. So a limit is read back before it is relied on.

Source: the kernel's documentation of cgroup v1 (pids) and v2.
"""

from __future__ import annotations

import os

_TRIAL = "1000"
_OWN_PROCESSES = 8  # the runner, its endpoints and their threads, and the sandbox's own


def find_base() -> str:
    """Return the directory in which groups that limit processes can be made, or an empty text."""
    if os.geteuid() != 0:
        return ""
    for base in _candidates():
        trial = os.path.join(base, f"footfall-probe-{os.getpid()}")
        try:
            os.mkdir(trial)
        except OSError:
            continue
        try:
            if os.path.exists(os.path.join(trial, "pids.max")) and _set(trial, _TRIAL):
                return base
        except OSError:
            continue
        finally:
            os.rmdir(trial)
    return ""


class Group:
    """The group of one node."""

    def __init__(self, base: str, marker: str, rank: int) -> None:
        self._base = base
        self._path = os.path.join(base, f"footfall-{marker}-{rank}")

    def enter(self, max_processes: int) -> bool:
        """Make the group and move this process into it; return whether the limit holds."""
        try:
            os.makedirs(self._path, exist_ok=True)
            is_set = _set(self._path, str(max_processes + _OWN_PROCESSES))
            _write(os.path.join(self._path, "cgroup.procs"), "0")
        except OSError:
            return False
        return is_set

    def release(self) -> None:
        """Move this process out and remove the group; what is still in there keeps it, and the executor finds it."""
        try:
            _write(os.path.join(self._base, "cgroup.procs"), "0")
            os.rmdir(self._path)
        except OSError:
            return


def _candidates() -> list[str]:
    own = {}
    for line in _lines("/proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        own[controllers] = path
    candidates = []
    for line in _lines("/proc/self/mountinfo"):
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        mounted = fields.split(" ")[4]
        if kind == "cgroup" and "pids" in options.split(","):
            path = next((path for names, path in own.items() if "pids" in names.split(",")), "/")
            candidates += [mounted + path.rstrip("/"), mounted]
        elif kind == "cgroup2":
            candidates.append(mounted + own.get("", "/").rstrip("/"))
    return candidates


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except OSError:
        return []


def _set(group: str, limit: str) -> bool:
    path = os.path.join(group, "pids.max")
    _write(path, limit)
    return _lines(path) == [limit]


def _write(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY)  # never made: where it does not exist, there is no group
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)
