"""Objects of the stores as what modeling reads: data sets as sources, artefacts as local directories.

Knows stores and files, no arrays. The rules of a data set of several files are the contract's, 9-14.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from footfall.errors import DataError, ObjectNotFoundError
from footfall.jobs.tables import find_live_files
from footfall.modeling.reading.source import Source
from footfall.stores.buckets import Buckets
from footfall.stores.datasets import find_objects, path_values
from footfall.stores.store import ObjectInfo, Store
from footfall.stores.tables import find_table


def open_sources(
    buckets: Buckets, bucket: str, path: str, scratch: Path, log: Callable[[str], None], allowed: Iterable[str] = ()
) -> list[Source]:
    """Return the files of a data set; see ``stores.datasets``. Of a table they are those that its own log says.

    Each may be opened again and again, and notices when the object is no longer the one that was found here. Keys that
    cannot be read are logged. ``allowed``: kinds of personal data that may be in them.

    Raises:
        ObjectNotFoundError: nothing is there.
        DataError: UNEXPECTED_FILE_TYPE: a table that cannot be read, or several of them.
    """
    store, kinds = buckets.open(bucket), frozenset(allowed)
    table = find_table(store, path)
    if table is not None:
        files = find_live_files(store, table, path, scratch, f"{bucket}/{path}")
        log(f"{table.root or bucket} is a table of {table.format}: {len(files):,} files are part of it")
        return [Source(f"{bucket}/{info.key}", _opener(store, info), info.size_bytes, kinds, values) for info, values in files]
    objects = find_objects(store, path)
    if objects.tables:
        raise DataError(
            "UNEXPECTED_FILE_TYPE",
            f"below this path lies a table of Delta Lake, Apache Iceberg or Apache Hudi, {objects.tables[0]}, whose directory "
            "holds rows that are no part of it any more. Give the path of the table itself.",
            path=f"{bucket}/{path}",
        )
    if objects.n_skipped:
        log(f"warning: {objects.n_skipped:,} keys below {path} are no paths, as a//b, and are not read; rename them in the store")
    return [
        Source(f"{bucket}/{info.key}", _opener(store, info), info.size_bytes, kinds, path_values(path, info.key))
        for info in objects
    ]


def fetch_artefact(internal: Store, key: str, scratch: Path) -> Path:
    """Return a directory with the files of an artefact: the store's own, when it is a directory of this machine."""
    local = internal.local_path(key)
    if local is not None:
        if not local.is_dir():
            raise ObjectNotFoundError(key)
        return local
    target = scratch / key.replace("/", "-")
    target.mkdir(parents=True, exist_ok=True)
    objects = internal.list(key.rstrip("/") + "/")
    if not objects:
        raise ObjectNotFoundError(key)
    for info in objects:
        with (target / info.key.rpartition("/")[2]).open("wb") as file:
            for chunk in internal.read(info.key, info=info):
                file.write(chunk)
    return target


def put_artefact(internal: Store, key: str, directory: Path, progress: Callable[[str, int, int], None]) -> int:
    """Move the files of a directory below ``key``, the small ones last; return how many bytes they have."""
    files = sorted(directory.iterdir(), key=lambda path: (-path.stat().st_size, path.name))
    total = sum(path.stat().st_size for path in files)
    done = 0
    for path in files:
        progress("save", done, total)
        size = path.stat().st_size
        internal.move(f"{key}/{path.name}", path)
        done += size
    progress("save", total, total)
    return total


def _opener(store: Store, info: ObjectInfo) -> Callable[[], Iterator[bytes]]:
    return lambda: store.read(info.key, info=info)
