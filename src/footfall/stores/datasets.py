"""Which objects are a data set, and how one begins: the same for the request that names it and for the job that reads it."""

import zlib

import zstandard

from footfall.errors import ObjectNotFoundError
from footfall.stores.store import ObjectInfo, Store

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def find_objects(store: Store, path: str) -> list[ObjectInfo]:
    """Return the objects of a data set: the one at ``path``, else those below it in key order.

    Names that begin with ``_`` or ``.`` are skipped, as directories of part files have them.

    Raises:
        ObjectNotFoundError: nothing is there.
        StoreDeniedError: the store does not take such a key.
    """
    if not path.endswith("/"):
        try:
            return [store.head(path)]
        except ObjectNotFoundError:
            pass
    directory = path.rstrip("/") + "/"
    objects = [info for info in store.list(directory) if not _is_hidden(info.key[len(directory) :])]
    if not objects:
        raise ObjectNotFoundError(path)
    return objects


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
    return any(part.startswith(("_", ".")) for part in name.split("/"))


def _gunzip_beginning(head: bytes, limit: int) -> bytes:
    plain = b""
    while head and len(plain) < limit:  # a file may be several members behind each other
        member = zlib.decompressobj(wbits=31)
        plain += member.decompress(head, limit - len(plain))
        head = member.unused_data
    return plain
