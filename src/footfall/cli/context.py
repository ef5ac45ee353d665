"""What every command shares: the options ``--home`` and ``--json``, and the client."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from footfall.errors import FootfallError, InputError

if TYPE_CHECKING:
    from footfall.client import Client
    from footfall.client.nsml_replies import Run


PROJECT_VARIABLE = "FOOTFALL_PROJECT"
"""Names the project of commands that are not told another."""
TIMEOUT_S = 60.0
"""Longest wait for the server within one request."""


class RunFailed(FootfallError):
    """What a command waited for ended as failed: exit code 1."""

    code = "run_failed"


@dataclass
class Choices:
    """The options that every command takes, anywhere on the line."""

    home: str | None = None
    json: bool = False
    ca_file: str | None = None
    failure_code: int | None = None
    """Exit code of whatever is not the outcome of the run that a command stays with."""


def choices() -> Choices:
    """Return the options of the command that is running."""
    root = click.get_current_context().find_root()
    return root.ensure_object(Choices)


def _shared(name: str, help: str, **more: Any) -> click.Option:
    """Return an option that sets a field of ``Choices``."""

    def callback(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        chosen = ctx.find_root().ensure_object(Choices)
        if value:
            setattr(chosen, name, value)

    return click.Option([f"--{name.replace('_', '-')}"], expose_value=False, callback=callback, help=help, **more)


def shared_options() -> list[click.Option]:
    """Return the options that every command takes."""
    return [
        _shared("home", "Home directory of the server; else FOOTFALL_HOME, else ~/.footfall.", metavar="DIR"),
        _shared("json", "Print JSON on stdout and nothing else there.", is_flag=True),
        _shared("ca_file", "Authority that signed the server's certificate (PEM).", metavar="FILE", envvar="FOOTFALL_CA_FILE"),
    ]


class Command(click.Command):
    """A command that also takes the shared options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        taken = {name for parameter in self.params for name in parameter.opts}
        self.params.extend(option for option in shared_options() if not taken & set(option.opts))


class Group(click.Group):
    """A group of such commands, listed in the order in which they were added; it takes the shared options too."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
        super().__init__(*args, **kwargs)
        self.params.extend(shared_options())

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the source."""
        return list(self.commands)


def open_client() -> "Client":
    """Return a client with the keys that the options and the environment name."""
    from footfall.client import Client

    chosen = choices()
    return Client(home=chosen.home, ca_file=chosen.ca_file, timeout_s=TIMEOUT_S)


def find_run(client: "Client", name: str) -> "Run":
    """Return the run that ``PROJECT/NUMBER`` names, or ``NUMBER`` alone in the project of ``FOOTFALL_PROJECT``.

    Raises:
        InputError: there is none, or the text reads differently.
    """
    project = os.environ.get(PROJECT_VARIABLE)
    return client.runs.find(f"{project}/{name}" if project and name.isascii() and name.isdigit() else name)


def bucket_and_key(text: str, *, what: str = "BUCKET/KEY") -> tuple[str, str]:
    """Return the two halves of ``BUCKET/KEY``; the key may be empty.

    Raises:
        InputError: there is no bucket before the first slash.
    """
    bucket, _, key = text.partition("/")
    if not bucket:
        raise InputError(f"{text!r} should read {what}: a bucket, a slash, and the path in it.")
    return bucket, key
