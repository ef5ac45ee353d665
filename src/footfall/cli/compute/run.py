"""``footfall run``: a command on nodes, and the options that it shares with ``footfall runs restart``."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from footfall.cli import output
from footfall.cli.command_line import CommandLine
from footfall.cli.compute.code import send_code
from footfall.cli.compute.variables import read_variable_files, read_variables
from footfall.cli.context import PROJECT_VARIABLE, choices, open_client
from footfall.cli.follow import node_numbers, print_log, report_pending_reason, wait_quietly
from footfall.cli.show import show_made
from footfall.errors import InputError

if TYPE_CHECKING:
    from footfall.client import Client
    from footfall.client.nsml_replies import Run

OWN_FAILURE = 125
TIMED_OUT = 124  # as timeout(1) has it
DETACHED = 130
CODE_LIMIT_MB = 100
F = TypeVar("F", bound=Callable[..., Any])

project_option = click.option(
    "--project",
    "project_",
    required=True,
    envvar=PROJECT_VARIABLE,
    show_envvar=True,
    metavar="ID|NAME",
    help="The project that it belongs to.",
)
_LIMITS = [
    click.option("--note", metavar="TEXT", help="A description."),
    click.option("--priority", type=click.IntRange(-100, 100), metavar="N", help="Among the project's own runs; -100 to 100."),
    click.option("--timeout", "timeout_s", type=click.IntRange(1), metavar="S", help="End it after S seconds."),
]
_VARIABLES = [
    click.option(
        "--env",
        "environment",
        multiple=True,
        metavar="NAME[=VALUE]",
        help="A variable of the command; NAME alone takes the value from here. Again for more.",
    ),
    click.option(
        "--env-file",
        "env_files",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        multiple=True,
        metavar="FILE",
        help="Variables, NAME=VALUE a line; --env wins.",
    ),
    click.option(
        "--secret",
        "secrets",
        multiple=True,
        metavar="NAME[=VALUE]",
        help="As --env, kept encrypted and never shown; NAME alone keeps the value from this machine's other users.",
    ),
    click.option(
        "--secret-file",
        "secret_files",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        multiple=True,
        metavar="FILE",
        help="As --env-file, kept encrypted and never shown; --secret wins.",
    ),
]


def options_of(group: list[Callable[[F], F]]) -> Callable[[F], F]:
    """Return a decorator that adds options in their order."""

    def add(function: F) -> F:
        for option in reversed(group):
            function = option(function)
        return function

    return add


variable_options, limit_options = options_of(_VARIABLES), options_of(_LIMITS)


@click.command(cls=CommandLine)
@project_option
@click.option("--product", type=int, default=1, show_default=True, metavar="CODE", help="Server product: `footfall products`.")
@click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="How many nodes.")
@click.option("--image", "image_", metavar="PATH", help="Image: `footfall image list`; the first one if not given.")
@variable_options
@click.option(
    "--code", type=click.Path(path_type=Path), default=Path(), metavar="DIR", help="Directory to send; this one by default."
)
@click.option(
    "--code-limit",
    "code_limit_mb",
    type=click.IntRange(1),
    default=CODE_LIMIT_MB,
    show_default=True,
    metavar="MB",
    help="Send no more than this, packed; the server has a limit of its own.",
)
@click.option("--no-code", is_flag=True, help="Send nothing; the command starts in the project's storage.")
@click.option("--volume", "volumes", type=int, multiple=True, metavar="NO", help="A block storage that it holds; again for more.")
@limit_options
@click.option("--wait", is_flag=True, help="Show no log, only how it is, until it has ended.")
@click.option("--detach", "-d", is_flag=True, help="Print its name and return at once.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def run(
    project_: str,
    product: int,
    nodes: int,
    image_: str | None,
    environment: tuple[str, ...],
    env_files: tuple[Path, ...],
    secrets: tuple[str, ...],
    secret_files: tuple[Path, ...],
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

    Within a git work tree these are the files that git has or would add, less what .nsmlignore names; `footfall code list`
    shows them. The log is followed until the run ends; the exit code is the command's (125 when Footfall itself failed;
    124 when the time limit ended a command that then exited with 0, 1 when something else did). Ctrl-C leaves the run going.

    COMMAND with one word is a line for the shell, so quote it to use pipes: footfall run --project p -- 'a | b'. A product of
    type DEV takes no command: its nodes are held until `footfall stop`.
    """
    choices().failure_code = OWN_FAILURE
    hidden = read_variable_files(secret_files) | read_variables(secrets)
    variables = read_variable_files(env_files) | read_variables(environment) | hidden
    with open_client() as client:
        id = client.projects.find(project_).id
        image_type, image_path = find_image(client, image_)
        digest, commit = None, None
        if command and not no_code:
            digest, commit = send_code(client, id, code, code_limit_mb * 1_000_000)
        line = shell_line(command)
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
            git_commit=commit.id if commit else None,
            git_modified=commit.is_modified if commit else None,
            **options,
        )
        if detach or line is None:
            announce(made)
            return
        _follow_to_end(client, made, wait=wait)


def shell_line(command: tuple[str, ...]) -> str | None:
    """Return a command as a line for the shell: one word as it is, several as quoted words; None for none."""
    if not command:
        return None
    return command[0] if len(command) == 1 else shlex.join(command)


def _follow_to_end(client: "Client", made: "Run", *, wait: bool) -> None:
    """Follow a run until it has ended, and exit as it did; Ctrl-C leaves it running."""
    try:
        if wait:
            ended = wait_quietly(client, made, None)
        else:
            output.note(f"{made.name} is created.")
            with report_pending_reason(client, made):
                print_log(client, [(made, node) for node in node_numbers(made, ())], follow=True)
            ended = client.runs.wait(made)
    except KeyboardInterrupt:
        output.note(f"\n{made.name} goes on. `footfall logs -f {made.name}` follows it, `footfall stop {made.name}` stops it.")
        raise click.exceptions.Exit(DETACHED) from None
    end(ended)


def end(ended: "Run") -> None:
    """Report how a run ended, and exit as it did."""
    if choices().json:
        output.json_value(ended.wire, compact=True)  # a line like those of the log before it
    elif ended.state == "completed":
        message = ended.message or ""
        more = "" if message.startswith("Every node") else f" {message}".rstrip()  # such as what was not kept
        output.note(f"{ended.name} is completed.{more}")
    else:
        words = "failed" if ended.state == "failed" else f"is {ended.state}"
        output.problem(f"{ended.name} {words}. {ended.message or ''}".rstrip())
    raise click.exceptions.Exit(0 if ended.state == "completed" else ended.exit_code or _code_without(ended))


def _code_without(ended: "Run") -> int:
    """Return the exit code for a run that did not complete, though its command ended with 0 or never did."""
    if ended.exit_code is None:
        return OWN_FAILURE
    return TIMED_OUT if ended.reason == "timed_out" else 1


def announce(made: "Run") -> None:
    """Show the name of a new run, and what to do with it next."""
    hint = f"`footfall logs -f {made.name}` follows it, `footfall stop {made.name}` stops it."
    show_made(made.wire, made.name, hint)


def find_image(client: "Client", path: str | None) -> tuple[str, str]:
    """Return the type and path of an image: the first one that is offered where none is named."""
    offered = client.catalogue.images()
    for one in offered:
        if path in (None, one.path):
            return one.type, one.path
    if path is None:
        raise InputError("This server offers no images; its operator names some in the settings.")
    return "BASE", path  # perhaps an alias, or one that the server can fetch
