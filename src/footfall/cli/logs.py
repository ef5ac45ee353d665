"""``footfall logs``: of runs, and of the jobs that make features, tasks, task runs and profiles."""

import click

from footfall.cli import output
from footfall.cli.context import Command, open_client
from footfall.cli.follow import node_numbers, parse_since, print_log
from footfall.cli.verbs import KINDS, resources


@click.command(cls=Command)
@click.argument("kind", metavar="[feature|task|task-run|profile]")
@click.argument("which", metavar="PROJECT/NUMBER | ID | NAME", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on until it has ended.")
@click.option("--node", "nodes", type=int, multiple=True, metavar="N", help="Of this node of a run; all if not given.")
@click.option("--tail", type=click.IntRange(0), metavar="N", help="Begin with the last N lines.")
@click.option("--since", metavar="TIME", help="Begin with what was written since: 90s, 10m, 2h, 3d, or a UTC time.")
@click.option("--grep", metavar="TEXT", help="Only lines that hold TEXT.")
def logs(
    kind: str,
    which: str | None,
    follow: bool,
    nodes: tuple[int, ...],
    tail: int | None,
    since: str | None,
    grep: str | None,
) -> None:
    """Print the log of a run, or of the job that makes a feature, task, task run or profile.

    Several nodes are shown line by line as they come, each line behind its node's number.
    """
    if which is not None and kind not in KINDS:
        raise click.UsageError(f"{kind!r} is none of {', '.join(KINDS)}; a run is one word: PROJECT/NUMBER.")
    if which is not None and (nodes or tail is not None or since or grep):
        raise click.UsageError("--node, --tail, --since and --grep are for the logs of runs.")
    if tail is not None and since is not None:
        raise click.UsageError("--tail and --since both say where to begin; give one.")
    with open_client() as client:
        if which is None:
            begin = None if since is None else parse_since(since)
            run = client.runs.find(kind)
            print_log(client, run, node_numbers(run, nodes), tail=tail, since=begin, grep=grep, follow=follow)
            return
        found = resources(client, kind).find(which)
        with output.LogPrinter(id=found.id) as printer:
            for piece in client.log(found, follow=follow):
                printer.show(piece)
