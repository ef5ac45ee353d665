"""``footfall metrics | artifacts``: what runs left."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from footfall.cli import output
from footfall.cli.compute.trees import Remote, fetch_all
from footfall.cli.context import Command, Group, choices, find_run, open_client
from footfall.cli.files import fetch, size_text
from footfall.cli.show import moment, show_list
from footfall.errors import InputError, ServiceError

if TYPE_CHECKING:
    from footfall.client import Client
    from footfall.client.nsml_replies import Artifacts, Curve, Run

BARS = "▁▂▃▄▅▆▇█"
BAR_POINTS = 32
N_LEFT_OUT = 10


@click.command(cls=Command)
@click.argument("which", metavar="PROJECT/NUMBER...", nargs=-1, required=True)
@click.option("--key", "keys", multiple=True, metavar="KEY", help="Only this key; again for more.")
@click.option("--points", "max_points", type=click.IntRange(4, 100_000), default=1000, help="Points of a curve in --json.")
def metrics(which: tuple[str, ...], keys: tuple[str, ...], max_points: int) -> None:
    """Show the metrics that runs posted to $NSML_METRIC_API; of several runs key by key, to compare them."""
    with open_client() as client:
        posted = {
            run_.name: client.runs.metrics(run_, keys=keys, max_points=max_points if choices().json else BAR_POINTS)
            for run_ in (find_run(client, name) for name in dict.fromkeys(which))
        }
    if choices().json:
        wires = {name: one.wire for name, one in posted.items()}
        output.json_value(wires if len(wires) > 1 else next(iter(wires.values())))
        return
    rows = []
    for name, one in posted.items():
        curves = {curve.key: curve for curve in reversed(one.curves)}  # that of node 0, where several post one key
        rows += [
            [key, name, _number(of.last), _number(of.min), _number(of.max), of.count, of.non_finite, _bars(curves.get(key))]
            for key, of in one.summary.items()
            if not keys or key in keys
        ]
    several = len(posted) > 1
    if several:
        order = {key: place for place, key in enumerate(dict.fromkeys(row[0] for row in rows))}
        rows.sort(key=lambda row: order[row[0]])
    output.table(
        ["KEY", *(["RUN"] if several else []), "LAST", "MIN", "MAX", "POINTS", "NOT FINITE", "CURVE"],
        rows if several else [[key, *rest] for key, _, *rest in rows],
        numbers=range(1 + several, 6 + several),
        empty=f"{' and '.join(posted)} posted no metrics; a program posts JSON objects to $NSML_METRIC_API.",
    )
    for name, one in posted.items():
        if one.dropped_points:
            output.note(f"{name}: {one.dropped_points:,} points could not be kept: the disk was full.")


@click.group(cls=Group)
def artifacts() -> None:
    """Artifacts: files that a run left in $NSML_OUTPUT_DIR."""


@artifacts.command("list")
@click.argument("which", metavar="PROJECT/NUMBER")
def list_artifacts(which: str) -> None:
    """List a run's artifacts."""
    with open_client() as client:
        found = client.runs.list_artifacts(find_run(client, which))
    files = found.files
    show_list(
        files,
        ["NODE", "PATH", "SIZE", "MODIFIED (UTC)"],
        [[one.node, one.path, size_text(one.size_bytes), moment(one.modified_at)] for one in files],
        numbers=[0, 2],
        empty="It left no artifacts; a program writes them below $NSML_OUTPUT_DIR.",
    )
    _note_left_out(found)


@artifacts.command("get")
@click.argument("which", metavar="PROJECT/NUMBER")
@click.argument("path", metavar="[PATH|DIR/]", required=False)
@click.argument("file", metavar="[FILE|DIR|-]", required=False)
@click.option("--all", "all_", is_flag=True, help="All that the run left; the argument behind its name is the DIR to write to.")
@click.option("--node", type=click.IntRange(0), metavar="N", help="The node that left it; 0, or with --all each.")
@click.option("--force", is_flag=True, help="Overwrite files.")
def get_artifact(which: str, path: str | None, file: str | None, all_: bool, node: int | None, force: bool) -> None:
    """Fetch an artifact into a file (its own name by default) or to the standard output, or a directory of them.

    A directory is written with what is in it, below its own name by default. With --all everything is written below DIR, by
    default one named after the run; that of several nodes in a directory each: 0/, 1/, and so on.
    """
    if (path is None and not all_) or (all_ and file is not None):
        raise click.UsageError("Name an artifact or a directory of the run, or give --all and perhaps a directory to write to.")
    with open_client() as client:
        run_ = find_run(client, which)
        if all_:
            target = Path(path or run_.name.replace("/", "-"))
            fetch_all(_remotes(client, run_, "", node), target, force=force)
            return
        assert path is not None
        try:
            if not path.endswith("/"):
                fetch(client.runs.get_artifact(run_, path, node or 0), file, path, force=force)
                return
        except ServiceError as error:
            if error.status != 404 or file == "-":
                raise
            missing: ServiceError | None = error
        else:
            missing = None
        files = _remotes(client, run_, path.rstrip("/") + "/", node or 0)
        if not files:
            raise missing or InputError(f"There is no directory {path} of {which}; `footfall artifacts list {which}` shows all.")
        fetch_all(files, Path(file or path.rstrip("/").rpartition("/")[2]), force=force)


def _note_left_out(found: "Artifacts") -> None:
    for one in found.left_out[:N_LEFT_OUT]:
        output.note(f"{one.path} of node {one.node} is left out: {one.reason}.")
    if len(found.left_out) > N_LEFT_OUT:
        output.note(f"… and {len(found.left_out) - N_LEFT_OUT:,} more are left out.")


def _remotes(client: "Client", run: "Run", prefix: str, node: int | None) -> list[Remote]:
    """Return the artifacts whose paths begin so, to be written without that; those of several nodes in a directory each."""
    from footfall.contract.runs import MAX_ARTIFACTS

    found = client.runs.list_artifacts(run)
    chosen = [one for one in found.files if node in (None, one.node) and one.path.startswith(prefix)]
    nodes = {one.node for one in chosen}
    if len(found.files) >= MAX_ARTIFACTS:
        output.note(f"The run left more than the {MAX_ARTIFACTS:,} files that are listed; fetch the others by name.")
    _note_left_out(found)
    return [
        Remote(
            f"{one.node}/{one.path}" if len(nodes) > 1 else one.path.removeprefix(prefix),
            one.size_bytes,
            functools.partial(client.runs.get_artifact, run, one.path, one.node or 0),
        )
        for one in chosen
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _bars(curve: "Curve | None") -> str:
    """Return a curve as a line of bars."""
    values: Sequence[float] = [value for _, value, _ in curve.points] if curve is not None else ()
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    step = (high - low) / (len(BARS) - 1) or 1.0
    return "".join(BARS[round((value - low) / step)] for value in values)
