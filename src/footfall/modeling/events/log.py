"""Read an event log of any order and size: rows to whole users, out of core.

Knows columns, values and scratch files; nothing of vocabularies. Rows are written as fixed-size records into chunks
that are sorted by the leading bits of the user's hash; a block of users is what all chunks hold of some leading bits,
sorted by user and time. So users come in the order of their hash, whatever the order of the rows or the number of
threads, and memory does not grow with the log. Events at one time stay in the order of the files.

Shapes: N rows or users, L events, Q numeric columns, C categorical columns, P partitions.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

from footfall.errors import DataError
from footfall.modeling.events.columns import Columns, describe_columns, find_columns
from footfall.modeling.events.event_log import EventLog
from footfall.modeling.events.formats.files import open_file
from footfall.modeling.events.formats.location import EventFile
from footfall.modeling.events.formats.paths import add_path_columns
from footfall.modeling.events.found import cut_warnings, find_all
from footfall.modeling.events.names import names_user
from footfall.modeling.events.options import LogOptions
from footfall.modeling.events.profiles import EMPTY, NUMBER, TIME, UNREADABLE, Profile, profile_path
from footfall.modeling.events.times import Times
from footfall.modeling.events.writer import Writer
from footfall.modeling.reading.source import PersonalData, Progress, Source, keep_quiet

__all__ = ["EventLog", "read_log"]

T = TypeVar("T")

_MAX_PEEKED_FILES = 64
"""So many are opened at once to determine the kinds of columns that are empty in the first ones."""
_MANY = 0.01
"""More events than this share are left out with a warning."""
_WARNING = "warning: "
Log = Callable[[str], None]


def read_log(
    sources: Sequence[Source],
    format: str,
    options: LogOptions,
    scratch: Path,
    *,
    salt: int,
    personal_data: PersonalData = "off",
    progress: Progress = keep_quiet,
    log: Log = lambda line: None,
) -> EventLog:
    """Read all rows of a log into scratch files; ``salt`` decides in which order its users come.

    Raises:
        DataError: by the contract's names, with the file and the line, or the row group and row, and a remedy.
    """
    warnings: list[str] = []

    def tell(line: str) -> None:
        log(line)
        if line.startswith(_WARNING):
            warnings.append(line.removeprefix(_WARNING))

    files = _open_files(sources, format, scratch)
    opened, first, profiles = _peek_profiles(files)
    if not first.has_rows and (not profiles or names_user(list(profiles))):
        raise DataError(
            "NOT_EXIST_FILE", "the log has no events: no file of it has a row. Check the path and write it again.",
            path=sources[0].name,
        )  # fmt: skip
    columns = find_columns(options, profiles, first.name)
    for line in describe_columns(columns, options, profiles):
        tell(line)
    is_unsure = {n for n in columns.categorical if profiles[n].kind == EMPTY and not options.categorical and n not in columns.ids}
    dates = [name for name, profile in profiles.items() if profile.kind == TIME and name != columns.timestamp]
    times = Times(columns.timestamp, [] if options.timestamp else dates)
    writer = Writer(columns, options, times, scratch, salt, personal_data, sources[0].allowed)
    total, done = sum(source.size_bytes for source in sources), 0
    size_bytes = {source.name: source.size_bytes for source in sources}
    try:
        for file in chain(opened, files):
            if not file.has_rows:
                tell(f"{file.name} has no rows")
            if file.remark:
                tell(f"{_WARNING}{file.remark}")
            if file.has_rows or file.profiles:
                _check_same(file, columns, is_unsure)
            for location, columns_of_batch in _read_ahead(file.read(columns.names)):
                with location.reading():
                    writer.add(location, columns_of_batch)
                progress("read events", done, total)
            done += size_bytes[file.name]
        event_log = writer.close()
    finally:
        writer.shut()
    progress("read events", total, total)
    _log_summary(event_log, writer, tell)
    found = find_all(columns, profiles, writer.missing_shares())
    return replace(event_log, found=tuple(found), warnings=tuple(cut_warnings(warnings)), format=format)


def _open_files(sources: Sequence[Source], format: str, scratch: Path) -> Iterator[EventFile]:
    """Open the files one by one; the first one's header serves those of lines that have none."""
    header: list[str] = []
    names = dict.fromkeys(name for source in sources for name in source.values)
    said = {name: profile_path([source.values.get(name) for source in sources]) for name in names}
    for source in sources:
        file = open_file(source, format, scratch, header)
        header = header or list(file.profiles)
        yield add_path_columns(file, source.values, said) if said and (file.has_rows or file.profiles) else file


def _peek_profiles(files: Iterator[EventFile]) -> tuple[list[EventFile], EventFile, dict[str, Profile]]:
    """Return (opened files, the first with rows, what its columns hold).

    Columns that are empty in it have their kind from the next files. Without any rows it is the file with most columns.
    """
    opened: list[EventFile] = []
    profiles: dict[str, Profile] = {}
    for file in files:
        opened.append(file)
        if file.has_rows:
            profiles = {
                name: file.profiles.get(name, profile) if profile.kind == EMPTY else profile
                for name, profile in (profiles or file.profiles).items()
            }
            if all(profile.kind != EMPTY for profile in profiles.values()) or len(opened) >= _MAX_PEEKED_FILES:
                break
    first = next((file for file in opened if file.has_rows), max(opened, key=lambda file: len(file.profiles)))
    return opened, first, profiles or first.profiles


def _check_same(file: EventFile, columns: Columns, unsure: set[str]) -> None:
    what = ""
    for name in columns.names:
        if name not in file.profiles:
            what = f"there is no column {name!r}, which the first file has. All files of a log have the same columns."
        elif file.profiles[name].kind in UNREADABLE:
            what = f"the column {name!r} is nested or of a type that cannot be read, unlike in the first file. Write it alike."
        elif name in unsure and file.profiles[name].kind == NUMBER:
            what = (
                f"the column {name!r} holds numbers, but is empty in the first {_MAX_PEEKED_FILES} files. Declare it as numeric "
                "or as categorical in `columns`."
            )
        if what:
            raise DataError("UNEXPECTED_TXT_FORMAT", what, path=file.name)


def _read_ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield ``items``, the next one being made while one is used."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, items, None)
        while True:
            item = waiting.result()
            if item is None:
                return
            waiting = pool.submit(next, items, None)
            yield item


def _log_summary(event_log: EventLog, writer: Writer, log: Log) -> None:
    counts = writer.counts
    log(f"{counts['rows']:,} events of {event_log.n_users:,} users")
    if event_log.schema.has_time:
        for line in writer.times.describe(event_log.until_us, is_until_given=writer.is_until_given):
            log(line)
    for name, (location, row) in writer.too_big.items():
        n_big = counts[f"too big {name}"]
        log(
            "warning: "
            + str(
                location.error(
                    row, f"the first of {n_big:,} number{'s' * (n_big > 1)} of {name!r} beyond 3.4e38, which count as missing"
                )
            )
        )
    if counts["late"]:
        log(f"{counts['late']:,} events after observed_until were left out")
    for what, n in (("a user", counts["no user"]), ("a behavior", counts["blank"])):
        if n:
            share = n / counts["read"]
            warning = _WARNING if share >= _MANY or what == "a user" else ""
            log(f"{warning}{n:,} of {counts['read']:,} events ({100 * share:.1f} %) without {what} were left out")
    if (heavy := writer.users.describe(event_log.n_users)) is not None:
        log(f"{_WARNING}{heavy}")
