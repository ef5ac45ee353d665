"""``/nsml/v1``: logs, metrics and artifacts of runs. All of it is ours; NSML documents none.

Read from the files that runners write, never through the database. After the retention time there is nothing, and the answer
says since when.
"""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote

from footfall.api.http.errors import NSML_NOT_FOUND, GatewayError
from footfall.api.http.operations import Operation
from footfall.api.http.responses import Download, Response, json_response
from footfall.api.log_streaming import LogStream, RunNow
from footfall.api.nsml.operations import id_number, operation, stamp
from footfall.api.request import Request
from footfall.api.transfers import CHUNK_BYTES
from footfall.compute.outputs import artifacts, logs, metrics
from footfall.contract.queries import MAX_KEYS, LogQuery, MetricsQuery
from footfall.contract.runs import ArtifactBody, ArtifactList, CurveBody, LeftOutBody, MetricsBody, SummaryBody
from footfall.db import run_pages
from footfall.db.run_pages import RunRow
from footfall.errors import InvalidFieldError, NotFoundError
from footfall.files.untrusted import UNNAMEABLE

_ESCAPED = re.compile(r"\\([\\,])")


def get_logs(request: Request) -> Response | LogStream:
    """Return a piece of a node's log, or its stream."""
    query = request.read_query(LogQuery)
    row = _find(request)
    node = query.node
    if node >= row.n_nodes:
        details = f"node is '{node}'; give a whole number from 0 to {row.n_nodes - 1}."
        raise InvalidFieldError("node", str(node), "range", details)
    needle = query.grep.encode()
    if b"\n" in needle:
        raise InvalidFieldError("grep", None, "choice", "grep holds a newline; lines are looked at one by one.")
    runs_root = request.context.settings.runs_root
    log = logs.NodeLog(runs_root, row.id, row.attempt + 1, node)
    offset = _begin(query, log)
    if query.follow == "true":
        return _stream(request, row, node, offset, needle)
    if needle:
        page = log.search(needle, offset, query.limit)
    else:
        data = log.read(offset, query.limit)
        page = logs.LogPage(data, offset + len(data), log.has_ended and offset + len(data) >= log.size)
    # Of a search, what stands behind the last newline is no line yet.
    is_all = page.next_offset >= log.size or (bool(needle) and not page.data and page.next_offset == offset)
    is_complete = row.state.is_final and (page.is_complete or page.next_offset >= log.size)
    headers = [
        (b"x-start-offset", b"%d" % offset),
        (b"x-next-offset", b"%d" % page.next_offset),
        (b"x-log-end", b"true" if is_all else b"false"),
        (b"x-log-complete", b"true" if is_complete else b"false"),
    ]
    return Response(page.data, 200, b"text/plain; charset=utf-8", headers)


def get_metrics(request: Request) -> Response:
    """Return the curves and summaries of a run, a ``MetricsBody``.

    Made and encoded for one caller of an account after the other: one answer may take some 200 MB while it is made.
    """
    query = request.read_query(MetricsQuery)
    keys = _split_keys(query.keys) if query.keys else None
    if keys is not None and len(keys) > MAX_KEYS:
        raise InvalidFieldError("keys", None, "range", f"keys names {len(keys)}; give at most {MAX_KEYS}.")
    row = _find(request)
    where = (request.context.settings.runs_root, row.id, row.attempt + 1, row.n_nodes)
    with request.context.metrics_lock.hold(request.caller.account_id):
        summary, dropped = metrics.read_summary(*where)
        curves = metrics.read_series(*where, keys=keys, max_points=query.max_points)
        return json_response(
            MetricsBody(
                [CurveBody(one.key, one.node, one.n_points, one.points) for one in curves],
                {key: _summary_body(one) for key, one in summary.items()},
                dropped,
            )
        )


def _split_keys(text: str) -> list[str]:
    r"""Return what stands between commas; ``\,`` is a comma of a key, ``\\`` a backslash."""
    return [_ESCAPED.sub(r"\1", part) for part in re.findall(r"(?:\\[\\,]|[^,])+", text)]


def _summary_body(one: metrics.Summary) -> SummaryBody:
    return SummaryBody(one.last, one.min, one.max, one.count, one.non_finite, one.last_non_finite_step)


def list_artifacts(request: Request) -> ArtifactList:
    """Return what the nodes of a run left."""
    row = _find(request)
    found = artifacts.find_artifacts(request.context.settings.runs_root, row.id, row.n_nodes)
    listed = [ArtifactBody(one.node, one.file.path, one.file.size_bytes, stamp(one.file.modified_at)) for one in found.files]
    left_out = [LeftOutBody(node, one.path, one.reason) for node, one in found.left_out]
    n_unnameable = sum(each.reason == UNNAMEABLE for each in left_out)
    return ArtifactList(listed, len(listed), n_unnameable, left_out)


def get_artifact(request: Request) -> Download:
    """Return the bytes of an artifact, as many as it has now."""
    node, path = request.params["node"], request.params["path"]
    row = _find(request)
    if not (node.isascii() and node.isdigit() and len(node) <= 6 and int(node) < row.n_nodes):
        raise NotFoundError("node", node)
    return file_download(artifacts.open_artifact(request.context.settings.runs_root, row.id, int(node), path), path)


def file_download(file: int, path: str) -> Download:
    """Return an open file as an answer that closes it."""
    size = os.fstat(file).st_size
    name = quote(path.rpartition("/")[2], safe="")
    return Download(_pieces(file, size), size, [(b"content-disposition", f"attachment; filename*=UTF-8''{name}".encode("ascii"))])


def _pieces(file: int, left: int) -> Iterator[bytes]:
    """Yield what was promised and no more; a file that was cut meanwhile breaks off."""
    with os.fdopen(file, "rb") as content:
        while left and (chunk := content.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk


def _find(request: Request) -> RunRow:
    """Return the run that the path names.

    Raises:
        NotFoundError: there is none.
        GatewayError: what it left was removed; with the date.
    """
    number = id_number(request.params["runName"], "run")
    with request.context.database.read() as connection:
        row = run_pages.get(connection, request.caller.account_id, request.params["projectId"], number)
    if row.data_removed_at is not None:
        details = f"What run {number} left was removed on {stamp(row.data_removed_at)} UTC, when its time was over."
        raise GatewayError(NSML_NOT_FOUND, details)
    return row


def _begin(query: LogQuery, log: logs.NodeLog) -> int:
    starts = {name: value for name in ("offset", "tail", "since") if (value := getattr(query, name)) is not None}
    if len(starts) > 1:
        _, second, *_ = starts
        details = f"{' and '.join(starts)} each say where to begin; give one of them."
        raise InvalidFieldError(second, str(starts[second]), "choice", details)
    if query.tail is not None:
        return log.offset_of_tail(query.tail)
    if query.since is not None:
        return log.offset_since(_time(query.since))
    return query.offset or 0


def _time(text: str) -> float:
    try:
        if text.isascii() and text.isdigit() and len(text) <= 12:
            return float(text)
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        details = f"since is {text[:40]!r}; give seconds since 1970, or a time such as 2026-01-31T12:00:00."
        raise InvalidFieldError("since", text, "range", details) from error


def _stream(request: Request, row: RunRow, node: int, offset: int, needle: bytes) -> LogStream:
    runs_root, database = request.context.settings.runs_root, request.context.database
    account_id = request.caller.account_id

    def ask() -> RunNow:
        with database.read() as connection:
            now = run_pages.get(connection, account_id, row.project_id, row.number)
        return RunNow(now.attempt, now.state.is_final)

    return LogStream((row.id, node), lambda: logs.LogTail(runs_root, row.id, row.attempt, node), ask, offset, needle)


_RUN = "/projects/{projectId}/runs/{runName}"
OPERATIONS: tuple[Operation, ...] = (
    operation(
        "get_run_logs", "GET", f"{_RUN}/logs", "Read or follow the log of a node.", get_logs, kind="stream",
        query=LogQuery, content_type="text/plain",
        response_headers=(
            ("x-start-offset", "Offset of the first byte that was looked at."),
            ("x-next-offset", "Offset to go on from; not with follow, where every byte counts one."),
            ("x-log-end", "`true` when nothing more is there now; not with follow."),
            ("x-log-complete", "`true` when nothing more will come; not with follow."),
        ),
    ),
    operation(
        "get_run_metrics", "GET", f"{_RUN}/metrics", "Get the curves and summaries of a run's metrics.", get_metrics,
        response=MetricsBody, query=MetricsQuery,
    ),
    operation(
        "list_run_artifacts", "GET", f"{_RUN}/artifacts", "List what a run's nodes left in NSML_OUTPUT_DIR.",
        list_artifacts, response=ArtifactList,
    ),
    operation(
        "get_run_artifact", "GET", f"{_RUN}/artifacts/{{node}}/{{path...}}", "Get a file that a node left.", get_artifact,
        kind="download", content_type="application/octet-stream",
    ),
)  # fmt: skip
