"""The live files of a table of Delta Lake or Apache Iceberg, by its own log; files that were replaced or deleted are none.

The log is copied from the store and read by the library of the format, an extra of the package; the data stay where they are.
What these files alone do not say is refused: deleted rows that are marked beside them, columns under other names.
Sources: the Delta transaction log protocol; the Iceberg table specification, version 2.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from footfall.errors import DataError
from footfall.stores.store import ObjectInfo, Store
from footfall.stores.tables import DELTA, Table

Files = list[tuple[ObjectInfo, Mapping[str, str | None]]]


def find_live_files(store: Store, table: Table, path: str, scratch: Path, name: str) -> Files:
    """Return the objects that are part of a table and lie at or below ``path``, each with the columns that the log says of it.

    Raises:
        DataError: UNEXPECTED_FILE_TYPE: the library is not installed, or the log cannot be read or says more than its files do.
    """
    refusal = table.refusal()
    if refusal is not None:
        raise _refuse(name, refusal)
    copy = scratch / "table"
    folder = "_delta_log/" if table.format == DELTA else "metadata/"
    for info in store.list(table.root + folder):
        target = copy / info.key[len(table.root) :]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(store.read_bytes(info.key))
    keys = _read_delta(copy, name) if table.format == DELTA else _read_iceberg(copy, name)
    stored = {info.key: info for info in store.list(table.root)}
    files: Files = []
    for below, values in keys.items():
        key = table.root + below if table.root + below in stored else table.root + unquote(below)
        if key not in stored:
            raise _refuse(name, f"the table's log names {below}, which is not in the store. Is the copy of the table whole?")
        if key == path or key.startswith(path.rstrip("/") + "/") or not path.strip("/"):
            files.append((stored[key], values))
    if not files:
        raise DataError("NOT_EXIST_FILE", "no file of the table is at this path. Give the path of the table itself.", path=name)
    return sorted(files, key=lambda file: file[0].key)


_BROKEN = (ValueError, OSError, KeyError, EOFError, TypeError, AssertionError)
"""What the libraries raise, beside errors of their own, for a log that they cannot read."""


def _read_delta(copy: Path, name: str) -> dict[str, Mapping[str, str | None]]:
    delta = import_module("deltalake")
    try:
        log = delta.DeltaTable(str(copy))
        mapping = log.metadata().configuration.get("delta.columnMapping.mode", "none")
        n_marked = len(import_module("pyarrow").table(log.deletion_vectors()))
        added = import_module("pyarrow").table(log.get_add_actions()).to_pylist()
    except (*_BROKEN, delta.exceptions.DeltaError) as cause:
        raise _refuse(name, f"the log of the Delta table cannot be read ({_first_line(cause)}). Export its rows.") from cause
    if mapping != "none":
        raise _refuse(
            name, "the files of the Delta table have other names of columns than the table (column mapping). Export it."
        )
    if n_marked:
        raise _refuse(
            name, "rows of the Delta table are deleted by deletion vectors. Run REORG TABLE … APPLY (PURGE) or export its rows."
        )
    return {
        action["path"]: {
            column: None if value is None else str(value) for column, value in (action.get("partition") or {}).items()
        }
        for action in added
    }


def _read_iceberg(copy: Path, name: str) -> dict[str, Mapping[str, str | None]]:
    newest = _newest_metadata(copy / "metadata", name)
    try:
        table = _open_iceberg(copy, newest)
        names: dict[int, set[str]] = {}
        for schema in table.metadata.schemas:
            for field in schema.fields:
                names.setdefault(field.field_id, set()).add(field.name)
        planned = list(table.scan().plan_files())
        location = table.location().rstrip("/") + "/"
    except (*_BROKEN, import_module("pyiceberg.exceptions").ValidationError) as cause:
        raise _refuse(
            name, f"the metadata of the Iceberg table cannot be read ({_first_line(cause)}). Export its rows."
        ) from cause
    if any(len(known) > 1 for known in names.values()):
        raise _refuse(name, "columns of the Iceberg table were renamed, so older files have other names. Export its rows.")
    if any(task.delete_files for task in planned):
        raise _refuse(name, "rows of the Iceberg table are deleted by delete files. Rewrite its data files or export its rows.")
    keys: dict[str, Mapping[str, str | None]] = {}
    for task in planned:
        if not task.file.file_path.startswith(location):
            raise _refuse(name, "the Iceberg table has data files outside of its own location. Export its rows.")
        keys[task.file.file_path.removeprefix(location)] = {}
    return keys


def _newest_metadata(directory: Path, name: str) -> Path:
    """Return the current metadata file: the one that the hint names, else the one of the highest version."""
    files = list(directory.glob("*.metadata.json"))
    hint = directory / "version-hint.text"
    if hint.exists():
        hinted = [file for file in files if file.name == f"v{hint.read_text().strip()}.metadata.json"]
        if hinted:
            return hinted[0]
    versions = [
        (int(digits), file) for file in files if (digits := file.name.removeprefix("v").split("-")[0].split(".")[0]).isdigit()
    ]
    newest = [file for version, file in versions if version == max(versions)[0]]
    if len(newest) != 1:
        raise _refuse(name, "it cannot be told which metadata file of the Iceberg table is the current one. Export its rows.")
    return newest[0]


def _open_iceberg(copy: Path, metadata: Path) -> Any:
    """Open a table by copies of its metadata, whatever store its paths name."""
    io = import_module("pyiceberg.io")
    arrow = import_module("pyiceberg.io.pyarrow").PyArrowFileIO()

    class CopiedFiles(io.FileIO):  # type: ignore[misc, name-defined]
        def new_input(self, location: str) -> Any:
            return arrow.new_input(str(copy / "metadata" / location.rpartition("/metadata/")[2]))

        def new_output(self, location: str) -> Any:
            raise OSError(f"{location}: a copy of a table is not written")

        def delete(self, location: Any) -> None:
            raise OSError(f"{location}: a copy of a table is not written")

    files = CopiedFiles()
    parsed = import_module("pyiceberg.serializers").FromInputFile.table_metadata(arrow.new_input(str(metadata)))
    return import_module("pyiceberg.table").StaticTable(
        identifier=("table",), metadata_location=str(metadata), metadata=parsed, io=files,
        catalog=import_module("pyiceberg.catalog.noop").NoopCatalog("none"),
    )  # fmt: skip


def _first_line(cause: Exception) -> str:
    return (str(cause).splitlines() or [type(cause).__name__])[0][:200]


def _refuse(name: str, sentence: str) -> DataError:
    return DataError("UNEXPECTED_FILE_TYPE", sentence, path=name)
