"""What the nodes of a run say of themselves, read from the files that their runners write."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from footfall import layout


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node of one attempt: when its command started, and how it ended, once it has."""

    started_at: float | None
    final: dict[str, Any] | None


def read_node(runs_root: Path, run_id: str, attempt: int, rank: int) -> NodeStatus:
    """Return what a node has said so far."""
    node = runs_root / layout.node_dir(run_id, attempt, rank)
    final = _read_json(node / layout.STATUS)
    started = _read_json(node / layout.STARTED) if final is None else final
    return NodeStatus(None if started is None else started["started_at"], final)


def read_progress(runs_root: Path, run_id: str, attempt: int) -> dict[str, Any] | None:
    """Return ``{stage, done, total}`` of a run's first node, or None when it has said nothing yet."""
    return _read_json(runs_root / layout.node_dir(run_id, attempt, 0) / layout.PROGRESS)


def remove_scratch(runs_root: Path, run_id: str, attempt: int, n_nodes: int) -> None:
    """Remove what a killed runner could not: scratch files and the job's private file."""
    for rank in range(n_nodes):
        node = runs_root / layout.node_dir(run_id, attempt, rank)
        shutil.rmtree(node / layout.SCRATCH, ignore_errors=True)
        (node / layout.PRIVATE).unlink(missing_ok=True)


def remove_run(runs_root: Path, run_id: str) -> None:
    """Remove every file of a run: logs, statuses, scratch."""
    shutil.rmtree(runs_root / layout.run_dir(run_id), ignore_errors=True)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return content
