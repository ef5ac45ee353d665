"""Show what was found in the data set of a feature: each column as what it was taken, and warnings."""

from collections.abc import Iterable, Mapping
from typing import Any

from footfall.cli import output

FOUND_COLUMNS = ("COLUMN", "TAKEN AS", "KIND", "MISSING", "EXAMPLES", "NOTE")


def found_rows(columns: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """Return the cells of a table of columns, one row a column."""
    return [
        [
            column["name"],
            column["role"],
            column["kind"],
            "-" if column.get("missing") is None else f"{100 * column['missing']:.1f} %",
            ", ".join(column.get("examples") or []) or "-",
            column.get("note") or "",
        ]
        for column in columns
    ]


def show_found(found: Mapping[str, Any] | None) -> None:
    """Print the columns of a data set and what to be careful about; nothing of sequence files."""
    if not found:
        return
    rows = found_rows(found.get("columns") or [])
    if rows:
        output.line()
        output.table(FOUND_COLUMNS, rows, numbers=[3])
    show_warnings(found.get("warnings") or [])


def show_warnings(warnings: Iterable[str]) -> None:
    """Print warnings, a line each."""
    for warning in warnings:
        output.line(f"\nwarning: {warning}")
