"""The files of a node, as the runner writes them: start marker, log, progress, and the final status.

Everything that must be said at the end is allocated at the start, so that a full disk cannot keep a runner from saying how
its command ended. Knows no processes.
"""

import contextlib
import errno
import fcntl
import json
import os
import struct
import time
from typing import Any

from footfall import layout

STATUS_BYTES = 192 << 10
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_INDEX_ENTRY = struct.Struct("<QQ")  # unix seconds, byte offset in the log


class NodeFiles:
    """The directory of one node of one attempt."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.scratch = os.path.join(directory, layout.SCRATCH)
        with open(self._path(layout.SPEC), encoding="utf-8") as file:
            self.spec: dict[str, Any] = json.load(file)
        self._lock = -1
        self._log = -1
        self._index = -1
        self._log_bytes = 0
        self._indexed_s = 0
        self._is_log_cut = False

    def claim(self) -> bool:
        """Take the start marker, locked and with our pid in it; False when another runner has it.

        Allocates what the end will need. Raises OSError when there is no space for it.
        """
        draft = self._path(f"start.{os.getpid()}")
        self._lock = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(self._lock, str(os.getpid()).encode())
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for name in ("status.draft", "started.draft", "beat.draft"):
                self._allocate(f"{name}.{os.getpid()}", STATUS_BYTES if name == "status.draft" else 4096)
            os.link(draft, self._path(layout.START_MARKER))
        except FileExistsError:
            self._remove_drafts()
            return False
        finally:
            os.unlink(draft)
        for name in ("status.draft", "started.draft"):
            os.rename(self._path(f"{name}.{os.getpid()}"), self._path(name))
        os.rename(self._path(f"beat.draft.{os.getpid()}"), self._path(layout.BEAT))
        os.makedirs(self.scratch, mode=0o700, exist_ok=True)
        self._log = os.open(self._path(layout.LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._index = os.open(self._path(layout.LOG_INDEX), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return True

    @property
    def private(self) -> str | None:
        """The path of what only a job of ours may read; None for a command of a user."""
        return self._path(layout.PRIVATE) if self.spec["is_job"] else None

    def say_started(self) -> float:
        """Publish that the command runs; return the time, in seconds since 1970."""
        now = time.time()
        self._publish("started.draft", layout.STARTED, {"started_at": now})
        return now

    def beat(self) -> None:
        """Say that the runner lives, without needing space."""
        with contextlib.suppress(OSError):
            os.utime(self._path(layout.BEAT))

    def append_log(self, data: bytes) -> None:
        """Add to the log until its limit or the disk is reached; from there on, output is read and dropped."""
        if self._is_log_cut or not data:
            return
        limit: int = self.spec["log_limit_bytes"]
        room = limit - self._log_bytes
        try:
            self._write_log(data[:room])
            if len(data) > room:
                self._is_log_cut = True
                self._write_log(
                    b"\n[footfall: the log reached its limit of %d bytes; what follows is not kept]\n" % limit
                )
        except OSError as error:
            if error.errno not in _NO_SPACE:
                raise
            self._is_log_cut = True

    def write_progress(self, progress: object) -> None:
        """Publish how far the command is; lost when the disk is full, for the next one says more."""
        draft = self._path("progress.draft")
        try:
            with open(draft, "w", encoding="utf-8") as file:
                json.dump(progress, file)
            os.rename(draft, self._path(layout.PROGRESS))
        except OSError as error:
            if error.errno not in _NO_SPACE:
                raise

    def write_status(self, status: dict[str, Any]) -> None:
        """Publish the final status, whole; the last thing a runner does."""
        self._publish("status.draft", layout.STATUS, status)

    def _write_log(self, data: bytes) -> None:
        now_s = int(time.time())
        if now_s != self._indexed_s:
            self._indexed_s = now_s
            os.write(self._index, _INDEX_ENTRY.pack(now_s, self._log_bytes))
        view = memoryview(data)
        while view:
            written = os.write(self._log, view)
            self._log_bytes += written
            view = view[written:]

    def _publish(self, draft: str, name: str, content: dict[str, Any]) -> None:
        handle = os.open(self._path(draft), os.O_WRONLY)
        try:
            data = json.dumps(content).encode()
            os.pwrite(handle, data, 0)
            os.ftruncate(handle, len(data))
            os.fsync(handle)
        finally:
            os.close(handle)
        os.rename(self._path(draft), self._path(name))

    def _allocate(self, name: str, size: int) -> None:
        handle = os.open(self._path(name), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(handle, 0, size)
        finally:
            os.close(handle)

    def _remove_drafts(self) -> None:
        for name in ("status.draft", "started.draft", "beat.draft"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(f"{name}.{os.getpid()}"))

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)
