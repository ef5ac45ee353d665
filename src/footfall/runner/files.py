"""The files of a node, as the runner writes them: start marker, log, progress, and the final status.

Everything that must be written at the end is allocated at the start, so that a full disk cannot keep a runner from
publishing how its command ended. Knows no processes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from footfall import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from footfall.contract.nodes import FinalStatus, Started

STATUS_BYTES = 192 << 10
SMALL_BYTES = 4096
_PID_BYTES = 20
_RETRY_INTERVAL_S = 0.5
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
SCRATCH_DIRECTORIES = ("home", "tmp", "code")
_DRAFTS = {"status.draft": STATUS_BYTES, "started.draft": SMALL_BYTES, "beat.draft": SMALL_BYTES}


class NodeFiles:
    """The directory of one node of one attempt.

    Args:
        log_limit_bytes: the log keeps so many bytes and one line that says so.

    ``n_lost_log_bytes``: how much of the output found the disk full.
    """

    def __init__(self, directory: str, log_limit_bytes: int) -> None:
        self.directory = directory
        self.scratch = os.path.join(directory, layout.SCRATCH)
        self.is_log_cut = False
        self.n_lost_log_bytes = 0
        self._n_told_lost = 0
        self._retry_log_at = 0.0
        self._log_limit_bytes = log_limit_bytes
        self._lock = -1
        self._log = -1
        self._index = -1
        self._log_bytes = 0
        self._indexed_s = 0

    def claim(self) -> bool:
        """Take the start marker, locked and with our pid in it; False when another runner has it.

        The marker is on the disk before this returns: at most one command runs in an attempt, also over a loss of power.
        Allocates what the end will need. Raises OSError when there is no space for it.
        """
        draft = self.path(f"start.{os.getpid()}")
        self._lock = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            self.write_pid()
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for name, size in _DRAFTS.items():
                self._allocate(f"{name}.{os.getpid()}", size)
            os.link(draft, self.path(layout.START_MARKER))
        except FileExistsError:
            self._remove_drafts()
            return False
        finally:
            os.unlink(draft)
        for name in ("status.draft", "started.draft"):
            os.rename(self.path(f"{name}.{os.getpid()}"), self.path(name))
        os.rename(self.path(f"beat.draft.{os.getpid()}"), self.path(layout.BEAT))
        os.makedirs(self.scratch, mode=0o700, exist_ok=True)
        self._log = os.open(self.path(layout.LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._index = os.open(self.path(layout.LOG_INDEX), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        _sync_directory(self.directory)
        return True

    def write_pid(self) -> None:
        """Make this process the one that the start marker names; in one write, for a reader may come at any time."""
        os.pwrite(self._lock, b"%-*d" % (_PID_BYTES, os.getpid()), 0)

    def write_started(self, notes: Sequence[str]) -> float:
        """Publish that the command runs, and what could not be enforced; return the time, in seconds since 1970."""
        now = time.time()
        started: Started = {"started_at": now, "message": " ".join(notes) or None}
        self._publish("started.draft", layout.STARTED, started)
        return now

    def heartbeat(self) -> None:
        """Update the heartbeat file, which needs no space."""
        try:
            os.utime(self.path(layout.BEAT))
        except OSError:
            pass  # the next heartbeat may do better; nothing is decided by a single one

    def append_log(self, data: bytes) -> None:
        """Add to the log until its limit is reached; output that finds the disk full is dropped, and how much is said there."""
        if self.is_log_cut or not data:
            return
        if self.n_lost_log_bytes > self._n_told_lost and (time.monotonic() < self._retry_log_at or not self._tell_lost()):
            self.n_lost_log_bytes += len(data)
            return
        room = self._log_limit_bytes - self._log_bytes
        if not self._try_log(data[:room]) or len(data) <= room:
            return
        self.is_log_cut = True
        self._try_log(b"\n[footfall: the log reached its limit of %d bytes; what follows is not kept]\n" % self._log_limit_bytes)

    def finish_log(self) -> None:
        """Say in the log what was lost at its end, if there is room for that again."""
        if self.n_lost_log_bytes > self._n_told_lost:
            self._tell_lost()

    @property
    def has_reached_log_limit(self) -> bool:
        """Whether the limit ended the log."""
        return self.is_log_cut

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Publish a file that others may read at any time; lost when the disk is full, for a later one says more."""
        replace_file(self.path(name), to_json(content))

    def write_status(self, status: FinalStatus) -> None:
        """Publish the final status, whole and on the disk; the last thing a runner does."""
        self._publish("status.draft", layout.STATUS, status, sync=True)

    def path(self, name: str) -> str:
        """Return the path of one of the node's files."""
        return os.path.join(self.directory, name)

    def _tell_lost(self) -> bool:
        """Write a line of its own about what was lost since the last such line; return whether the disk took it."""
        n_new, n_bytes = self.n_lost_log_bytes - self._n_told_lost, self._log_bytes
        if self._try_log(b"\n[footfall: %d bytes of the log were lost here: the disk was full]\n" % n_new):
            self._n_told_lost += n_new
            return True
        self.n_lost_log_bytes = self._n_told_lost + n_new  # of the line itself nothing is missed
        os.ftruncate(self._log, n_bytes)
        self._log_bytes = n_bytes
        return False

    def _try_log(self, data: bytes) -> bool:
        """Write to the log; return False, and note what is lost, where the disk is full."""
        view = memoryview(data)
        try:
            self._write_index()
            while view:
                written = os.write(self._log, view)
                self._log_bytes += written
                view = view[written:]
        except OSError as error:
            if error.errno not in _NO_SPACE:
                raise
            self.n_lost_log_bytes += len(view)
            self._retry_log_at = time.monotonic() + _RETRY_INTERVAL_S
            return False
        return True

    def _write_index(self) -> None:
        now_s = int(time.time())
        if now_s == self._indexed_s:
            return
        # layout.LOG_INDEX_ENTRY, for which ``struct`` need not be loaded
        entry = now_s.to_bytes(8, "little") + self._log_bytes.to_bytes(8, "little")
        written = os.write(self._index, entry)
        if written < len(entry):
            os.ftruncate(self._index, os.fstat(self._index).st_size - written)
            raise OSError(errno.ENOSPC, "No space left on device")
        self._indexed_s = now_s

    def _publish(self, draft: str, name: str, content: Mapping[str, Any], *, sync: bool = False) -> None:
        handle = os.open(self.path(draft), os.O_WRONLY)
        try:
            data = to_json(content).encode()
            os.pwrite(handle, data, 0)
            os.ftruncate(handle, len(data))
            if sync:
                os.fsync(handle)
        finally:
            os.close(handle)
        os.rename(self.path(draft), self.path(name))

    def _allocate(self, name: str, size: int) -> None:
        handle = os.open(self.path(name), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(handle, 0, size)
        finally:
            os.close(handle)

    def _remove_drafts(self) -> None:
        for name in _DRAFTS:
            try:
                os.unlink(self.path(f"{name}.{os.getpid()}"))
            except FileNotFoundError:
                continue


def replace_file(path: str, text: str) -> None:
    """Write a file by way of a draft, so that readers see it whole; on a full disk the one before stays.

    Not ``files.durable.publish``: nothing waits for the disk, since what a power cut takes is written anew.
    """
    draft = f"{path}.draft"
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            data = text.encode()
            if os.write(handle, data) < len(data):
                return  # the disk is full
        finally:
            os.close(handle)
        os.rename(draft, path)
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise


def to_json(value: object) -> str:
    """Return the JSON text of what a runner writes: the few kinds of value it needs, without loading a JSON library."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quote(str(key))}: {to_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(to_json, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no JSON text here")


def _quote(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    units = text.encode("utf-16-be", "surrogatepass")
    return '"' + "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)) + '"'


def _sync_directory(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
