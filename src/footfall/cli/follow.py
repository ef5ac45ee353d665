"""``footfall logs``, and following a run: one node as it is, several with a prefix a line; why a run has not started yet."""

import math
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from footfall.cli import output
from footfall.cli.context import Command, choices, find_run, open_client
from footfall.cli.verbs import KINDS, resources
from footfall.errors import FootfallError, InputError
from footfall.lines import terminal_lines, whole_lines

if TYPE_CHECKING:
    from footfall.client import Client
    from footfall.client.nsml_replies import Run

POLL_INTERVAL_S = 0.5
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@click.command(cls=Command)
@click.argument("words", metavar="PROJECT/NUMBER... | feature|task|task-run|profile ID|NAME", nargs=-1, required=True)
@click.option("--follow", "-f", is_flag=True, help="Go on until it has ended.")
@click.option("--node", "nodes", type=int, multiple=True, metavar="N", help="Of this node of a run; all if not given.")
@click.option("--tail", type=click.IntRange(0), metavar="N", help="Begin with the last N lines.")
@click.option("--since", metavar="TIME", help="Begin with what was written since: 90s, 10m, 2h, 3d, or a UTC time.")
@click.option("--grep", metavar="TEXT", help="Only lines that hold TEXT.")
def logs(
    words: tuple[str, ...], follow: bool, nodes: tuple[int, ...], tail: int | None, since: str | None, grep: str | None
) -> None:
    """Print the log of runs, or of the job that makes a feature, task, task run or profile.

    Several runs and nodes are shown line by line as they come, each line behind the run's name and the node's number.
    """
    kind, *which = words
    if kind in KINDS and len(which) != 1:
        raise click.UsageError(f"Name one {kind}: footfall logs {kind} ID or NAME.")
    if kind in KINDS and (nodes or tail is not None or since or grep):
        raise click.UsageError("--node, --tail, --since and --grep are for the logs of runs.")
    if kind not in KINDS and which and not all("/" in word or word.isdigit() for word in words):
        raise click.UsageError(f"{kind!r} is none of {', '.join(KINDS)}; a run is one word: PROJECT/NUMBER.")
    if tail is not None and since is not None:
        raise click.UsageError("--tail and --since both say where to begin; give one.")
    with open_client() as client:
        if kind not in KINDS:
            begin = None if since is None else parse_since(since)
            runs = [find_run(client, word) for word in dict.fromkeys(words)]
            sources = [(run, node) for run in runs for node in node_numbers(run, nodes)]
            print_log(client, sources, tail=tail, since=begin, grep=grep, follow=follow)
            return
        resource = resources(client, kind).find(which[0])
        with output.LogPrinter(id=resource.id) as printer:
            for chunk in client.log(resource, follow=follow):
                printer.show(chunk)


def print_log(client: "Client", sources: list[tuple["Run", int]], **how: Any) -> None:
    """Print the logs of nodes of runs; ``how`` is as for ``client.runs.log``."""
    is_one_run = len({run.name for run, _ in sources}) == 1
    with ExitStack() as stack:
        printers = [stack.enter_context(output.LogPrinter(run=run.name, node=node)) for run, node in sources]
        if len(sources) == 1:
            chunks = client.runs.log(sources[0][0], node=sources[0][1], **how)
            is_picked = how.get("grep") or (how.get("tail") is not None and not how.get("follow"))
            if is_picked and not choices().json:
                chunks = terminal_lines(chunks, redraw_s=math.inf, needle=(how.get("grep") or "").encode())
            for chunk in chunks:
                printers[0].show(chunk)
            return
        for index, line in _interleaved(client, sources, how):
            run, node = sources[index]
            name = f"{node}" if is_one_run else run.name if (run.node_count or 1) == 1 else f"{run.name} {node}"
            printers[index].show(line if choices().json else f"[{name}] ".encode() + line)


def duration(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Return the seconds of ``90s``, ``10m``, ``2h`` or ``3d``: the callback of options that take them."""
    if value is None:
        return None
    number, unit = value[:-1], value[-1:]
    if not (number.isascii() and number.isdigit() and unit in _UNITS):
        raise click.BadParameter(f"{value!r} is no time: give 90s, 10m, 2h or 3d.")
    return int(number) * _UNITS[unit]


def parse_since(text: str, now: datetime | None = None) -> datetime:
    """Return the time that ``90s``, ``10m``, ``2h``, ``3d`` (ago) or an ISO time names; one without a zone is UTC.

    Raises:
        InputError: it reads differently.
    """
    number, unit = text[:-1], text[-1:]
    if number.isascii() and number.isdigit() and unit in _UNITS:
        return (now or datetime.now(UTC)) - timedelta(seconds=int(number) * _UNITS[unit])
    try:
        time_ = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text!r} is no time: give 90s, 10m, 2h, 3d or 2026-01-31T12:00.") from error
    return time_ if time_.tzinfo is not None else time_.replace(tzinfo=UTC)


@contextmanager
def report_pending_reason(client: "Client", run: "Run") -> Iterator[None]:
    """While the block runs, print to stderr why a run has not started yet; silent once it has."""
    over = threading.Event()

    def watch() -> None:
        shown = ""
        while not over.wait(POLL_INTERVAL_S):
            try:
                now = client.runs.get(run.project_id, run.number)
            except FootfallError:
                continue  # the log follower reports a server that stays unreachable
            if now.state not in ("registered", "pending"):
                return
            if now.message and now.message != shown:
                shown = now.message
                output.note(f"{run.name} {shown}")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=POLL_INTERVAL_S)


def _interleaved(client: "Client", sources: list[tuple["Run", int]], how: dict[str, Any]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of several nodes as they come, each with the index of its source."""
    lines: queue.Queue[tuple[int, bytes | FootfallError | None]] = queue.Queue(maxsize=10_000)
    is_json = choices().json

    def read(index: int) -> None:
        run, node = sources[index]
        try:
            chunks = client.runs.log(run, node=node, **how)
            for line in whole_lines(chunks) if is_json else terminal_lines(chunks, needle=(how.get("grep") or "").encode()):
                lines.put((index, line))
        except FootfallError as error:
            lines.put((index, error))
        finally:
            lines.put((index, None))

    for index in range(len(sources)):
        threading.Thread(target=read, args=(index,), daemon=True).start()
    left = len(sources)
    while left:
        index, line = lines.get()
        if isinstance(line, FootfallError):
            raise line
        if line is None:
            left -= 1
        else:
            yield index, line


def node_numbers(run: "Run", requested: tuple[int, ...]) -> list[int]:
    """Return the requested nodes, or all.

    Raises:
        click.UsageError: the run has no such node.
    """
    n_nodes = run.node_count or 1
    for node in requested:
        if not 0 <= node < n_nodes:
            raise click.UsageError(f"{run.name} has {n_nodes} nodes, counted from 0; there is no node {node}.")
    return list(requested) or list(range(n_nodes))


def wait_quietly(client: "Client", run: "Run", timeout_s: float | None) -> "Run":
    """Wait until a run has ended, with a status line."""
    with output.ProgressLine(run.name) as progress:

        def show(now: "Run") -> None:
            words = now.message if now.state in ("registered", "pending") and now.message else now.state
            progress.show(words.replace("_", " "))

        started_at = time.monotonic()
        ended = client.runs.wait(run, show, timeout_s)
        progress.show(f"{ended.state} after {time.monotonic() - started_at:.0f} s")
        return ended
