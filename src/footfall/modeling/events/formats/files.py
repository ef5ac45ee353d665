"""Which format a file of an event log has, and how it is opened: plain or compressed.

Knows first bytes and lines; the formats are in the modules that are named after them.
"""

from collections.abc import Sequence
from pathlib import Path

from footfall.errors import DataError
from footfall.modeling.events.formats.delimited import open_csv
from footfall.modeling.events.formats.json_lines import open_lines, refuse_array
from footfall.modeling.events.formats.location import EventFile, peek
from footfall.modeling.events.formats.parquet import open_parquet
from footfall.modeling.events.names import names_user
from footfall.modeling.reading.source import Source

_PARQUET = b"PAR1"


def find_format(source: Source, *, has_columns: bool) -> str:
    """Return the format of a file by its first bytes: ``parquet``, ``jsonl``, ``csv`` or ``sequence``.

    A first line with one tab, or with nothing that could separate columns, is a sequence file's; so is one with several tabs that
    names no column of users, unless the next lines have as many.
    """
    head = peek(source)
    if head.startswith(_PARQUET):
        return "parquet"
    lines = head.decode("utf-8", "replace").splitlines()[:_ALIKE_LINES] or [""]
    line = lines[0]
    if line.lstrip().startswith("{"):
        return "jsonl"
    refuse_array(source.name, head)
    words = line.split("\t")
    if has_columns or (len(words) > 2 and (names_user(word.strip('" ') for word in words) or _are_alike(lines, "\t"))):
        return "csv"
    if "\t" not in line and _are_alike(lines, "::"):
        raise DataError(
            "UNEXPECTED_TXT_FORMAT",
            "the columns are separated by '::', which is none of the separators , ; | and tab. Change it, such as by "
            "`sed 's/::/\\t/g'`, and write a header line above, such as user_id, item_id, rating, timestamp, with tabs between.",
            path=source.name,
        )
    if "\t" in line or not any(separator in line for separator in (",", ";", "|")):
        return "sequence"
    return "csv"


_ALIKE_LINES = 20


def _are_alike(lines: list[str], separator: str) -> bool:
    """Return whether all of several lines hold a separator as often, and more than once: then they are a table's."""
    counts = {line.count(separator) for line in lines if line.strip()}
    return len(lines) > 1 and len(counts) == 1 and min(counts) > 1


def open_file(source: Source, format: str, scratch: Path, header: Sequence[str] = ()) -> EventFile:
    """Open a file of a log; a Parquet file is copied into ``scratch`` first, because it is read from its end.

    Args:
        header: of the first file, for a CSV file that has none of its own.

    Raises:
        DataError: UNEXPECTED_FILE_TYPE or UNEXPECTED_TXT_FORMAT: it is not of this format.
    """
    if format == "csv":
        return open_csv(source, header)
    return open_parquet(source, scratch) if format == "parquet" else open_lines(source, scratch)
