"""The ``footfall`` command: its tree of commands, and what becomes of each error."""

import os
import sys
import traceback

import click

from footfall.cli import accounts, behavior, data, doctor, exec, follow, output, profile, serve
from footfall.cli.compute import code, outputs, projects, runs, storage
from footfall.cli.compute import run as run_
from footfall.cli.context import Choices, Group, RunFailed
from footfall.cli.failures import DONE, FAILED, INTERRUPTED, WRONG_USAGE, code_of, text_of
from footfall.cli.report.report import report
from footfall.errors import FootfallError


@click.group(cls=Group)
@click.version_option(package_name="footfall", message="footfall %(version)s")
def cli() -> None:
    """Score every user from behaviour sequences, and run commands on machines that you share.

    Start with `footfall demo` to see it work, or `footfall up` to run a server.
    """


behavior.task.add_command(report)
for _command in (
    serve.up, serve.demo, data.data, behavior.feature, behavior.task, behavior.task_run, profile.profile, behavior.encoder,
    projects.project, run_.run, runs.runs, code.code, follow.logs, runs.stop, exec.exec_, outputs.metrics, outputs.artifacts,
    projects.products, projects.image, projects.volume, storage.storage, projects.ssh_key, accounts.bucket,
    accounts.account, accounts.user,
    accounts.key, doctor.doctor, serve.completion,
):  # fmt: skip
    cli.add_command(_command)


def main() -> None:
    """Run the command line and exit; the entry point of the ``footfall`` script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    chosen = Choices()
    code = _run(arguments, chosen)
    return code if code in (DONE, INTERRUPTED) or chosen.failure_code is None else chosen.failure_code


def _run(arguments: list[str], chosen: Choices) -> int:
    try:
        ended = cli.main(arguments, prog_name="footfall", standalone_mode=False, obj=chosen)
        if ended is not None:  # click returns the code of ``Exit``: the command chose its exit code itself
            chosen.failure_code = None
            return int(ended)
    except click.ClickException as error:
        return _usage_error(error)
    except (click.Abort, KeyboardInterrupt):
        output.note("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has seen enough; what is left in the buffer must not raise once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except RunFailed as error:
        output.problem(str(error))
        return FAILED
    except FootfallError as error:
        output.problem(text_of(error))
        return code_of(error)
    except TimeoutError as error:
        output.problem(str(error))
        return FAILED
    except OSError as error:
        return _os_error(error)
    except Exception:  # noqa: BLE001 - the outermost handler of the command line: report a bug, with its traceback
        output.problem("This is a bug of Footfall; please report it with the lines below.")
        output.note(traceback.format_exc())
        return FAILED
    return DONE


def _usage_error(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        output.note(error.format_message())
        return WRONG_USAGE
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f" See `{context.command_path} --help`." if context is not None else ""
    output.problem(error.format_message() + hint)
    return WRONG_USAGE


def _os_error(error: OSError) -> int:
    what = error.strerror or str(error)
    output.problem(
        f"{error.filename}: {what}. Check that the path is right and that this user may use it."
        if error.filename
        else f"The operating system refuses: {what}. `footfall doctor` looks for the cause."
    )
    return WRONG_USAGE
