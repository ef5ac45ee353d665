"""Numbers of users' runs, and their counts by type and state. Knows no rules of access.

A project gives its runs 1, 2, 3 … and an account counts them all by a serial; both counters are raised in the transaction of
the insert, so that nothing refused or killed leaves a hole. Counts move with the runs, and what was deleted is noted for each
thousand numbers: together they find any page of a list without counting or skipping rows.
"""

from footfall.db.engine.engine import Connection
from footfall.db.engine.prepared import Prepared
from footfall.errors import NotFoundError, WrongStateError
from footfall.states import ProjectStatus, RunState


def take_numbers(tx: Connection, account_id: str, project_id: str, n_nodes: int) -> tuple[int, int]:
    """Count one more run of a project; return its number there and its serial in the account.

    Raises:
        NotFoundError: the account has no such project, or it is one of the system's.
        WrongStateError: the project is not open.
    """
    number = _NEXT_NUMBER.one(tx, id=project_id, account_id=account_id, n_nodes=n_nodes)
    if number is None:
        raise _refusal(tx, account_id, project_id)
    serial = _NEXT_SERIAL.one(tx, id=account_id)
    assert serial is not None
    return int(number[0]), int(serial[0])


def count_new(tx: Connection, account_id: str, project_id: str, run_type: str) -> None:
    """Count a run that was registered."""
    _count(tx, account_id, project_id, run_type, RunState.REGISTERED.value, 1)


def count_move(tx: Connection, account_id: str, project_id: str, run_type: str, from_: str, to: str) -> None:
    """Count a run in another state than before."""
    # Always in one order of rows, so that two servers on PostgreSQL do not wait for each other.
    for state, by in sorted(((from_, -1), (to, 1))):
        _count(tx, account_id, project_id, run_type, state, by)


def forget(
    tx: Connection, account_id: str, project_id: str, *, run_type: str, state: str, number: int, serial: int, n_nodes: int
) -> None:
    """Take a deleted run out of all counts; its number stays spent."""
    _count(tx, account_id, project_id, run_type, state, -1)
    _ADD_GAP.change(tx, scope=account_id, thousand=serial // 1000)
    _ADD_GAP.change(tx, scope=project_id, thousand=number // 1000)
    _SHRINK_PROJECT.change(tx, id=project_id, n_nodes=n_nodes)


def count(connection: Connection, scope: str, states: list[str], run_types: list[str]) -> int:
    """Return how many runs an account or a project has in any of these states, of any of these types."""
    rows = _COUNTS.all(connection, scope=scope)
    return sum(n for run_type, state, n in rows if state in states and run_type in run_types)


def find_gaps(connection: Connection, scope: str) -> list[tuple[int, int]]:
    """Return (thousand, how many of its numbers are deleted) of an account or a project, highest first."""
    return [(int(thousand), int(n)) for thousand, n in _GAPS.all(connection, scope=scope)]


def seek(last: int, gaps: list[tuple[int, int]], index: int) -> tuple[int, int]:
    """Return where the ``index``-th newest of those not deleted is: so many behind the highest up to a number.

    Args:
        last: the highest number given so far.
        gaps: as ``find_gaps`` returns them.
    """
    for thousand, n_deleted in gaps:
        top, bottom = min(last, thousand * 1000 + 999), thousand * 1000
        if index < last - top:
            break
        index -= last - top
        # Number 0 is never given, so the first thousand has one less.
        n_shown = top - max(bottom, 1) + 1 - n_deleted
        if index < n_shown:
            return top, index
        index -= n_shown
        last = bottom - 1
    return last - index, 0


def _count(tx: Connection, account_id: str, project_id: str, run_type: str, state: str, by: int) -> None:
    _COUNT.change(tx, account_id=account_id, project_id=project_id, run_type=run_type, state=state, n=by)


def _refusal(tx: Connection, account_id: str, project_id: str) -> NotFoundError | WrongStateError:
    row = _STATUS.one(tx, id=project_id, account_id=account_id)
    if row is None:
        return NotFoundError("project", project_id)
    return WrongStateError("project", project_id, str(row[0]), [ProjectStatus.CREATED])


_NEXT_NUMBER = Prepared(
    "UPDATE projects SET last_run = last_run + 1, n_runs = n_runs + 1, n_nodes = n_nodes + :n_nodes "
    f"WHERE id = :id AND account_id = :account_id AND status = '{ProjectStatus.CREATED}' AND deleted_at IS NULL "
    "AND NOT is_system RETURNING last_run"
)
_NEXT_SERIAL = Prepared("UPDATE accounts SET last_serial = last_serial + 1 WHERE id = :id RETURNING last_serial")
_SHRINK_PROJECT = Prepared("UPDATE projects SET n_runs = n_runs - 1, n_nodes = n_nodes - :n_nodes WHERE id = :id")
_STATUS = Prepared(
    "SELECT status FROM projects WHERE id = :id AND account_id = :account_id AND deleted_at IS NULL AND NOT is_system"
)
_COUNT = Prepared(
    "INSERT INTO run_counts (scope, run_type, state, n) "
    "VALUES (:account_id, :run_type, :state, :n), (:project_id, :run_type, :state, :n) "
    "ON CONFLICT (scope, run_type, state) DO UPDATE SET n = run_counts.n + excluded.n"
)
_COUNTS = Prepared("SELECT run_type, state, n FROM run_counts WHERE scope = :scope")
_ADD_GAP = Prepared(
    "INSERT INTO run_gaps (scope, thousand, n) VALUES (:scope, :thousand, 1) "
    "ON CONFLICT (scope, thousand) DO UPDATE SET n = run_gaps.n + 1"
)
_GAPS = Prepared("SELECT thousand, n FROM run_gaps WHERE scope = :scope ORDER BY thousand DESC")
