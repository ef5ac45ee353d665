"""Look at a data set when a request names it: is it there, may this account read it, does its beginning hold personal data."""

import time
import zlib
from collections.abc import Iterable, Iterator

import zstandard

from footfall.behavior import ownership
from footfall.behavior.context import BehaviorContext
from footfall.errors import InvalidFieldError, ObjectNotFoundError, StoreDeniedError
from footfall.personal_data import find_personal_data
from footfall.stores.store import ObjectInfo, Store

LOOK_LINES, LOOK_BYTES, LOOK_S = 1000, 1 << 20, 2.0
"""How far the request looks for personal data; the job looks at the whole file."""

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def open_bucket(context: BehaviorContext, account_id: str, bucket: str, field: str) -> Store:
    """Return the store of a bucket that an account may use.

    Raises:
        InvalidFieldError: rule ``missing_object``: there is none, or it is another account's.
    """
    with context.database.read() as connection:
        found = ownership.find_usable(context.settings, connection, account_id, bucket)
    try:
        if found is not None:
            return context.buckets.open(bucket)
    except ObjectNotFoundError as error:
        raise ownership.no_bucket(bucket, field) from error
    raise ownership.no_bucket(bucket, field)


def find_objects(store: Store, bucket: str, path: str, field: str) -> list[ObjectInfo]:
    """Return the objects of a data set: the one at ``path``, else those below it in key order.

    Names that begin with ``_`` or ``.`` are skipped, as directories of part files have them.

    Raises:
        InvalidFieldError: rule ``missing_object``: nothing is there.
    """
    try:
        if not path.endswith("/"):
            try:
                return [store.head(path)]
            except ObjectNotFoundError:
                pass
        directory = path.rstrip("/") + "/"
        found = [info for info in store.list(directory) if not _is_hidden(info.key[len(directory) :])]
    except StoreDeniedError as error:
        raise InvalidFieldError(field, path, "missing_object", str(error)) from error
    if not found:
        raise InvalidFieldError(
            field,
            path,
            "missing_object",
            f"There is no object {path!r} in the bucket {bucket!r}; put it there and try again.",
        )
    return found


def refuse_personal_data(store: Store, objects: Iterable[ObjectInfo], field: str) -> None:
    """Refuse a data set of sequence or label files whose first lines hold personal data.

    Raises:
        InvalidFieldError: rule ``personal_data``, with the line but never its content.
    """
    deadline = time.monotonic() + LOOK_S
    left_lines, left_bytes = LOOK_LINES, LOOK_BYTES
    for info in objects:
        plain = _first_plain_bytes(store.read_bytes(info.key, limit_bytes=left_bytes), left_bytes)
        if not _is_sequence_file(plain):
            continue  # an event log: the job looks at its texts, where a number is no suspect
        for number, line in enumerate(_lines(plain), 1):
            if left_lines == 0 or time.monotonic() > deadline:
                return
            left_lines -= 1
            kind = find_personal_data(line)
            if kind is not None:
                raise InvalidFieldError(
                    field,
                    info.key,
                    "personal_data",
                    f"{info.key}, line {number}: there is {kind}; remove personal data from the file and try again.",
                )
        left_bytes -= len(plain)
        if left_bytes <= 0:
            return


def _is_sequence_file(plain: bytes) -> bool:
    """Whether the first line has one tab, as a user's line has, or nothing that could part the columns of a log."""
    first = plain.split(b"\n", 1)[0]
    is_log = plain.startswith((b"PAR1", b"{")) or first.count(b"\t") > 1
    return not is_log and (b"\t" in first or not any(mark in first for mark in (b",", b";", b"|")))


def _is_hidden(name: str) -> bool:
    return any(part.startswith(("_", ".")) for part in name.split("/"))


def _first_plain_bytes(head: bytes, limit: int) -> bytes:
    """Return the beginning of what is in a file; one that does not unpack is left to the job to refuse."""
    try:
        if head.startswith(_GZIP):
            return _first_of_gzip(head, limit)
        if head.startswith(_ZSTD):
            with zstandard.ZstdDecompressor(max_window_size=128 << 20).stream_reader(head) as reader:
                return reader.read(limit)
    except (zlib.error, zstandard.ZstdError):
        return b""
    return head


def _first_of_gzip(head: bytes, limit: int) -> bytes:
    plain = b""
    while head and len(plain) < limit:  # a file may be several members behind each other
        member = zlib.decompressobj(wbits=31)
        plain += member.decompress(head, limit - len(plain))
        head = member.unused_data
    return plain


def _lines(plain: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(plain):
        end = plain.find(b"\n", start)
        end = len(plain) if end < 0 else end
        yield plain[start:end]
        start = end + 1
