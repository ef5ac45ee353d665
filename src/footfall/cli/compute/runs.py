"""``footfall runs | stop``: list, show, wait for, repeat, stop and delete runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from footfall.cli import output
from footfall.cli.command_line import CommandLine
from footfall.cli.compute.code import describe, send_code
from footfall.cli.compute.run import (
    CODE_LIMIT_MB,
    OWN_FAILURE,
    announce,
    end,
    find_image,
    limit_options,
    shell_line,
    variable_options,
)
from footfall.cli.compute.variables import read_variable_files, read_variables
from footfall.cli.context import Command, Group, choices, find_run, open_client
from footfall.cli.failures import each
from footfall.cli.follow import duration, wait_quietly
from footfall.cli.show import done, duration_text, moment, show_list
from footfall.errors import ServiceError

if TYPE_CHECKING:
    from footfall.client import Client
    from footfall.client.nsml_replies import Run
    from footfall.contract.runs import ImageType

LIVE_STATES = ("registered", "pending", "in_progress")
STATES = (*LIVE_STATES, "completed", "failed", "cancelled")


@click.group(cls=Group)
def runs() -> None:
    """Runs: list, show, delete, restart."""


@runs.command("list")
@click.option("--project", "project_", metavar="ID|NAME", help="Only of this project.")
@click.option("--status", type=click.Choice(STATES), help="Only in this state.")
@click.option("--type", "run_type", type=click.Choice(["TRAIN", "NOTEBOOK"]), help="Only of this type.")
@click.option("--command", metavar="TEXT", help="Whose command holds TEXT.")
@click.option("--note", metavar="TEXT", help="Whose note holds TEXT.")
@click.option("--product", type=int, metavar="CODE", help="Of this product.")
@click.option("--creator", metavar="NAME", help="Of this creator, as the list shows it.")
@click.option("--reason", metavar="WORD", help="That failed for this reason, such as out_of_memory.")
@click.option("--longer-than", "min_s", metavar="TIME", callback=duration, help="That took at least so long: 90s, 10m, 2h, 3d.")
@click.option("--shorter-than", "max_s", metavar="TIME", callback=duration, help="That took at most so long.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="The newest N.")
@click.option("--all", "all_", is_flag=True, help="All there are.")
def list_runs(project_: str | None, limit: int, all_: bool, **only: Any) -> None:
    """List runs, newest first."""
    with open_client() as client:
        id = client.projects.find(project_).id if project_ else None
        runs_ = list(client.runs.list(id, limit=None if all_ else limit, **only))
    show_list(
        runs_,
        ["RUN", "STATE", "CREATED (UTC)", "TOOK", "PRODUCT", "CREATOR", "REASON", "NOTE", "COMMAND"],
        [
            [
                one.name, one.state, moment(one.created_at), duration_text(one.took_s), one.product, one.creator,
                one.reason or "", one.note, one.command,
            ]
            for one in runs_
        ],
        numbers=[3],
        empty="There are no such runs; `footfall run --project PROJECT -- COMMAND` creates one.",
    )  # fmt: skip


@runs.command("show")
@click.argument("which", metavar="PROJECT/NUMBER")
def show_run(which: str) -> None:
    """Show a run and its nodes."""
    with open_client() as client:
        run_ = find_run(client, which)
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
        end(wait_quietly(client, find_run(client, which), timeout_s))


@runs.command("restart", cls=CommandLine, n_own=1)
@click.argument("which", metavar="PROJECT/NUMBER")
@click.option("--product", type=int, metavar="CODE", help="Another server product.")
@click.option("--nodes", type=click.IntRange(1), metavar="N", help="Another number of nodes.")
@click.option("--image", "image_", metavar="PATH", help="Another image.")
@click.option("--code", type=click.Path(path_type=Path), metavar="DIR", help="The files of this directory instead of its code.")
@variable_options
@limit_options
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def restart_run(which: str, image_: str | None, code: Path | None, command: tuple[str, ...], **other: Any) -> None:
    """Create a new run of the same specification and code, but for what the options and COMMAND change.

    Variables are added to those of before, or take the place of some.
    """
    from footfall.contract.runs import RunChanges

    hidden = read_variable_files(other["secret_files"]) | read_variables(other["secrets"])
    variables = read_variable_files(other["env_files"]) | read_variables(other["environment"]) | hidden
    with open_client() as client:
        run_ = find_run(client, which)
        image_type, image_path = find_image(client, image_) if image_ else (None, None)
        digest, commit = send_code(client, run_.project_id, code, CODE_LIMIT_MB * 1_000_000) if code else (None, None)
        changes = RunChanges(
            gpu_svr_code=other["product"],
            node_count=other["nodes"],
            image_path=image_path,
            image_type=cast("ImageType | None", image_type),
            command=shell_line(command),
            envs=dict(variables) or None,
            secret_envs=list(hidden) or None,
            note=other["note"],
            code_digest=digest,
            git_commit=commit.id if commit else None,
            git_modified=commit.is_modified if commit else None,
            priority=other["priority"],
            timeout_seconds=other["timeout_s"],
        )
        announce(client.runs.restart(run_, changes))


@runs.command("delete")
@click.argument("which", metavar="PROJECT/NUMBER...", nargs=-1, required=True)
def delete_runs(which: tuple[str, ...]) -> None:
    """Delete runs that have ended, with their logs, metrics and artifacts."""
    with open_client() as client:

        def delete(name: str) -> None:
            client.runs.delete(find_run(client, name))
            done(f"{name} is deleted.", run=name, action="delete")

        each(which, delete)


@click.command(cls=Command)
@click.argument("which", metavar="[PROJECT/NUMBER...]", nargs=-1)
@click.option("--project", "project_", metavar="ID|NAME", help="Instead of names: all of this project that have not ended.")
@click.option("--status", type=click.Choice(LIVE_STATES), help="Of those, the ones in this state; with --project or --all.")
@click.option("--all", "all_", is_flag=True, help="Instead of names: all of the account that have not ended.")
@click.option("--wait", is_flag=True, help="Wait until nothing of them is left.")
def stop(which: tuple[str, ...], project_: str | None, status: str | None, all_: bool, wait: bool) -> None:
    """Stop runs: each that is named, or those that --project, --status and --all choose."""
    if bool(which) == bool(project_ or all_) or (status and which):
        raise click.UsageError("Name the runs to stop, or choose them with --project or --all; --status narrows a choice.")
    with open_client() as client:
        chosen = {} if which else _live_runs(client, project_, status)
        if not which and not chosen:
            output.note("There are no such runs that have not ended.")
        stopped: list[Run] = []

        def stop_one(name: str) -> None:
            now = _stopped(client, chosen[name]) if name in chosen else client.runs.stop(find_run(client, name))
            stopped.append(now)
            if not wait:
                _report_stop(now)

        try:
            each(which or chosen, stop_one)
        finally:
            for one in stopped if wait else ():
                _report_stop(wait_quietly(client, one, None))


def _live_runs(client: "Client", project: str | None, status: str | None) -> dict[str, "Run"]:
    """Return what has not ended, by name: first what waits, so that nothing starts in the place of what is stopped."""
    id = client.projects.find(project).id if project else None
    states = [status] if status else LIVE_STATES
    return {one.name: one for state in states for one in client.runs.list(id, status=state)}


def _stopped(client: "Client", run: "Run") -> "Run":
    """Stop a run that was live when it was listed; one that ended meanwhile is returned as it is."""
    try:
        return client.runs.stop(run)
    except ServiceError:
        now = client.runs.get(run.project_id, run.number)
        if not now.is_final:
            raise
        return now


def _report_stop(now: "Run") -> None:
    word = now.state if now.is_final else "being stopped"
    done(f"{now.name} is {word}.", run=now.name, action="stop", status=now.status)


def _show(run_: "Run") -> None:
    shown = {
        "run": run_.name,
        "state": run_.state,
        "message": run_.message,
        "reason": run_.reason,
        "exit code": run_.exit_code,
        "command": run_.command,
        "commit": run_.git_commit and describe(run_.git_commit, run_.git_modified),
        "product": f"{run_.product_code}: {run_.product}",
        "nodes": run_.node_count,
        "image": run_.image,
        "environment": " ".join(f"{name}={value}".replace("\n", "\\n") for name, value in run_.environment.items()),
        "note": run_.note,
        "creator": run_.creator,
        "attempts": run_.attempts,
        "created (UTC)": moment(run_.created_at),
        "started (UTC)": moment(run_.started_at),
        "ended (UTC)": moment(run_.ended_at),
        "took": duration_text(run_.took_s),
    }
    output.record({name: value for name, value in shown.items() if value not in (None, "")})
