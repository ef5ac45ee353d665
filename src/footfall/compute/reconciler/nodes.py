"""The nodes of a run, read from the files that their runners write."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from footfall import layout
from footfall.contract.nodes import FinalStatus, NodeSpec, Progress, Rescheduled, Started
from footfall.db.run_pages import RunRow
from footfall.files.remove import remove_tree
from footfall.files.short_path import remove_short_path
from footfall.states import FailureReason


class NodeState(StrEnum):
    """Where a node of a run is."""

    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"
    """Its runner vanished without a final status."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node of one attempt: when its command started, and how it ended, once it has.

    ``message``: a sentence of its runner, e.g. on a limit that cannot be enforced. ``is_rescheduled``: its command asked for
    another attempt; for an ended node ``final`` holds that.
    """

    started_at: float | None
    final: FinalStatus | None
    message: str | None = None
    is_rescheduled: bool = False


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node of a run, as it is shown. ``exit_code`` is Python's: -n for signal n; None until it ended by itself."""

    rank: int
    state: NodeState
    exit_code: int | None
    started_at: datetime | None
    ended_at: datetime | None
    gpu_ids: tuple[str, ...]
    port: int | None
    host: str | None = None


def read_node(runs_root: Path, run_id: str, attempt: int, rank: int) -> NodeStatus:
    """Return what is known of a node so far."""
    node = runs_root / layout.node_dir(run_id, attempt, rank)
    final: FinalStatus | None = _read_json(node / layout.STATUS)
    if final is not None:
        return NodeStatus(final["started_at"], final, final.get("message"))
    started: Started | None = _read_json(node / layout.STARTED)
    if started is None:
        return NodeStatus(None, None)
    flag: Rescheduled | None = _read_json(node / layout.RESCHEDULED)
    return NodeStatus(started["started_at"], None, started.get("message"), is_rescheduled=bool(flag and flag["rescheduled"]))


def read_nodes(runs_root: Path, row: RunRow) -> list[NodeView]:
    """Return the nodes of a run's newest attempt, by rank."""
    return [_view(runs_root, row, rank) for rank in range(row.n_nodes)]


def _view(runs_root: Path, row: RunRow, rank: int) -> NodeView:
    status = read_node(runs_root, row.id, row.attempt, rank)
    spec: NodeSpec | None = _read_json(runs_root / layout.node_dir(row.id, row.attempt, rank) / layout.SPEC)
    final, started_at = status.final, _time(status.started_at)
    exit_code, ended_at = (final["exit_code"], _time(final.get("ended_at"))) if final else (None, None)
    if row.state.is_final and ended_at is None:
        ended_at = row.ended_at
    if row.data_removed_at is not None:  # the node's own files are gone; the run's row is left
        exit_code, started_at = row.exit_code, row.started_at
    return NodeView(
        rank,
        _state(row, status),
        exit_code,
        started_at,
        ended_at,
        tuple(spec["share"]["gpus"]) if spec else (),
        spec["port"] if spec else None,
    )


def _state(row: RunRow, status: NodeStatus) -> NodeState:
    if status.final is not None:
        return NodeState.ENDED
    if row.state.is_final:
        # A run that was stopped while it waited has nodes that never started; removed files say nothing of an end.
        is_lost = status.started_at is not None or row.reason is FailureReason.LOST
        return NodeState.LOST if is_lost and row.data_removed_at is None else NodeState.ENDED
    return NodeState.PENDING if status.started_at is None else NodeState.RUNNING


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def read_progress(runs_root: Path, run_id: str, attempt: int) -> Progress | None:
    """Return the progress of a job, None before it has reported any."""
    progress: Progress | None = _read_json(runs_root / layout.node_dir(run_id, attempt, 0) / layout.PROGRESS)
    return progress


def remove_scratch(runs_root: Path, run_id: str, attempt: int, n_nodes: int) -> None:
    """Remove what a killed runner could not: scratch files and the job's private file.

    Raises:
        OSError: something would not go.
    """
    for rank in range(n_nodes):
        node = runs_root / layout.node_dir(run_id, attempt, rank)
        (node / layout.PRIVATE).unlink(missing_ok=True)
        remove_short_path(str(node / layout.SHORT_PATH), str(node / layout.SCRATCH))
        remove_tree(node / layout.SCRATCH)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        # What is published is whole; but of what was not synced a machine that lost its power may leave a file of nothing.
        return None
