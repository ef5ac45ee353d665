"""What a failure says and which exit code it has, for one command and for one that does the same to several things.

Exit codes: 0 success · 1 the requested work failed · 2 wrong usage · 3 the service cannot be reached or fails.
"""

from collections.abc import Callable, Iterable

import click

from footfall.cli import output
from footfall.errors import DatabaseUnavailableError, ExecutorUnavailableError, FootfallError, ServiceError, StoreUnavailableError

DONE, FAILED, WRONG_USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130


def text_of(error: FootfallError) -> str:
    """Return what is printed of a failure."""
    if not isinstance(error, ServiceError):
        return str(error)
    code = f" [{error.error_code} {error.symbol}]" if error.error_code else ""
    trace = f" Trace id: {error.trace_id}." if error.status >= 500 and error.trace_id else ""
    return f"{error}{code}{trace}"


def code_of(error: FootfallError) -> int:
    """Return the exit code of a failure."""
    if isinstance(error, ServiceError):
        return UNREACHABLE if error.status == 0 or error.status >= 500 else WRONG_USAGE
    away = isinstance(error, StoreUnavailableError | DatabaseUnavailableError | ExecutorUnavailableError)
    return UNREACHABLE if away else WRONG_USAGE


def each(names: Iterable[str], act: Callable[[str], None]) -> None:
    """Do something for each name, whatever becomes of the others; each failure is printed behind its name.

    Raises:
        click.exceptions.Exit: some failed; with the highest of their exit codes.
        ServiceError: the service cannot be reached, and so not for the names that are left either.
    """
    worst = DONE
    names = list(dict.fromkeys(names))
    for name in names:
        try:
            act(name)
        except FootfallError as error:
            if len(names) == 1 or (isinstance(error, ServiceError) and error.status == 0):
                raise
            output.problem(f"{name}: {text_of(error)}")
            worst = max(worst, code_of(error))
    if worst:
        raise click.exceptions.Exit(worst)
