"""``footfall run | runs | stop | metrics | artifacts | exec``: commands on nodes."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from footfall.cli import output
from footfall.cli.context import Command, Group, choices, open_client
from footfall.cli.files import QUIET_S, fetch, size_text
from footfall.cli.follow import node_numbers, print_log, report_pending_reason, wait_quietly
from footfall.cli.show import done, moment, show_list, show_made
from footfall.errors import InputError

if TYPE_CHECKING:
    from footfall.client import Client
    from footfall.client.nsml_replies import Curve, Run

OWN_FAILURE = 125
DETACHED = 130
STATES = ("registered", "pending", "in_progress", "completed", "failed", "cancelled")
BARS = "▁▂▃▄▅▆▇█"
BAR_POINTS = 32


@click.command(cls=Command, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--project", "project_", required=True, metavar="ID|NAME", help="The project that it belongs to.")
@click.option("--product", type=int, default=1, show_default=True, metavar="CODE", help="Server product: `footfall products`.")
@click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="How many nodes.")
@click.option("--image", "image_", metavar="PATH", help="Image: `footfall image list`; the first one if not given.")
@click.option("--env", "environment", multiple=True, metavar="NAME=VALUE", help="A variable of the command; again for more.")
@click.option("--secret", "secrets", multiple=True, metavar="NAME=VALUE", help="As --env, kept encrypted and never shown.")
@click.option(
    "--code", type=click.Path(path_type=Path), default=Path(), metavar="DIR", help="Directory to send; this one by default."
)
@click.option(
    "--code-limit",
    "code_limit_mb",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    metavar="MB",
    help="Send no more than this, packed; the server has a limit of its own.",
)
@click.option("--no-code", is_flag=True, help="Send nothing; the command starts in the project's storage.")
@click.option("--volume", "volumes", type=int, multiple=True, metavar="NO", help="A block storage that it holds; again for more.")
@click.option("--note", metavar="TEXT", help="A description.")
@click.option("--priority", type=click.IntRange(-100, 100), metavar="N", help="Among the project's own runs; -100 to 100.")
@click.option("--timeout", "timeout_s", type=click.IntRange(1), metavar="S", help="End it after S seconds.")
@click.option("--wait", is_flag=True, help="Show no log, only how it is, until it has ended.")
@click.option("--detach", "-d", is_flag=True, help="Print its name and return at once.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def run(
    project_: str,
    product: int,
    nodes: int,
    image_: str | None,
    environment: tuple[str, ...],
    secrets: tuple[str, ...],
    code: Path,
    code_limit_mb: int,
    no_code: bool,
    volumes: tuple[int, ...],
    wait: bool,
    detach: bool,
    command: tuple[str, ...],
    **options: Any,
) -> None:
    """Run COMMAND on nodes of a server product, with the files of this directory.

    What .gitignore and .nsmlignore name is not sent. The log is followed until the run ends; the exit code is the
    command's (125 when Footfall itself failed). Ctrl-C leaves the run going.

    COMMAND with one word is a line for the shell, so quote it to use pipes: footfall run --project p -- 'a | b'. A product of
    type DEV takes no command: its nodes are held until `footfall stop`.
    """
    choices().failure_code = OWN_FAILURE
    hidden = dict(_variable(text) for text in secrets)
    variables = dict(_variable(text) for text in environment) | hidden
    with open_client() as client:
        id = client.projects.find(project_).id
        image_type, image_path = _image(client, image_)
        digest = None if no_code or not command else _send_code(client, id, code, code_limit_mb * 1_000_000)
        line = (command[0] if len(command) == 1 else shlex.join(command)) if command else None
        made = client.runs.create(
            id,
            line,
            product=product,
            nodes=nodes,
            image=image_path,
            image_type=image_type,
            environment=variables,
            secrets=list(hidden),
            volumes=volumes,
            code_digest=digest,
            **options,
        )
        if detach or line is None:
            _announce(made)
            return
        _follow_to_end(client, made, wait=wait)


@click.group(cls=Group)
def runs() -> None:
    """Runs: list, show, delete, restart."""


@runs.command("list")
@click.option("--project", "project_", metavar="ID|NAME", help="Only of this project.")
@click.option("--status", type=click.Choice(STATES), help="Only in this state.")
@click.option("--type", "run_type", type=click.Choice(["TRAIN", "NOTEBOOK"]), help="Only of this type.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="The newest N.")
@click.option("--all", "all_", is_flag=True, help="All there are.")
def list_runs(project_: str | None, status: str | None, run_type: str | None, limit: int, all_: bool) -> None:
    """List runs, newest first."""
    with open_client() as client:
        id = client.projects.find(project_).id if project_ else None
        runs_ = list(client.runs.list(id, status=status, run_type=run_type, limit=None if all_ else limit))
    show_list(
        runs_,
        ["RUN", "STATE", "TYPE", "CREATED (UTC)", "CREATOR"],
        [[one.name, one.state, one.run_type, moment(one.created_at), one.creator] for one in runs_],
        empty="There are no such runs; `footfall run --project PROJECT -- COMMAND` creates one.",
    )


@runs.command("show")
@click.argument("which", metavar="PROJECT/NUMBER")
def show_run(which: str) -> None:
    """Show a run and its nodes."""
    with open_client() as client:
        run_ = client.runs.find(which)
        nodes = client.runs.nodes(run_)
    if choices().json:
        output.json_value({**run_.wire, "nodes": [node.wire for node in nodes]})
        return
    _show(run_)
    output.line()
    output.table(
        ["NODE", "STATE", "EXIT", "GPUS"],
        [[node.rank, node.state.removeprefix("NODE_STATE_").lower(), node.exit_code, len(node.gpu_ids)] for node in nodes],
        numbers=[0, 2, 3],
    )


@runs.command("wait")
@click.argument("which", metavar="PROJECT/NUMBER")
@click.option("--timeout", "timeout_s", type=float, metavar="S", help="Give up waiting after S seconds.")
def wait_run(which: str, timeout_s: float | None) -> None:
    """Wait until a run has ended; the exit code is its command's."""
    choices().failure_code = OWN_FAILURE
    with open_client() as client:
        _end(wait_quietly(client, client.runs.find(which), timeout_s))


@runs.command("restart")
@click.argument("which", metavar="PROJECT/NUMBER")
def restart_run(which: str) -> None:
    """Create a new run of the same specification and code."""
    with open_client() as client:
        _announce(client.runs.restart(client.runs.find(which)))


@runs.command("delete")
@click.argument("which", metavar="PROJECT/NUMBER", nargs=-1, required=True)
def delete_runs(which: tuple[str, ...]) -> None:
    """Delete runs that have ended, with their logs, metrics and artifacts."""
    with open_client() as client:
        for name in which:
            client.runs.delete(client.runs.find(name))
            done(f"{name} is deleted.", run=name, action="delete")


@click.command(cls=Command)
@click.argument("which", metavar="PROJECT/NUMBER", nargs=-1, required=True)
@click.option("--wait", is_flag=True, help="Wait until nothing of it is left.")
def stop(which: tuple[str, ...], wait: bool) -> None:
    """Stop runs."""
    with open_client() as client:
        stopped = [client.runs.stop(client.runs.find(name)) for name in which]
        if wait:
            stopped = [wait_quietly(client, one, None) for one in stopped]
    for one in stopped:
        word = one.state if one.is_final else "being stopped"
        done(f"{one.name} is {word}.", run=one.name, action="stop", status=one.status)


@click.command(cls=Command)
@click.argument("which", metavar="PROJECT/NUMBER")
@click.option("--key", "keys", multiple=True, metavar="KEY", help="Only this key; again for more.")
@click.option("--points", "max_points", type=click.IntRange(4, 100_000), default=1000, help="Points of a curve in --json.")
def metrics(which: str, keys: tuple[str, ...], max_points: int) -> None:
    """Show the metrics that a run posted to $NSML_METRIC_API."""
    with open_client() as client:
        run_ = client.runs.find(which)
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
        files = client.runs.artifacts(client.runs.find(which))
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
        run_ = client.runs.find(which)
        fetch(client.runs.get_artifact(run_, path, node), file, path, force=force)


def _follow_to_end(client: "Client", made: "Run", *, wait: bool) -> None:
    """Follow a run until it has ended, and exit as it did; Ctrl-C leaves it running."""
    try:
        if wait:
            ended = wait_quietly(client, made, None)
        else:
            output.note(f"{made.name} is created.")
            with report_pending_reason(client, made):
                print_log(client, made, node_numbers(made, ()), follow=True)
            ended = client.runs.wait(made)
    except KeyboardInterrupt:
        output.note(f"\n{made.name} goes on. `footfall logs -f {made.name}` follows it, `footfall stop {made.name}` stops it.")
        raise click.exceptions.Exit(DETACHED) from None
    _end(ended)


def _end(ended: "Run") -> None:
    if choices().json:
        output.json_value(ended.wire, compact=True)  # a line like those of the log before it
    elif ended.state == "completed":
        output.note(f"{ended.name} is completed.")
    else:
        output.problem(f"{ended.name} is {ended.state}. {ended.message or ''}".rstrip())
    raise click.exceptions.Exit(0 if ended.state == "completed" else ended.exit_code or OWN_FAILURE)


def _announce(made: "Run") -> None:
    hint = f"`footfall logs -f {made.name}` follows it, `footfall stop {made.name}` stops it."
    show_made(made.wire, made.name, hint)


def _show(run_: "Run") -> None:
    shown = {
        "run": run_.name,
        "state": run_.state,
        "message": run_.message,
        "reason": run_.reason,
        "exit code": run_.exit_code,
        "command": run_.command,
        "product": f"{run_.product_code}: {run_.product}",
        "nodes": run_.node_count,
        "image": run_.image,
        "environment": " ".join(f"{name}={value}" for name, value in run_.environment.items()),
        "note": run_.note,
        "creator": run_.creator,
        "attempts": run_.attempts,
        "created (UTC)": moment(run_.created_at),
        "started (UTC)": moment(run_.started_at),
        "ended (UTC)": moment(run_.ended_at),
    }
    output.record({name: value for name, value in shown.items() if value not in (None, "")})


def _send_code(client: "Client", project_id: str, directory: Path, max_bytes: int) -> str:
    from footfall.client.packing import pack

    with output.ProgressLine("code", delay_s=QUIET_S) as progress:
        progress.show("packing")
        with pack(directory.absolute(), max_bytes=max_bytes) as archive:
            size = size_text(archive.size_bytes)
            return client.runs.upload_code(project_id, archive, lambda sent, total: progress.show("sending", sent, total, size))


def _image(client: "Client", path: str | None) -> tuple[str, str]:
    offered = client.catalogue.images()
    for one in offered:
        if path in (None, one.path):
            return one.type, one.path
    if path is None:
        raise InputError("This server offers no images; its operator names some in the settings.")
    return "BASE", path  # perhaps an alias, or one that the server can fetch


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(f"{text!r} should read NAME=VALUE.")
    return name, value


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
