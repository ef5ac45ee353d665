"""The metric points of a node: taken whole or not at all, appended to a file, summed up a key. Knows no HTTP.

``metrics.dat`` holds records of ``POINT`` (key id, flags, step, time, value), ``metrics.keys`` the keys: line n is the key
with id n, as a JSON string. A record with the flag RESET hides all before it. ``metrics.json`` sums up what is not hidden of
the first ``size`` bytes.

Source: the in-node contract, D2 and D4 row 6.
"""

from __future__ import annotations

import errno
import json
import math
import os
import struct
import time
import unicodedata
from typing import Any

from footfall import layout
from footfall.runner.files import replace_file

POINT = struct.Struct(layout.METRIC_POINT)
HAS_STEP, IS_NON_FINITE, IS_RESET = layout.METRIC_HAS_STEP, layout.METRIC_IS_NON_FINITE, layout.METRIC_IS_RESET
MAX_KEYS = 1000
MAX_OBJECTS = 10_000
MAX_KEY_LENGTH = 250
MAX_FILE_BYTES = 4 << 30
"""Behind so many, points are counted and dropped: no command may fill the disk through here."""
_BLOCK_RECORDS = 1 << 15
_STEP, _TIME = "@step", "@time"
_RESERVED = (_STEP, _TIME)


class PointError(ValueError):
    """What was posted is no metric point; the text is a sentence that names the key."""


class Metrics:
    """The points of one node. Continues what an earlier process of the same node wrote."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._is_kept = True
        self._points = self._open(layout.METRICS)
        self._keys = self._open(layout.METRIC_KEYS)
        self._size = os.fstat(self._points).st_size // POINT.size * POINT.size
        os.ftruncate(self._points, self._size)
        self._names = _read_keys(self._keys)
        self._ids = {name: number for number, name in enumerate(self._names)}
        self._summary: dict[str, dict[str, Any]] = {}
        self.n_dropped = 0
        self._reset_at: float | None = None
        self.is_changed = False
        self._resume()

    def post(self, body: object) -> None:
        """Take one object or an array of them; when this returns they are with the operating system, or counted as dropped.

        Raises:
            PointError: one of them is wrong; none is kept.
        """
        objects = body if isinstance(body, list) else [body]
        if len(objects) > MAX_OBJECTS:
            raise PointError(f"The array has {len(objects):,} objects; at most {MAX_OBJECTS:,} are taken at once.")
        now = time.time()
        # A microsecond apart, which keeps them in order and tells one object of an array from the next.
        points = [point for n, each in enumerate(objects) for point in _points_of(each, now + n * 1e-6)]
        new = self._check_keys(points)
        self.is_changed = True
        if not self._is_kept or not self._append_keys(new) or not self._append(self._records(points)):
            self.n_dropped += len(points)
            return
        for key, has_step, step, _, value in points:
            self._summarise(key, step if has_step else None, value)

    def reset(self) -> None:
        """Hide every point so far."""
        self._reset_at = time.time()
        self.is_changed = True
        self._summary.clear()
        self._append(POINT.pack(layout.METRIC_NO_KEY, IS_RESET, 0.0, self._reset_at, 0.0))

    def read(self, n_newest: int) -> list[dict[str, float]]:
        """Return the newest points as they were posted, oldest first; what was hidden is left out."""
        start = max(0, self._size - n_newest * POINT.size)
        objects: list[dict[str, float]] = []
        last: tuple[int, float, float] | None = None
        for number, flags, step, at, value in POINT.iter_unpack(os.pread(self._points, self._size - start, start)):
            if flags & IS_RESET:
                objects, last = [], None
                continue
            key, group = self._names[number], (flags & HAS_STEP, step if flags & HAS_STEP else 0.0, at)
            if group != last or key in objects[-1]:
                objects.append({_STEP: step, _TIME: at} if flags & HAS_STEP else {_TIME: at})
                last = group
            objects[-1][key] = value
        return objects

    def publish(self) -> None:
        """Write the summary; on a full disk the one before stays."""
        self.is_changed = False
        content = {
            "keys": self._summary, "droppedPoints": self.n_dropped, "resetAt": self._reset_at, "size": self._size,
        }  # fmt: skip
        replace_file(self._path(layout.METRIC_SUMMARY), json.dumps(content))

    def _open(self, name: str) -> int:
        """Open a file; on a disk so full that it cannot even be made, one in memory that nothing is kept in."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            return os.open(self._path(name), flags, 0o600)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._is_kept = False
            return os.memfd_create(name, os.MFD_CLOEXEC)

    def _check_keys(self, points: list[tuple[str, bool, float, float, float]]) -> list[str]:
        new = [key for key in dict.fromkeys(point[0] for point in points) if key not in self._ids]
        for key in new:
            _check_key(key)
        if len(self._ids) + len(new) > MAX_KEYS:
            key = new[MAX_KEYS - len(self._ids)]
            raise PointError(f"The key {key!r} is one too many: a node may have at most {MAX_KEYS:,} keys.")
        return new

    def _records(self, points: list[tuple[str, bool, float, float, float]]) -> bytes:
        counts = {key: int(facts["count"]) for key, facts in self._summary.items()}
        out = bytearray()
        for key, has_step, step, at, value in points:
            count = counts.get(key, 0)
            counts[key] = count + 1
            flags = (HAS_STEP if has_step else 0) | (0 if math.isfinite(value) else IS_NON_FINITE)
            out += POINT.pack(self._ids[key], flags, step if has_step else count, at, value)
        return bytes(out)

    def _append_keys(self, new: list[str]) -> bool:
        if not new:
            return True
        size = os.fstat(self._keys).st_size
        if not _write_whole(self._keys, "".join(f"{json.dumps(key)}\n" for key in new).encode(), size):
            return False
        for key in new:
            self._ids[key] = len(self._names)
            self._names.append(key)
        return True

    def _append(self, records: bytes) -> bool:
        if self._size + len(records) > MAX_FILE_BYTES or not _write_whole(self._points, records, self._size):
            return False
        self._size += len(records)
        return True

    def _summarise(self, key: str, step: float | None, value: float) -> None:
        facts = self._summary.get(key)
        if facts is None:
            facts = self._summary[key] = {
                "last": None, "min": None, "max": None, "count": 0, "nonFinite": 0, "lastNonFiniteStep": None,
            }  # fmt: skip
        if math.isfinite(value):
            facts["last"] = value
            facts["min"] = value if facts["min"] is None else min(facts["min"], value)
            facts["max"] = value if facts["max"] is None else max(facts["max"], value)
        else:
            facts["nonFinite"] += 1
            facts["lastNonFiniteStep"] = facts["count"] if step is None else step
        facts["count"] += 1

    def _resume(self) -> None:
        """Resume from the summary that was published last, and add what was appended since."""
        start = 0
        try:
            with open(self._path(layout.METRIC_SUMMARY), encoding="utf-8") as file:
                before = json.load(file)
        except FileNotFoundError:
            pass
        else:
            self.n_dropped = before["droppedPoints"]
            if before["size"] <= self._size:
                start, self._summary, self._reset_at = before["size"], before["keys"], before["resetAt"]
        while data := os.pread(self._points, min(_BLOCK_RECORDS * POINT.size, self._size - start), start):
            start += len(data)
            self.is_changed = True
            for number, flags, step, at, value in POINT.iter_unpack(data):
                if flags & IS_RESET:
                    self._reset_at = at
                    self._summary.clear()
                else:
                    self._summarise(self._names[number], step, value)

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)


def _points_of(posted: object, now: float) -> list[tuple[str, bool, float, float, float]]:
    """Return (key, has step, step, time, value) of each metric in a posted object."""
    if not isinstance(posted, dict):
        raise PointError(f"A metric point is a JSON object of numbers, not {json.dumps(posted)[:40]}.")
    has_step, step, at = False, 0.0, now
    points: list[tuple[str, bool, float, float, float]] = []
    if _STEP in posted:
        has_step, step = True, _finite(_STEP, posted[_STEP])
    if _TIME in posted:
        at = _finite(_TIME, posted[_TIME])
    for key, value in posted.items():
        if key in _RESERVED:
            continue
        if value.__class__ is not float:
            # A value that is missing is null where JSON has no NaN, as pandas writes it.
            value = math.nan if value is None else _number(key, value)
        points.append((key, has_step, step, at, value))
    return points


def _check_key(key: str) -> None:
    """Refuse what cannot stand in an answer, or would write over the terminal that shows it."""
    if not key or len(key) > MAX_KEY_LENGTH:
        raise PointError(f"The key {key[:40]!r} must have 1 to {MAX_KEY_LENGTH} characters.")
    if not key.isprintable() and any(unicodedata.category(each) in ("Cc", "Cs") for each in key):
        raise PointError(f"The key {key!a} must have neither control characters nor halves of surrogate pairs.")


def _number(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PointError(f"The value of the key {key[:MAX_KEY_LENGTH]!r} is no number: {json.dumps(value)[:40]}.")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _finite(key: str, value: object) -> float:
    number = _number(key, value)
    if not math.isfinite(number):
        raise PointError(f"The value of the key {key!r} must be finite.")
    return number


def _read_keys(keys: int) -> list[str]:
    data = os.pread(keys, os.fstat(keys).st_size, 0)
    whole = data[: data.rfind(b"\n") + 1]
    os.ftruncate(keys, len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def _write_whole(handle: int, data: bytes, size: int) -> bool:
    """Append all of ``data`` to a file of ``size`` bytes, or nothing."""
    try:
        if os.write(handle, data) == len(data):
            return True
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
    os.ftruncate(handle, size)
    return False
