"""``footfall metrics | artifacts``: what runs left."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from footfall.cli import output
from footfall.cli.context import Command, Group, choices, find_run, open_client
from footfall.cli.files import fetch, size_text
from footfall.cli.show import moment, show_list

if TYPE_CHECKING:
    from footfall.client.nsml_replies import Curve

BARS = "▁▂▃▄▅▆▇█"
BAR_POINTS = 32


@click.command(cls=Command)
@click.argument("which", metavar="PROJECT/NUMBER")
@click.option("--key", "keys", multiple=True, metavar="KEY", help="Only this key; again for more.")
@click.option("--points", "max_points", type=click.IntRange(4, 100_000), default=1000, help="Points of a curve in --json.")
def metrics(which: str, keys: tuple[str, ...], max_points: int) -> None:
    """Show the metrics that a run posted to $NSML_METRIC_API."""
    with open_client() as client:
        run_ = find_run(client, which)
        posted = client.runs.metrics(run_, keys=keys, max_points=max_points if choices().json else BAR_POINTS)
    if choices().json:
        output.json_value(posted.wire)
        return
    curves = {curve.key: curve for curve in reversed(posted.curves)}  # that of node 0, where several post one key
    output.table(
        ["KEY", "LAST", "MIN", "MAX", "POINTS", "NOT FINITE", "CURVE"],
        [
            [key, _number(one.last), _number(one.min), _number(one.max), one.count, one.non_finite, _bars(curves.get(key))]
            for key, one in posted.summary.items()
            if not keys or key in keys
        ],
        numbers=[1, 2, 3, 4, 5],
        empty=f"{run_.name} has posted no metrics; a program posts JSON objects to $NSML_METRIC_API.",
    )
    if posted.dropped_points:
        output.note(f"{posted.dropped_points:,} points could not be kept: the disk was full.")


@click.group(cls=Group)
def artifacts() -> None:
    """Artifacts: files that a run left in $NSML_OUTPUT_DIR."""


@artifacts.command("list")
@click.argument("which", metavar="PROJECT/NUMBER")
def list_artifacts(which: str) -> None:
    """List a run's artifacts."""
    with open_client() as client:
        files = client.runs.artifacts(find_run(client, which))
    show_list(
        files,
        ["NODE", "PATH", "SIZE", "MODIFIED (UTC)"],
        [[one.node, one.path, size_text(one.size_bytes), moment(one.modified_at)] for one in files],
        numbers=[0, 2],
        empty="It left no artifacts; a program writes them below $NSML_OUTPUT_DIR.",
    )


@artifacts.command("get")
@click.argument("which", metavar="PROJECT/NUMBER")
@click.argument("path")
@click.argument("file", metavar="[FILE|-]", required=False)
@click.option("--node", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="The node that left it.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def get_artifact(which: str, path: str, file: str | None, node: int, force: bool) -> None:
    """Fetch an artifact into a file (its own name by default) or to the standard output."""
    with open_client() as client:
        run_ = find_run(client, which)
        fetch(client.runs.get_artifact(run_, path, node), file, path, force=force)


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
