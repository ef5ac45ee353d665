"""Check a data set that a request names: is it there, may this account read it, does its beginning hold personal data."""

from collections.abc import Iterable, Iterator, Sequence

from footfall.behavior import ownership
from footfall.behavior.context import BehaviorContext
from footfall.errors import InvalidFieldError, ObjectNotFoundError, StoreDeniedError
from footfall.label_rules import find_fault
from footfall.personal_data import ALLOWING, KINDS, find
from footfall.stores import datasets
from footfall.stores.store import ObjectInfo, Store
from footfall.stores.tables import find_table

MAX_SCANNED_LINES, MAX_SCANNED_BYTES, MIN_OBJECT_BYTES = 1000, 1 << 14, 512
"""How much of a data set a request scans for personal data, and what an object counts at least: some milliseconds, whatever is in
it, since other requests wait meanwhile. The job scans all of it."""
_LABEL_BYTES = 1 << 16


def open_bucket(context: BehaviorContext, account_id: str, bucket: str, field: str) -> Store:
    """Return the store of a bucket that an account may use.

    Raises:
        InvalidFieldError: rule ``missing_object``: there is none, or it is another account's.
    """
    with context.database.read() as connection:
        usable = ownership.find_usable(context.settings, connection, account_id, bucket)
    try:
        if usable is not None:
            return context.buckets.open(bucket)
    except ObjectNotFoundError as error:
        raise ownership.no_bucket(bucket, field) from error
    raise ownership.no_bucket(bucket, field)


def allowed_kinds(context: BehaviorContext, bucket: str) -> list[str]:
    """Return the kinds of personal data that may be in a bucket, in words; see the setting ``personal_data_allowed``."""
    tables = context.settings.personal_data_allowed
    return sorted({KINDS[name] for table in tables if table["bucket"] == bucket for name in table["kinds"]})


def find_objects(store: Store, bucket: str, path: str, field: str) -> list[ObjectInfo]:
    """Return the objects of a data set; see ``stores.datasets``.

    Raises:
        InvalidFieldError: rule ``missing_object``: nothing is there; ``pattern``: a table that cannot be read.
    """
    try:
        table = find_table(store, path)
        refusal = None if table is None else table.refusal()
        if refusal is not None:
            raise InvalidFieldError(field, path, "pattern", refusal)
        return datasets.find_objects(store, path)
    except StoreDeniedError as error:
        raise InvalidFieldError(field, path, "missing_object", str(error)) from error
    except ObjectNotFoundError as error:
        raise InvalidFieldError(
            field, path, "missing_object", f"There is no object {path!r} in the bucket {bucket!r}; put it there and try again."
        ) from error


def refuse_personal_data(store: Store, objects: Iterable[ObjectInfo], field: str, allowed: frozenset[str]) -> None:
    """Refuse a data set of sequence or label files whose first lines hold personal data.

    A line that goes on beyond what is scanned is left to the job.

    Raises:
        InvalidFieldError: rule ``personal_data``, with the line but never its content.
    """
    left_lines, left_bytes = MAX_SCANNED_LINES, MAX_SCANNED_BYTES
    for info in objects:
        if left_bytes <= 0:
            return
        plain = datasets.read_beginning(store, info.key, left_bytes)
        if len(plain) >= left_bytes:
            plain = plain[: plain.rfind(b"\n") + 1]  # half a number may look like a whole one
            left_bytes = 0
        left_bytes -= max(len(plain), MIN_OBJECT_BYTES)
        if not _is_sequence_file(plain):
            continue  # an event log: the job looks at its texts, where a number is no suspect
        for number, line in enumerate(_lines(plain), 1):
            if left_lines == 0:
                return
            left_lines -= 1
            finding = find(line, allowed=allowed)
            if finding is not None and finding.is_sure:  # whether bare digits are one, all of the file shows
                raise InvalidFieldError(
                    field,
                    info.key,
                    "personal_data",
                    f"{info.key}, line {number}: there is {finding.kind} (by {finding.rule}); remove personal data from "
                    f"the file and try again. {ALLOWING}",
                )


def refuse_no_labels(store: Store, objects: Sequence[ObjectInfo], field: str) -> None:
    """Refuse a label file whose beginning holds no labels; the job looks at every line.

    Raises:
        InvalidFieldError: rule ``pattern``.
    """
    fault = find_fault(datasets.read_beginning(store, objects[0].key, _LABEL_BYTES))
    if fault is not None:
        raise InvalidFieldError(field, objects[0].key, "pattern", f"{objects[0].key}: {fault}.")


def _is_sequence_file(plain: bytes) -> bool:
    """Whether the first line has one tab, as a user's line has, or nothing that could part the columns of a log."""
    first = plain.split(b"\n", 1)[0]
    is_log = plain.startswith((b"PAR1", b"{")) or first.count(b"\t") > 1
    return not is_log and (b"\t" in first or not any(mark in first for mark in (b",", b";", b"|")))


def _lines(plain: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(plain):
        end = plain.find(b"\n", start)
        end = len(plain) if end < 0 else end
        yield plain[start:end]
        start = end + 1
