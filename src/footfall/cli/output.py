"""Output of commands: tables and progress for people, JSON for programs. The only module that prints.

Results go to stdout, everything else to stderr, so that ``--json`` leaves nothing but JSON on stdout. Text from
outside (names, logs, messages) loses its control characters before it reaches a terminal, which would interpret them.
"""

import codecs
import json
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

    from footfall.client.replies import Resource

_MARKS = r"\u00ad\u061c\u180e\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
"""What nobody sees, and what turns the order of writing around so that a line reads as another; no name holds one."""
_LONE_JOINER = r"(?<![^\x00-\xff])\u200d|\u200d(?![^\x00-\xff])"
"""A joiner that is not between two characters such as those of an emoji."""
_CONTROLS = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_MARKS}]|{_LONE_JOINER}")
_ESCAPED_IN_JSON = re.compile(rf"[\x7f-\x9f\ud800-\udfff{_MARKS}]|{_LONE_JOINER}")
_STATUS_STYLE = {"completed": "green", "failed": "red", "in_progress": "cyan", "pending": "yellow", "registered": "yellow"}
PLAIN_EVERY_S = 10.0


def strip_controls(text: str) -> str:
    """Return a text without C0 and C1 control characters but tab and newline, and without marks that nobody sees."""
    return _CONTROLS.sub("", text)


def console(stream: TextIO | None = None) -> "Console":
    """Return a rich console on stdout or another stream; without a terminal it writes plain text."""
    from rich.console import Console

    return Console(file=stream or sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=True)


def line(text: str = "") -> None:
    """Print a line of result."""
    _write(sys.stdout, text)


def note(text: str) -> None:
    """Print a line that is no result: progress and hints."""
    _write(sys.stderr, text)


def problem(text: str) -> None:
    """Print an error."""
    if sys.stderr.isatty():
        text = f"\x1b[1;31mError:\x1b[0m {strip_controls(text)}"
        print(text, file=sys.stderr, flush=True)
    else:
        _write(sys.stderr, f"Error: {text}")


def raw(chunk: bytes) -> None:
    """Write bytes to stdout; to a terminal without control characters."""
    if sys.stdout.isatty():
        sys.stdout.write(strip_controls(chunk.decode("utf-8", "replace")))
        sys.stdout.flush()
    else:
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


class LogPrinter:
    """Prints a log that comes in chunks, which may split a character; used as ``with``, so that the last one is shown.

    As JSON each chunk is a line with the facts beside it; bytes that are no UTF-8 are there as lone surrogates, as Python's
    ``surrogateescape`` writes them, so that nothing is lost.
    """

    def __init__(self, **facts: object) -> None:
        self._facts = facts
        errors = "surrogateescape" if _is_json() else "replace"
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors)

    def __enter__(self) -> "LogPrinter":
        return self

    def __exit__(self, *_: object) -> None:
        self.show(b"", is_last=True)

    def show(self, chunk: bytes, *, is_last: bool = False) -> None:
        """Print the next chunk."""
        if not _is_json() and not sys.stdout.isatty():
            raw(chunk)
            return
        text = self._decoder.decode(chunk, is_last)
        if text and _is_json():
            json_value({**self._facts, "text": text}, compact=True)
        elif text:
            sys.stdout.write(strip_controls(text))
            sys.stdout.flush()


def _is_json() -> bool:
    from footfall.cli.context import choices

    return choices().json


def json_value(value: Any, *, compact: bool = False) -> None:
    """Print a value as JSON; ``compact`` on one line."""
    print(json_text(value, compact=compact), flush=True)


def json_text(value: Any, *, compact: bool = False) -> str:
    """Return a value as JSON in which every control character is escaped, including those that JSON allows."""
    text = json.dumps(value, indent=None if compact else 2, ensure_ascii=False, default=str)
    return _ESCAPED_IN_JSON.sub(lambda found: json.dumps(found[0])[1:-1] if found[0] > "\x7f" else "\\u007f", text)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    empty: str = "",
    numbers: Sequence[int] = (),
    whole: Sequence[int] = (),
) -> None:
    """Print a table that fits the terminal; without a terminal every cell is whole.

    Args:
        empty: the text when there are no rows.
        numbers: indexes of the columns to align right.
        whole: indexes of those that are never cut, as of ids that people copy.
    """
    from rich import box
    from rich.cells import cell_len  # Korean letters take two places
    from rich.table import Table
    from rich.text import Text

    listed = [[_cell(value) for value in row] for row in rows]
    if not listed:
        note(empty or "There is nothing to list.")
        return
    out = console()
    widths = [max(map(cell_len, column)) for column in zip(columns, *listed, strict=True)]
    gap = 3
    if sys.stdout.isatty():
        headers = [widths[index] if index in whole else cell_len(column) for index, column in enumerate(columns)]
        widths = _fit(widths, headers, out.width - gap * (len(columns) - 1))
    out.width = max(out.width, sum(widths) + gap * (len(columns) - 1))
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for index, column in enumerate(columns):
        right = index in numbers
        width = widths[index]
        grid.add_column(column, justify="right" if right else "left", overflow="ellipsis", no_wrap=True, width=width)
    for row in listed:
        grid.add_row(*(Text(text, style=_STATUS_STYLE.get(text, "")) for text in row))
    for text in _rendered(out, grid):
        _write(sys.stdout, text, clean=False)


def record(fields: Mapping[str, object], *, title: str = "") -> None:
    """Print a record, a field a line."""
    from rich.text import Text

    out = console()
    if title:
        out.print(Text(strip_controls(title), style="bold"))
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        text = _cell(value)
        out.print(Text.assemble((f"{name:<{width}}  ", "dim"), (text, _STATUS_STYLE.get(text, ""))))


def _fit(widths: list[int], headers: Sequence[int], room: int) -> list[int]:
    """Narrow columns until they fit, the last ones first, none below its header or a few letters."""
    fitted, last = list(widths), len(widths) - 1
    for least in (19, 6):
        for index in reversed(range(len(fitted))):
            floor = min(widths[index], max(headers[index], 8 if index == last else least))
            fitted[index] = min(fitted[index], max(floor, fitted[index] - max(0, sum(fitted) - room)))
    return fitted


def _rendered(out: "Console", grid: Any) -> Iterator[str]:
    with out.capture() as capture:
        out.print(grid)
    for text in capture.get().splitlines():
        yield text.rstrip()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(_cell, value)) or "-"
    if isinstance(value, dict):
        return "; ".join(f"{_cell(name)}: {_cell(each)}" for name, each in value.items()) or "-"
    text = value if isinstance(value, str) else str(value)
    return strip_controls(text).replace("\n", " ").replace("\t", " ")


def _write(stream: TextIO, text: str, *, clean: bool = True) -> None:
    print(strip_controls(text) if clean and stream.isatty() else text, file=stream, flush=True)


class ProgressLine:
    """Shows how far one thing is: a bar on a terminal, a plain line now and then elsewhere. Always on stderr."""

    def __init__(self, title: str, *, delay_s: float = 0.0) -> None:
        """Get ready; nothing is shown in the first ``delay_s``."""
        self._title, self._delay_s = strip_controls(title), delay_s
        self._bar: Any = None
        self._task: Any = None
        self._said: tuple[str, float] = ("", 0.0)
        self._began = time.monotonic()

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, stage: str, done: float = 0, total: float | None = None, detail: str = "") -> None:
        """Show a stage, how far it is (``total`` None where it is unknown), and a detail that changes all the time."""
        if self.elapsed_s < self._delay_s:
            return
        text = strip_controls(f"{stage} {detail}".rstrip())
        if sys.stderr.isatty():
            if self._bar is None:
                self._bar, self._task = _new_bar(self._title)
            self._bar.update(self._task, completed=done, total=total or None, stage=text)
            return
        now = time.monotonic()
        if stage != self._said[0] or now - self._said[1] >= PLAIN_EVERY_S:
            self._said = (stage, now)
            share = f" {100 * done / total:.0f} %" if total else ""
            _write(sys.stderr, f"{self._title}: {text}{share}")

    @property
    def elapsed_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began


def _new_bar(title: str) -> tuple[Any, Any]:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[stage]}", style="dim", markup=False),
        console=console(sys.stderr),
        transient=True,
    )
    bar.start()
    return bar, bar.add_task(title, total=None, stage="")


@contextmanager
def watching(title: str) -> Iterator[Any]:
    """Give a callback for ``Client.wait`` that shows a resource's progress."""
    with ProgressLine(title) as progress:

        def show(resource: "Resource") -> None:
            now = resource.progress
            if now is not None and resource.status == "in_progress":
                progress.show(now.stage, now.done, now.total)
            else:
                progress.show(_WAITING.get(resource.status, resource.status))

        yield show


_WAITING = {"registered": "waiting for its turn", "pending": "waiting for cores and memory", "in_progress": "starting"}


def verdict(state: str, text: str) -> None:
    """Print the result of a check after ``ok``, ``warn`` or ``wrong``."""
    style = {"ok": "32", "warn": "33", "wrong": "31"}[state]
    if sys.stdout.isatty():
        print(f"\x1b[{style}m{state:<6}\x1b[0m{strip_controls(text)}")
    else:
        print(f"{state:<6}{text}")
