"""``footfall exec``: a shell in a live node, on the server's own machine."""

import click

from footfall.cli.command_line import CommandLine
from footfall.cli.context import choices, find_run, open_client
from footfall.errors import NotFoundError, WrongStateError


@click.command(cls=CommandLine, n_own=1, name="exec")
@click.option("--node", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="The node to enter.")
@click.argument("which", metavar="PROJECT/NUMBER")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def exec_(node: int, which: str, command: tuple[str, ...]) -> None:
    """Run COMMAND, or a shell, in a live node of a run.

    It sees what the run's own command sees, with the same user and the same limits, and ends with it. Only on the server's
    machine, by who may read the server's home; the exit code is that of COMMAND.
    """
    from footfall.cli.exec_client import enter
    from footfall.config import load_settings
    from footfall.offline import find_node

    with open_client() as client:
        run = find_run(client, which)
    directory = find_node(load_settings(choices().home), run.project_id, int(run.number), node)
    try:
        code = enter(directory, command)
    except NotFoundError as error:
        message = f"Node {node} of {run.name} does not run on this machine: the run is {run.state}."
        raise WrongStateError("run", run.name, run.state, ["in_progress"], message) from error
    raise click.exceptions.Exit(code)
