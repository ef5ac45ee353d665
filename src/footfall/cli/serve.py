"""``footfall up | demo | completion``."""

import os
from pathlib import Path
from typing import Any

import click

from footfall.cli import output
from footfall.cli.context import Command, choices


@click.command(cls=Command)
@click.option("--host", metavar="ADDRESS", help="Address to listen on; loopback by default.")
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", help="Port; 0 takes any free one. 8600 by default.")
@click.option("--tls-cert", metavar="FILE", help="Certificate chain (PEM).")
@click.option("--tls-key", metavar="FILE", help="Its private key (PEM).")
@click.option("--behind-proxy", is_flag=True, default=None, help="A proxy before us ends TLS.")
@click.option("--cancel-runs", is_flag=True, help="When stopped, stop the runs too; else they go on.")
def up(cancel_runs: bool, **options: Any) -> None:
    """Run a server until it is told to stop.

    It prints one line when it is ready. The first start makes an account, its keys, and credentials.toml in the home
    directory, where the other commands find them.
    """
    from footfall.config import load_settings

    settings = load_settings(choices().home, **options)
    as_json = choices().json

    def ready(endpoint: str) -> None:
        if as_json:
            output.json_value({"endpoint": endpoint, "credentials": str(settings.credentials_file)}, compact=True)
        else:
            output.line(f"Footfall is ready at {endpoint} (credentials: {settings.credentials_file})")

    from footfall.server import serve

    serve(settings, cancel_runs=cancel_runs, on_ready=ready)


@click.command(cls=Command)
@click.option("--keep-running", is_flag=True, help="Leave the server running at the end, until Ctrl-C.")
def demo(keep_running: bool) -> None:
    """See all of it work on a real data set.

    Scores 3,370 real customers through a server of its own.

    Works in ./.demo, made anew each time, or in the home that --home or FOOTFALL_HOME names, which is kept. Everything it
    started is stopped at the end.
    """
    from footfall.cli.demo import run_demo
    from footfall.config import home_dir

    named = choices().home or os.environ.get("FOOTFALL_HOME")
    home = home_dir(named) if named else Path.cwd() / ".demo"
    run_demo(home, fresh=not named, keep_running=keep_running)


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    For bash: footfall completion bash > ~/.local/share/bash-completion/completions/footfall
    """
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    script = kind(root, {}, "footfall", "_FOOTFALL_COMPLETE").source().rstrip()
    if choices().json:
        output.json_value({"shell": shell, "script": script})
    else:
        output.line(script)
