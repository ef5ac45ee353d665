"""Which objects are a data set, and how one begins: the same for the request that names it and for the job that reads it."""

import zlib
from contextlib import suppress
from urllib.parse import unquote

import zstandard

from footfall.errors import ObjectNotFoundError
from footfall.stores.store import Listing, Store
from footfall.stores.tables import find_tables_below

_NO_VALUE = ("__HIVE_DEFAULT_PARTITION__", "")
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def find_objects(store: Store, path: str) -> Listing:
    """Return the objects of a data set: the one at ``path``, else those below it in key order.

    Names that begin with ``_`` or ``.`` are passed over, as directories of part files have them, and so are empty parts and
    the empty objects by which consoles and Hadoop mark a directory (``sub/``, ``sub_$folder$``).

    Raises:
        ObjectNotFoundError: nothing is there.
        StoreDeniedError: the store does not take such a key.
    """
    own = Listing()
    if not path.endswith("/"):
        with suppress(ObjectNotFoundError):
            own.append(store.head(path))
            if own[0].size_bytes:
                return own
    directory = path.rstrip("/") + "/"
    below = store.list(directory)
    visible = [info for info in below if not _is_hidden(info.key[len(directory) :])]
    parts = Listing([info for info in visible if info.size_bytes] or own or visible[:1])
    if not parts:
        raise ObjectNotFoundError(path)
    parts.n_skipped = below.n_skipped
    parts.tables = find_tables_below((info.key for info in below), directory)
    return parts


def path_values(path: str, key: str) -> dict[str, str | None]:
    """Return the columns that the directories of an object say, as Hive, Spark and others write them: ``dt=2024-01-31``.

    Only those below the path of the data set count. A value is a text, None for the name that stands for none.
    """
    values: dict[str, str | None] = {}
    below = key.removeprefix(path.rstrip("/") + "/") if path else key
    for segment in below.split("/")[:-1]:
        name, equals, value = segment.partition("=")
        if equals and name:
            values[unquote(name)] = None if value in _NO_VALUE else unquote(value)
    return values


def read_beginning(store: Store, key: str, limit: int) -> bytes:
    """Return the beginning of an object, unpacked if it is compressed; nothing of one that does not unpack."""
    head = store.read_bytes(key, limit_bytes=limit)
    try:
        if head.startswith(_GZIP):
            return _gunzip_beginning(head, limit)
        if head.startswith(_ZSTD):
            with zstandard.ZstdDecompressor(max_window_size=128 << 20).stream_reader(head) as reader:
                return reader.read(limit)
    except (zlib.error, zstandard.ZstdError):
        return b""
    return head


def _is_hidden(name: str) -> bool:
    """Whether a step of a path begins as those of writers' own files do; a column may begin with ``_``."""
    *directories, last = name.split("/")
    return last.startswith(("_", ".")) or any(
        part.startswith(".") or (part.startswith("_") and "=" not in part) for part in directories
    )


def _gunzip_beginning(head: bytes, limit: int) -> bytes:
    plain = b""
    while head and len(plain) < limit:  # a file may be several members behind each other
        member = zlib.decompressobj(wbits=31)
        plain += member.decompress(head, limit - len(plain))
        head = member.unused_data
    return plain
