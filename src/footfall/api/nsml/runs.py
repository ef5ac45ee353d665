"""``/nsml/v1/projects/{projectId}/runs``: runs and their nodes; their logs, metrics and artifacts are in ``outputs.py``."""

from typing import Any

from footfall.api.http.operations import Operation
from footfall.api.http.responses import Response
from footfall.api.nsml.operations import ROOT, created, id_number, operation, page_of
from footfall.api.nsml.run_wire import STATUSES, node_body, run_body, run_item
from footfall.api.request import Mutation, Request
from footfall.compute import create, runs
from footfall.compute.reconciler import nodes
from footfall.contract import runs as shapes
from footfall.contract.queries import Page, RunsQuery
from footfall.db import run_pages
from footfall.db import runs as run_rows
from footfall.db.engine.encryption import Secrets
from footfall.db.engine.engine import Connection
from footfall.db.run_pages import RunRow
from footfall.db.run_search import Wanted
from footfall.errors import InvalidFieldError
from footfall.states import FailureReason, RunState

_STATES = {word: state for state, word in STATUSES.items()}


def post_run(request: Request) -> Mutation:
    """Make a run."""
    context, caller, project_id = request.context, request.caller, request.params["projectId"]
    with context.database.read() as connection:
        plan = create.plan_run(connection, context.launcher, caller, project_id, request.fields)
    return Mutation(lambda tx: _created(tx, plan, context.secrets))


def restart_run(request: Request) -> Mutation:
    """Make a run like another, or with some things changed."""
    context, caller = request.context, request.caller
    with context.database.read() as connection:
        row = _find(request, connection)
        assert row.request is not None
        plan = create.plan_restart(connection, context.launcher, caller, row.id, row.request, request.fields)
    return Mutation(lambda tx: _created(tx, plan, context.secrets))


def list_all_runs(request: Request) -> shapes.RunList:
    """Return a page of the runs of the account."""
    return _list(request, None)


def list_runs(request: Request) -> shapes.RunList:
    """Return a page of the runs of a project."""
    return _list(request, request.params["projectId"])


def get_run(request: Request) -> shapes.RunBody:
    """Return a run."""
    with request.context.database.read() as connection:
        row = _find(request, connection)
    return _body(request, row)


def list_nodes(request: Request) -> shapes.NodeList:
    """Return a page of the nodes of a run."""
    page, page_size = page_of(request.read_query(Page))
    with request.context.database.read() as connection:
        row = _find(request, connection)
    views = nodes.read_nodes(request.context.settings.runs_root, row)
    begin = (page - 1) * page_size
    return shapes.NodeList([node_body(row, node) for node in views[begin : begin + page_size]], len(views))


def stop_run(request: Request) -> Mutation:
    """Ask for a run to be stopped; again on one that is being stopped, or was, it changes nothing."""

    def apply(tx: Connection) -> shapes.RunBody:
        row = _find(request, tx)
        if row.state is RunState.CANCELLED:
            return _body(request, row)
        runs.cancel_run(tx, row.id, request.caller.access_key)
        return _body(request, _find(request, tx))

    return Mutation(apply)


def remove_run(request: Request) -> Mutation:
    """Delete a run that has ended."""

    def apply(tx: Connection) -> shapes.RunBody:
        row = _find(request, tx)
        runs.delete_run(tx, run_rows.get(tx, row.id))
        return _body(request, row)

    return Mutation(apply)


def _list(request: Request, project_id: str | None) -> shapes.RunList:
    query = request.read_query(RunsQuery)
    page, page_size = page_of(query)
    with request.context.database.read() as connection:
        rows = run_pages.page(
            connection,
            request.caller.account_id,
            project_id=project_id,
            state=None if query.status is None else _STATES[query.status],
            run_type=query.run_type,
            wanted=_wanted(query),
            details=query.details == "true",
            page=page,
            page_size=page_size,
        )
    return shapes.RunList([run_item(row) for row in rows.items], rows.total)


def _wanted(query: RunsQuery) -> Wanted | None:
    creator = query.creator.removeprefix("ncp-user-")
    if query.creator and (creator == query.creator or not (creator.isascii() and creator.isdigit() and len(creator) <= 9)):
        raise InvalidFieldError("creator", query.creator, "pattern", f"creator is {query.creator!r}; write it like ncp-user-1.")
    if query.reason and query.reason not in list(FailureReason):
        details = f"reason is {query.reason!r}; give one of {', '.join(FailureReason)}."
        raise InvalidFieldError("reason", query.reason, "choice", details)
    wanted = Wanted(
        command=query.command,
        note=query.note,
        product_code=query.gpu_svr_code,
        user_number=int(creator) if creator else None,
        reason=FailureReason(query.reason) if query.reason else None,
        min_s=query.min_seconds,
        max_s=query.max_seconds,
    )
    return None if wanted == Wanted() else wanted


def _find(request: Request, connection: Connection) -> RunRow:
    number = id_number(request.params["runName"], "run")
    return run_pages.get(connection, request.caller.account_id, request.params["projectId"], number)


def _body(request: Request, row: RunRow) -> shapes.RunBody:
    is_started = row.started_at is not None
    levels = request.context.isolation_levels
    return run_body(row, levels.of(row.id, row.attempt) if is_started else None)


def _created(tx: Connection, plan: runs.PlannedRun, sealer: Secrets) -> Response:
    run = plan.apply(tx, sealer)
    assert run.number is not None
    row = run_pages.get(tx, run.account_id, run.project_id, run.number)
    return created(run_body(row, None), f"{ROOT}/projects/{run.project_id}/runs/{run.number}")


_ALL = "/projects/{projectId}/runs"
_ONE = f"{_ALL}/{{runName}}"
_LISTED: dict[str, Any] = {"response": shapes.RunList, "query": RunsQuery}
_MADE: dict[str, Any] = {"response": shapes.RunBody, "status": 201, "creates": True, "wakes": True}

OPERATIONS: tuple[Operation, ...] = (
    operation(
        "create_run", "POST", _ALL, "Create a run.", post_run, request=shapes.NewRun, is_documented=True,
        has_own_answer=True, **_MADE,
    ),
    operation(
        "list_all_runs", "GET", "/projects/runs", "List the runs of every project, newest first.", list_all_runs,
        is_documented=True, **_LISTED,
    ),
    operation("list_runs", "GET", _ALL, "List the runs of a project, newest first.", list_runs, **_LISTED),
    operation(
        "get_run", "GET", _ONE, "Get a run.", get_run, response=shapes.RunBody, is_quick=True, is_documented=True,
    ),
    operation(
        "list_nodes", "GET", f"{_ONE}/nodes", "List the nodes of a run, by rank.", list_nodes, response=shapes.NodeList,
        query=Page, is_documented=True,
    ),
    operation(
        "stop_run", "POST", f"{_ONE}/stop", "Stop a run that has not ended.", stop_run, response=shapes.RunBody, wakes=True,
    ),
    operation(
        "restart_run", "POST", f"{_ONE}/restart", "Create a run of the same specification and code, or with changes.",
        restart_run, request=shapes.RunChanges, **_MADE,
    ),
    operation(
        "delete_run", "DELETE", _ONE, "Delete a run that has ended; its number stays spent.", remove_run,
        response=shapes.RunBody, wakes=True,
    ),
)  # fmt: skip
