"""The isolation level of each run, from the file that its runner wrote; cached, for it never changes."""

import json
from collections import OrderedDict
from pathlib import Path
from threading import Lock

from footfall import layout

MAX_KNOWN = 20_000


class IsolationLevels:
    """The levels of attempts of runs that were asked for lately."""

    def __init__(self, runs_root: Path) -> None:
        self._runs_root, self._lock = runs_root, Lock()
        self._known: OrderedDict[tuple[str, int], str] = OrderedDict()

    def of(self, run_id: str, attempt: int) -> str | None:
        """Return ``bubblewrap``, ``landlock`` or ``plain``; None while the runner has not said, or when its files are gone."""
        key = (run_id, attempt)
        known = self._known.get(key)
        if known is not None:
            return known
        path = self._runs_root / layout.node_dir(run_id, attempt, 0) / layout.ISOLATION
        try:
            level = str(json.loads(path.read_bytes())["level"])
        except (FileNotFoundError, ValueError):  # as nodes.py reads: a file of nothing is none
            return None
        with self._lock:
            self._known[key] = level
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        return level
