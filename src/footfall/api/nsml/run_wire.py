"""From runs and their nodes to the shapes of ``/nsml/v1``. The only place that knows both."""

import msgspec

from footfall.api.nsml.operations import stamp, stamp_or_none
from footfall.compute.reconciler.nodes import NodeView
from footfall.contract import runs as shapes
from footfall.contract.nodes import shell_exit_code
from footfall.contract.runs import SummaryBody
from footfall.db.run_pages import RunRow
from footfall.states import RunState

STATUSES: dict[RunState, shapes.RunStatus] = {
    RunState.REGISTERED: "RUN_STATE_REGISTERED",
    RunState.PENDING: "RUN_STATE_PENDING",
    RunState.IN_PROGRESS: "RUN_STATE_IN_PROGRESS",
    RunState.COMPLETED: "RUN_STATE_COMPLETED",
    RunState.FAILED: "RUN_STATE_FAILED",
    RunState.CANCELLED: "RUN_STATE_CANCELLED",
}
_MESSAGES = {
    RunState.REGISTERED: "It waits in the queue.",
    RunState.PENDING: "Its nodes are being started.",
    RunState.IN_PROGRESS: "Its command runs on every node.",
    RunState.COMPLETED: "Every node ended with exit code 0.",
    RunState.FAILED: "It failed.",
    RunState.CANCELLED: "It was stopped on request.",
}


_Summaries = dict[str, SummaryBody]


def run_item(row: RunRow) -> shapes.RunItem:
    """Return what a list shows of a run: what was asked for with it too, where that was read."""
    item = shapes.RunItem(
        run_name=str(row.number),
        run_type=row.run_type,  # type: ignore[arg-type]
        project_id=row.project_id,
        project_name=row.project_name,
        status=STATUSES[row.state],
        creator=_creator(row),
        create_time=stamp(row.created_at),
        update_time=stamp(row.updated_at),
    )
    if (request := row.request) is not None:
        item.command, item.note, item.git_commit = request.command, request.note, request.git_commit
        item.eng_full_name, item.gpu_svr_code, item.node_count = request.eng_full_name, row.product_code, row.n_nodes
        item.start_time, item.end_time = stamp_or_none(row.started_at), stamp_or_none(row.ended_at)
        item.exit_code, item.message = wire_exit_code(row.exit_code), _message(row)
        item.reason = None if row.reason is None else row.reason.value
    return item


def run_body(row: RunRow, isolation: str | None) -> shapes.RunBody:
    """Return what GET shows of a run."""
    request = row.request
    assert request is not None
    return shapes.RunBody(
        run_name=str(row.number),
        project_id=row.project_id,
        project_name=row.project_name,
        status=STATUSES[row.state],
        creator=_creator(row),
        eng_full_name=request.eng_full_name,
        gpu_svr_code=row.product_code,
        image_type=request.image_type,
        image_path=request.image_path,
        command=request.command,
        is_bare_metal=False,
        envs=request.envs,
        note=request.note,
        run_type=row.run_type,  # type: ignore[arg-type]
        node_count=row.n_nodes,
        block_storage_no_list=request.block_storage_no_list,
        create_time=stamp(row.created_at),
        update_time=stamp(row.updated_at),
        start_time=stamp_or_none(row.started_at),
        end_time=stamp_or_none(row.ended_at),
        exit_code=wire_exit_code(row.exit_code),
        reason=None if row.reason is None else row.reason.value,
        message=_message(row),
        attempts=_attempts(row),
        code_digest=request.code_digest,
        git_commit=request.git_commit,
        git_modified=request.git_modified,
        data_removed_at=stamp_or_none(row.data_removed_at),
        priority=row.priority,
        timeout_seconds=request.timeout_seconds,
        output_limit_bytes=request.output_limit_bytes,
        log_limit_bytes=request.log_limit_bytes,
        isolation=isolation,
        metrics=None if row.metrics is None else msgspec.convert(row.metrics, _Summaries),
    )


def node_body(row: RunRow, node: NodeView) -> shapes.NodeBody:
    """Return what a list shows of a node."""
    assert row.request is not None
    return shapes.NodeBody(
        node_id=node_id(row.project_id, row.number, node.rank),
        project_id=row.project_id,
        project_name=row.project_name,
        run_name=str(row.number),
        state=f"NODE_STATE_{node.state.upper()}",  # type: ignore[arg-type]
        resource_type=row.request.eng_full_name,
        container_image=row.request.image_path,
        rank=node.rank,
        exit_code=wire_exit_code(node.exit_code),
        host=node.host,
        port=None if node.host is None else node.port,
        start_time=stamp_or_none(node.started_at),
        end_time=stamp_or_none(node.ended_at),
        gpu_ids=list(node.gpu_ids),
    )


def node_id(project_id: str, number: int, rank: int) -> str:
    """Return the id of a node, which no other has."""
    return f"{project_id}-{number}-{rank}"


def wire_exit_code(code: int | None) -> int | None:
    """Return an exit code as shells show it: 128 + n for signal n."""
    return None if code is None else shell_exit_code(code)


def _creator(row: RunRow) -> str:
    return f"ncp-user-{row.user_number or 0}"


def _attempts(row: RunRow) -> int:
    is_waiting = row.state in (RunState.REGISTERED, RunState.PENDING)
    never_began = is_waiting or (row.state is RunState.CANCELLED and row.started_at is None and row.exit_code is None)
    return row.attempt if never_began else row.attempt + 1


def _message(row: RunRow) -> str:
    if row.state is RunState.FAILED and row.reason is not None:
        return row.fail_details or row.reason.message()
    if row.state is RunState.CANCELLED:
        return _MESSAGES[row.state]
    if row.cancel_requested_at is not None and not row.state.is_final:
        return "It is being stopped on request."
    return row.message or _MESSAGES[row.state]
