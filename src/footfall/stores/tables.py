"""Directories that are tables of Delta Lake, Apache Iceberg or Apache Hudi: their files are not all part of the table.

Knows keys alone; the logs of such tables are read by the jobs. Sources: the Delta transaction log protocol, the Iceberg table
specification, and Hudi's timeline directory.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec

from footfall.stores.store import Store

DELTA, ICEBERG, HUDI = "Delta Lake", "Apache Iceberg", "Apache Hudi"
_PACKAGES = {DELTA: ("deltalake", "delta"), ICEBERG: ("pyiceberg", "iceberg")}
_MARK = re.compile(r"(?P<root>.*?)(?:(?P<delta>_delta_log/)|(?P<hudi>\.hoodie/)|(?P<iceberg>metadata/[^/]+\.metadata\.json$))")


@dataclass(frozen=True)
class Table:
    """A table: its format, and the prefix of its keys, which is empty or ends with a slash."""

    format: str
    root: str

    def refusal(self) -> str | None:
        """Return why it cannot be read here, None if it can."""
        what = f"{self.root or 'The bucket'} is a table of {self.format}"
        if self.format == HUDI:
            return f"{what}, which is not read: its directory holds older rows, too. Export its rows, such as to Parquet."
        package, extra = _PACKAGES[self.format]
        if find_spec(package) is None:
            return (
                f"{what}: its directory holds rows that are no part of it any more. To have its own log read, install "
                f"`footfall[{extra}]` for the server ({package}); or export its rows, such as to Parquet."
            )
        return None


def find_table(store: Store, path: str) -> Table | None:
    """Return the table that a path is, or lies within, such as ``data/`` of one; None if it is no table's."""
    steps = [step for step in path.split("/") if step]
    for n in range(len(steps), -1, -1):
        root = "".join(f"{step}/" for step in steps[:n])
        if store.list(f"{root}_delta_log/", limit=1):
            return Table(DELTA, root)
        if store.list(f"{root}.hoodie/", limit=1):
            return Table(HUDI, root)
        if any(info.key.endswith(".metadata.json") for info in store.list(f"{root}metadata/")):
            return Table(ICEBERG, root)
    return None


def find_tables_below(keys: Iterable[str], directory: str) -> list[str]:
    """Return the roots of tables among the keys below a directory, but its own."""
    matches = (_MARK.match(key, len(directory)) for key in keys)
    return sorted({directory + match["root"] for match in matches if match and match["root"].endswith("/")})
