"""Event logs: the same users from any file, order and number of threads; what is wrong is named with its place."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import zstandard
from event_data import SEED, histories, parquet, read
from modeling_data import make_source

from footfall.errors import DataError
from footfall.modeling.encoding.encode import make_feature, open_feature
from footfall.modeling.encoding.encoder import Encoder, fit_encoder
from footfall.modeling.events.formats.files import find_format
from footfall.modeling.events.log import EventLog, read_log
from footfall.modeling.events.options import LogOptions
from footfall.modeling.events.values import parse_numbers, parse_times
from footfall.modeling.reading.histories import Schema
from footfall.modeling.reading.source import Source

_count = iter(range(10**6))
START = datetime(2025, 1, 1, tzinfo=UTC)


def make_events(n_users: int = 150, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(n_users):
        for k in range(1 + n % 20):
            at = START + timedelta(minutes=int(rng.integers(200_000)), seconds=n, microseconds=k)
            what = f"{'buy' if rng.random() < 0.3 else 'see'} thing {rng.integers(12)}"
            rows.append((f"u{n}", at, what, round(float(rng.gamma(2, 10)), 2), f"shop {rng.integers(4)}"))
    names = ["user_id", "timestamp", "behavior", "amount", "place"]
    return pl.DataFrame(rows, names, orient="row").sample(fraction=1, shuffle=True, seed=seed)


def csv(frame: pl.DataFrame, name: str = "log.csv", **given: Any) -> Source:
    return make_source(frame.write_csv(**given).encode(), name)


def jsonl(frame: pl.DataFrame, name: str = "log.jsonl") -> Source:
    rows = [{k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()} for row in frame.to_dicts()]
    return make_source("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(), name)


def feature_bytes(data: EventLog | list[Source], encoder: Encoder, tmp_path: Path, **given: Any) -> dict[str, bytes]:
    directory = tmp_path / f"feature-{next(_count)}"
    make_feature(data, encoder, directory, **given)
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def as_sequences(behaviors: dict[str, list[str]]) -> Source:
    return make_source("".join(f"{id}\t{'->'.join(acts)}\n" for id, acts in behaviors.items()).encode(), "sequences")


def test_a_log_holds_every_user_oldest_event_first(tmp_path: Path) -> None:
    frame = make_events()
    expected = {
        str(id[0]): part.sort("timestamp")["behavior"].to_list() for id, part in frame.group_by("user_id", maintain_order=True)
    }
    assert histories(read(parquet(frame), tmp_path)) == expected


def test_the_same_facts_give_the_same_bytes_as_a_sequence_file(tmp_path: Path) -> None:
    log = read(parquet(make_events().sort("timestamp").select("user_id", "behavior")), tmp_path)
    source = as_sequences(histories(log))
    encoder = fit_encoder(log, seed=SEED)
    assert encoder.content_hash == fit_encoder([source], seed=SEED).content_hash
    assert feature_bytes(log, encoder, tmp_path) == feature_bytes([source], encoder, tmp_path)
    cut = {"max_tokens_per_user": 17}
    assert feature_bytes(log, encoder, tmp_path, **cut) == feature_bytes([source], encoder, tmp_path, **cut)


def test_an_encoder_of_text_sees_the_text_of_a_log_alone(tmp_path: Path) -> None:
    log = read(parquet(make_events()), tmp_path)
    source = as_sequences(histories(log))
    encoder = fit_encoder([source], seed=SEED)
    assert feature_bytes(log, encoder, tmp_path) == feature_bytes([source], encoder, tmp_path)


def test_any_format_order_and_number_of_threads_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = make_events()
    first = read(parquet(frame, row_group_size=100), tmp_path)
    encoder = fit_encoder(first, seed=SEED)
    expected = feature_bytes(first, encoder, tmp_path)
    coded = pl.Categorical
    turned = frame.sort("place", "timestamp", descending=True)
    parts = [turned[:500], turned[500:]]
    packed = make_source(zstandard.compress(b"".join(csv(turned).open())), "log.csv.zst")
    zipped = make_source(gzip.compress(b"".join(jsonl(turned).open())), "log.jsonl.gz")
    variants = [
        parquet(turned.with_columns(pl.col("timestamp").dt.convert_time_zone("Asia/Seoul"), pl.col("place").cast(coded))),
        csv(turned), csv(turned, separator=";"), packed, jsonl(turned), zipped, [parquet(part) for part in parts],
    ]  # fmt: skip
    monkeypatch.setenv("FOOTFALL_THREADS", "1")
    for variant in variants:
        log = read(variant, tmp_path)
        assert fit_encoder(log, seed=SEED).content_hash == encoder.content_hash
        assert feature_bytes(log, encoder, tmp_path) == expected


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_numbers_of_any_unit_are_times(tmp_path: Path, unit: str) -> None:
    frame = make_events(20)
    epoch = pl.col("timestamp").dt.timestamp("ns") // {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    log = read(parquet(frame.with_columns(epoch)), tmp_path)
    newest = frame["timestamp"].max()
    assert isinstance(newest, datetime)
    assert abs(log.until_us / 1e6 - newest.timestamp()) < 1


def test_events_after_the_end_of_observation_are_left_out_and_counted(tmp_path: Path) -> None:
    frame = make_events()
    until = START + timedelta(days=60)
    lines: list[str] = []
    log = read(csv(frame), tmp_path, LogOptions(observed_until=until), log=lines.append)
    assert log.n_events == int((frame["timestamp"] <= until).sum())
    assert f"{frame.height - log.n_events:,} events after observed_until were left out" in lines
    assert log.until_us == int(until.timestamp() * 1e6)
    with pytest.raises(DataError, match="before observed_until"):
        read(csv(frame), tmp_path, LogOptions(observed_until=datetime(1999, 1, 1, tzinfo=UTC)))


def test_a_last_event_in_the_future_is_warned_of(tmp_path: Path) -> None:
    lines: list[str] = []
    read(make_source(b"user_id,time,act\na,2999-01-01,x\n"), tmp_path, log=lines.append)
    assert any("lies in the future" in line for line in lines)


def warnings_of(data: bytes, tmp_path: Path, options: LogOptions = LogOptions()) -> list[str]:  # noqa: B008
    lines: list[str] = []
    read(make_source(data, "log.csv"), tmp_path, options, log=lines.append)
    return [line for line in lines if line.startswith("warning")]


def test_old_dates_and_numbers_that_count_something_else_are_warned_of(tmp_path: Path) -> None:
    [old] = warnings_of(WHEN % (b"1950-01-01", b"1951-01-01"), tmp_path)
    assert "lies before 1980; are the times really what they are taken for?" in old
    [hours] = warnings_of(WHEN % (b"13", b"9"), tmp_path)
    assert "taken for seconds since 1970" in hours
    assert "only the order of the events is right" in hours
    assert warnings_of(WHEN % (b"1735689600", b"1735689700"), tmp_path) == []


def test_how_times_are_read_is_said_in_words(tmp_path: Path) -> None:
    words = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
    for unit, scale in words.items():
        lines: list[str] = []
        read(make_source(b"user_id,ts,act\na,%d,x\n" % (1_735_689_600 * scale), "log.csv"), tmp_path, log=lines.append)
        assert f"times are {unit} since 1970" in lines
    read(make_source(WHEN % (b"2025-01-01", b"2025-01-02"), "log.csv"), tmp_path, log=lines.append)
    assert "times are dates" in lines


def test_few_events_long_after_the_others_are_told_with_a_remedy(tmp_path: Path) -> None:
    many = b"".join(b"u%d,2011-%02d-01,x\n" % (n, 1 + n % 12) for n in range(1500))
    head = b"user_id,date,act\n"
    [warnings] = warnings_of(head + many + b"a,2018-05-06 07:08:09,y\n", tmp_path)
    assert "1 event lies more than a year after all others, the last at 2018-05-06T07:08:09 UTC" in warnings
    until = datetime.fromisoformat(warnings.rpartition("such as ")[2].rstrip(".")).replace(tzinfo=UTC)
    assert datetime(2011, 12, 1, tzinfo=UTC) < until < datetime(2012, 1, 1, tzinfo=UTC)
    assert warnings_of(head + many + b"a,2018-05-06,y\n", tmp_path, LogOptions(observed_until=until)) == []
    assert warnings_of(head + many + b"a,2018-05-06,y\n" * 3, tmp_path) == []  # not so few
    assert warnings_of(head + many + b"a,2012-11-01,y\n", tmp_path) == []  # not so long
    assert warnings_of(WHEN % (b"2011-01-01", b"2018-01-01"), tmp_path) == []
    future = warnings_of(head + many + b"a,2199-01-01,y\n", tmp_path)
    assert [word in line for word, line in zip(("in the future", "1 event lies"), future, strict=True)] == [True, True]


def test_columns_are_found_by_name_and_kind(tmp_path: Path) -> None:
    text = b"CustomerID,InvoiceDate,Event,Description,Quantity,StockCode,Country\n7,2011-01-05 10:00,buy, red cup ,3,123,UK\n"
    columns = read(make_source(text), tmp_path).columns
    assert (columns.user_id, columns.timestamp, columns.behavior) == ("CustomerID", "InvoiceDate", ("Event", "Description"))
    assert (columns.numeric, columns.categorical) == (("Quantity",), ("Event", "StockCode", "Country"))
    assert histories(read(make_source(text), tmp_path)) == {"7": ["buy red cup"]}


def test_declared_columns_hold(tmp_path: Path) -> None:
    options = LogOptions(user_id="b", behavior=("a",), numeric=(), categorical=("user_id",))
    log = read(make_source(b"user_id,a,b,n\nx,y,z,1\n"), tmp_path, options)
    assert histories(log) == {"z": ["y"]}
    assert (log.schema.numeric, log.schema.categorical) == ((), ("user_id",))


HEAD = b"user_id,timestamp,behavior,amount\n"
GOOD = b"a,2025-01-01T00:00:00Z,x,1\n" * 1500


@pytest.mark.parametrize(
    ("data", "line", "name", "words"),
    [
        (HEAD + GOOD + b"b,2025-01-01,x,many\n", 1502, "UNEXPECTED_TXT_FORMAT", "'many' in the column 'amount' is no number"),
        (HEAD + GOOD + b"b,yesterday,x,1\n", 1502, "UNEXPECTED_TXT_FORMAT", "'yesterday' in the column 'timestamp' is no time"),
        (HEAD + GOOD + b"b,2025-02-30,x,1\n", 1502, "UNEXPECTED_TXT_FORMAT", "is no time"),
        (HEAD + GOOD + b"b,,x,1\n", 1502, "UNEXPECTED_TXT_FORMAT", "is no time"),
        (HEAD + GOOD + b"\xff,2025-01-01,x,1\n", 1502, "UNEXPECTED_TXT_FORMAT", "not UTF-8"),
        (HEAD + GOOD + b"%b,2025-01-01,x,1\n" % (b"i" * 101), 1502, "LIMIT_ERROR_MID_LENGTH", "longer than 100"),
        (HEAD + GOOD + b"b,2025-01-01,call 010-1234-5678,1\n", 1502, "PERSONAL_DATA_NOT_ALLOWED", "mobile"),
        (HEAD + GOOD + b"\r\nb,2025-01-01,x\n", 1503, "UNEXPECTED_TXT_FORMAT", "4 columns"),
        (b'{"user_id": "a", "act": "x"}\n{"user_id": "a"\n', 2, "UNEXPECTED_TXT_FORMAT", "no JSON"),
        (b'{"user_id": "a", "act": "x"}\n\n[1]\n', 3, "UNEXPECTED_TXT_FORMAT", "no JSON object"),
        (b'{"user_id": "a", "act": "x"}\n{"user_id": "b", "act": {"x": 1}}\n', 2, "UNEXPECTED_TXT_FORMAT", "nested"),
        (b"who,what,when\na,b,c\n", None, "UNEXPECTED_TXT_FORMAT", "no column is the user id"),
        (b"user_id,timestamp,amount\na,2025-01-01,1\n", None, "UNEXPECTED_TXT_FORMAT", "no column says what the user did"),
        (b"user_id,act,act\na,b,c\n", None, "UNEXPECTED_TXT_FORMAT", "two columns are called 'act'"),
        (b"PAR1 but no more", None, "UNEXPECTED_FILE_TYPE", "cannot be read as Parquet"),
        (HEAD, None, "NOT_EXIST_FILE", "no events"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(data: bytes, line: int | None, name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(make_source(data, "bucket/log"), tmp_path, personal_data="refuse")
    assert (caught.value.name, caught.value.line) == (name, line)
    assert words in str(caught.value)


DAYS = b"user_id,timestamp,act\na,20240131,x\nb,20240201,y\n"


WHEN = b"user_id,date,act\na,%b,x\nb,%b,y\n"
BESIDE = b"user_id,timestamp,%b,act\na,31/12/2024 10:00,2025-01-05,x\nb,30/12/2024 10:00,2025-01-05,y\n"


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (DAYS, LogOptions(), "holds dates as numbers, such as 20240131"),
        (b"user_id,time,act\na,20240131120000,x\n", LogOptions(), "holds dates as numbers, such as 20240131120000"),
        (
            WHEN % (b"202401", b"202312"),
            LogOptions(),
            "line 2: the column 'date' holds years and months as numbers, such as 202401",
        ),
        (WHEN % (b"2024", b"2023"), LogOptions(timestamp="date"), "'date' holds years as numbers, such as 2024"),
        (
            WHEN % (b"45292.5", b"45300"),
            LogOptions(),
            "'date' holds days since 1900, as spreadsheets count them, such as 45292.5",
        ),
        (WHEN % (b"19723", b"19001"), LogOptions(), "'date' holds days since 1970, such as 19723"),
        (WHEN % (b"2024010123", b"2024123100"), LogOptions(), "'date' holds dates as numbers, such as 2024010123"),
        (
            b"user_id,time,date,act\na,13,2024-12-31,x\nb,9,2024-12-31,y\n",
            LogOptions(),
            "'time' are no times: as seconds since 1970.*'date' holds dates. Name the right one",
        ),
        (b"user_id,event_time,act\na,1/31/2024 8:26,x\n", LogOptions(), "'event_time' is called as times are"),
        (BESIDE % b"loaded", LogOptions(), "'timestamp' is called as times are.*such as 'loaded', as \"timestamp\" in `columns`"),
        (BESIDE % b"created_at", LogOptions(), "'timestamp' is called as times are.*such as 'created_at'"),
        (b"user_id,time,loaded,act\na,31/12/2024,2025-01-05,x\n", LogOptions(), "'time' is called as times are"),
        (b"user_id,act\na,x\n", LogOptions(observed_until=START), "`observed_until` needs times"),
    ],
)
def test_times_are_not_lost_without_a_word(data: bytes, options: LogOptions, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        read(make_source(data, "log.csv"), tmp_path, options)


def test_what_is_called_a_time_may_be_declared_a_category(tmp_path: Path) -> None:
    data = b"user_id,day,act\na,Monday,x\nb,Friday,y\n"
    log = read(make_source(data, "log.csv"), tmp_path, LogOptions(categorical=("day",)))
    assert log.schema == Schema(has_time=False, numeric=(), categorical=("day",))


@pytest.mark.parametrize("options", [LogOptions(timestamp="loaded"), LogOptions(categorical=("timestamp",))])
def test_another_column_of_times_may_be_declared(options: LogOptions, tmp_path: Path) -> None:
    assert read(make_source(BESIDE % b"loaded", "log.csv"), tmp_path, options).columns.timestamp == "loaded"


def test_hours_beside_a_date_are_no_times_by_themselves(tmp_path: Path) -> None:
    data = b"user_id,date,time,act\na,2024-12-31,10:32:11,x\nb,2025-01-05,9:00:00,y\n"
    lines: list[str] = []
    log = read(make_source(data, "log.csv"), tmp_path, log=lines.append)
    assert (log.columns.timestamp, log.schema.categorical) == ("date", ("time",))
    warnings = [line for line in lines if line.startswith("warning: the times are those of 'date' alone; if 'time'")]
    assert len(warnings) == 1
    read(make_source(data, "log.csv"), tmp_path, LogOptions(timestamp="date"), log=lines.append)
    assert [line for line in lines if "alone" in line] == warnings


@pytest.mark.parametrize("empty", ["csv header", "csv nothing", "parquet", "jsonl"])
def test_files_without_rows_say_nothing_of_a_log(empty: str, tmp_path: Path) -> None:
    frame = make_events(20)
    write = {"csv header": csv, "csv nothing": csv, "parquet": parquet, "jsonl": jsonl}[empty]
    nothing = write(frame.clear(), "part-0") if empty != "csv nothing" else make_source(b"", "part-0")
    whole = write(frame, "part-1")
    lines: list[str] = []
    format = empty.split()[0]
    scratch = tmp_path / "log"
    scratch.mkdir()
    log = read_log([nothing, whole, nothing], format, LogOptions(), scratch, salt=SEED, log=lines.append)
    assert (log.n_events, log.schema) == (frame.height, Schema(True, ("amount",), ("place",)))
    assert lines.count("part-0 has no rows") == 2
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(DataError, match=r"^part-0: .*no file of it has a row") as caught:
        read_log([nothing], format, LogOptions(), other, salt=SEED)
    assert caught.value.name == "NOT_EXIST_FILE"


@pytest.mark.parametrize("n_rows", [1, 1500])
def test_numbers_that_are_no_json_are_missing(n_rows: int, tmp_path: Path) -> None:
    good = b'{"user_id": "a", "act": "x, NaN", "amount": 1.5}\n'
    odd = b"".join(b'{"user_id": "a", "act": "y", "amount": %b}\n' % word for word in (b"NaN", b"Infinity", b"-Infinity"))
    log = read(make_source(good * n_rows + odd, "log.jsonl"), tmp_path)
    assert histories(log) == {"a": ["x, NaN"] * n_rows + ["y"] * 3}
    facts = log.read_users((0, 1024)).histories.facts
    assert [str(value) for value in facts.number_LQ[:, 0].tolist()] == ["1.5"] * n_rows + ["nan"] * 3
    with pytest.raises(DataError, match=f"line {n_rows + 4}: the line is no JSON"):
        read(make_source(good * n_rows + odd + b'{"user_id": "a", "amount": NaN, }\n', "log.jsonl"), tmp_path)


def test_numbers_that_are_too_big_are_missing_and_told(tmp_path: Path) -> None:
    data = b"user_id,act,amount\n" + b"a,x,1\n" * 5 + b"\na,x,1e300\na,x,-1e390\na,x,inf\na,x,3e38\n"
    [warnings] = warnings_of(data, tmp_path)
    assert warnings == "warning: log.csv, line 8: the first of 2 numbers of 'amount' beyond 3.4e38, which count as missing"
    lines: list[str] = []
    table = pa.table({"user_id": ["a"] * 4, "act": ["x"] * 4, "amount": [1.0, float("inf"), float("nan"), -1e39]})
    log = read(parquet(table), tmp_path, log=lines.append)
    assert any("row group 0, row 4: the first of 1 number of 'amount'" in line for line in lines)
    assert np.isnan(log.read_users((0, 1024)).histories.facts.number_LQ[:, 0]).tolist() == [False, True, True, True]


def test_numbers_as_text_are_times_where_the_name_says_so(tmp_path: Path) -> None:
    lines = "".join(
        json.dumps({"user_id": "a", "act": "x", "code": "77", "timestamp": str(at), "loaded": "2025-09-09"}) + "\n"
        for at in (1_735_689_600_000, 1_735_689_601_000)
    )
    log = read(make_source(lines.encode(), "log.jsonl"), tmp_path)
    assert (log.columns.timestamp, log.until_us) == ("timestamp", 1_735_689_601_000_000)
    assert (log.schema.numeric, log.schema.categorical) == ((), ("code",))
    with pytest.raises(DataError, match="'timestamp' holds years and months as numbers, such as 202401"):
        read(parquet(pa.table({"user_id": ["a"], "act": ["x"], "timestamp": ["202401"]})), tmp_path)


def test_json_that_is_too_deep_is_refused_with_its_line(tmp_path: Path) -> None:
    deep = b'{"user_id": "a", "act": "x", "z": ' + b"[" * 5000 + b"]" * 5000 + b"}\n"
    for n_rows in (1, 1500):
        with pytest.raises(DataError, match=f"line {n_rows + 1}: the line is no JSON"):
            read(make_source(b'{"user_id": "a", "act": "x"}\n' * n_rows + deep + b"{}\n", "log.jsonl"), tmp_path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("format", ["csv", "jsonl", None])
def test_other_encodings_are_called_by_their_name(encoding: str, format: str | None, tmp_path: Path) -> None:
    text = '{"user_id": "a", "act": "x"}\n' if format == "jsonl" else "user_id,act\na,x\n"
    source = make_source(text.encode(encoding), "log")
    with pytest.raises(DataError, match=rf"log: the file is {encoding[:6].upper()}\. Save it as UTF-8") as caught:
        read_log([source], format or find_format(source, has_columns=False), LogOptions(), tmp_path, salt=SEED)
    assert caught.value.name == "UNEXPECTED_TXT_FORMAT"


def test_a_workbook_is_no_log() -> None:
    with pytest.raises(DataError, match=r"Excel workbook\. Save it as CSV") as caught:
        find_format(make_source(b"PK\x03\x04 and so on", "log.xlsx"), has_columns=True)
    assert caught.value.name == "UNEXPECTED_FILE_TYPE"


AMOUNTS = {"user_id": ["a", "b"], "act": ["x", "y"], "amount": [1.5, 2.0]}
BARE = {
    "parquet": parquet(pa.table(AMOUNTS | {"amount": pa.nulls(2)}), "part-0"),
    "csv": make_source(b"user_id,act,amount\na,x,\nb,y,NaN\n", "part-0"),
    "jsonl": make_source(b'{"user_id": "a", "act": "x", "amount": null}\n', "part-0"),
}


@pytest.mark.parametrize("format", BARE)
def test_a_column_that_is_empty_in_the_first_part_is_what_the_next_ones_say(format: str, tmp_path: Path) -> None:
    write = {"parquet": parquet, "csv": csv, "jsonl": jsonl}[format]
    lines: list[str] = []
    parts = [BARE[format], BARE[format], write(pl.DataFrame(AMOUNTS), "part-2")]
    log = read(parts, tmp_path, log=lines.append)
    assert (log.schema.numeric, log.schema.categorical) == (("amount",), ())
    facts = log.read_users((0, 1024)).histories.facts
    assert sorted(map(str, facts.number_LQ[:, 0].tolist())) == ["1.5", "2.0", *["nan"] * (log.n_events - 2)]
    assert [line for line in lines if line.startswith("warning")] == []


def test_what_the_first_files_cannot_tell_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("footfall.modeling.events.log._MAX_PEEKED_FILES", 2)
    parts = [BARE["parquet"], BARE["parquet"], parquet(pa.table(AMOUNTS), "part-2")]
    with pytest.raises(DataError, match=r"part-2: the column 'amount' holds numbers, but is empty in the first 2 files"):
        read(parts, tmp_path)
    assert read(parts, tmp_path, LogOptions(numeric=("amount",))).schema.numeric == ("amount",)


def test_a_column_that_is_nested_in_a_later_part_is_refused(tmp_path: Path) -> None:
    nested = pa.table(AMOUNTS | {"act": [["x"], ["y"]]})
    with pytest.raises(DataError, match="part-1: the column 'act' is nested"):
        read([parquet(pa.table(AMOUNTS), "part-0"), parquet(nested, "part-1")], tmp_path)


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_a_column_that_begins_late_is_known_by_what_comes(format: str, tmp_path: Path) -> None:
    lone, full = (b"a,x,\n", b"a,x,3\n") if format == "csv" else (
        b'{"user_id": "a", "act": "x", "amount": null}\n', b'{"user_id": "a", "act": "x", "amount": 3}\n',
    )  # fmt: skip
    head = b"user_id,act,amount\n" if format == "csv" else b""
    assert read(make_source(head + lone * 1500 + full * 2, "log"), tmp_path).schema.numeric == ("amount",)
    warnings = warnings_of(head + lone * 3, tmp_path)
    assert [line.partition(" as far")[0] for line in warnings] == ["warning: the column 'amount' is empty"]
    assert warnings_of(head + lone * 3, tmp_path, LogOptions(categorical=("amount",))) == []


def test_one_line_that_is_no_header_is_not_lost(tmp_path: Path) -> None:
    line = make_source(b'{"user_id": "a", "act": "x"}\n', "part-1")
    with pytest.raises(DataError, match="no column 'user_id', which the first file has"):
        read([make_source(b"user_id,act\na,b\n", "part-0"), line], tmp_path)
    with pytest.raises(DataError, match=r"is a JSON array.*jq -c"):
        read(make_source(b'[{"user_id": "a", "act": "x"}]\n', "log.json"), tmp_path)


def test_truths_of_json_are_numbers_and_blank_lines_of_csv_are_skipped(tmp_path: Path) -> None:
    data = b'{"user_id": "a", "act": "x", "member": true}\n{"user_id": "b", "act": "x", "member": false}\n'
    assert read(make_source(data, "log.jsonl"), tmp_path).schema.numeric == ("member",)
    log = read(make_source(b"user_id,act,note\n\na,x,%b\n\n\nb,y,2\n" % (b"n" * 200_000), "log.csv"), tmp_path)
    assert log.n_events == 2


def test_texts_are_looked_at_for_personal_data_once(tmp_path: Path) -> None:
    frame = make_events().with_columns(pl.lit("mail to x@y").alias("behavior"))  # suspect, but nobody's address
    log = read(parquet(pl.concat([frame, frame]), row_group_size=frame.height), tmp_path, personal_data="refuse")
    assert log.n_events == 2 * frame.height


def test_a_bad_row_of_parquet_is_named_by_its_row_group(tmp_path: Path) -> None:
    frame = make_events().with_columns(
        pl.when(pl.int_range(pl.len()) == 742).then(None).otherwise("timestamp").alias("timestamp")
    )
    with pytest.raises(DataError, match="row group 2, row 143: the column 'timestamp' is empty"):
        read(parquet(frame, row_group_size=300), tmp_path)


def test_a_declared_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column 'kind'.*user_id \(text\), act \(text\)"):
        read(make_source(b"user_id,act\na,b\n"), tmp_path, LogOptions(categorical=("kind",)))
    with pytest.raises(DataError, match="no column 'amount', which the first file has"):
        read([make_source(b"user_id,act,amount\na,b,1\n"), make_source(b"user_id,act\na,b\n", "two")], tmp_path)


def test_a_nested_column_is_left_out_unless_it_is_declared(tmp_path: Path) -> None:
    table = pa.table({"user_id": ["a"], "act": ["x"], "basket": [[1, 2]]})
    assert read(parquet(table), tmp_path).schema.categorical == ()
    with pytest.raises(DataError, match="'basket' is nested"):
        read(parquet(table), tmp_path, LogOptions(numeric=("basket",)))


def coded(values: list[str | None]) -> pa.Array:
    return pa.array(values).dictionary_encode()


CATEGORIES = [f"c{i}" for i in range(9999)]
ODD: dict[str, pa.Table] = {
    "one user, one event": pa.table({"user_id": ["a"], "timestamp": [5], "act": ["x"], "n": [1.0]}),
    "all times equal": pa.table({"user_id": list("abca"), "timestamp": [7] * 4, "act": list("xyzx"), "n": [1, 2, 3, 4]}),
    "all users alike": pa.table({"user_id": [f"u{i}" for i in range(50)], "act": ["x"] * 50, "n": [1.0] * 50}),
    "nan and infinite": pa.table({"user_id": list("aab"), "act": list("xyz"), "n": [float("nan"), float("inf"), 1e300]}),
    "numbers as text": pa.table({"user_id": list("aab"), "act": list("xyz"), "n": ["1", "NaN", ""]}),
    "numeric ids": pa.table({"user_id": [1.0, 2.0, 1.0], "act": [10, 11, 12], "n": [True, None, False]}),
    "case and blanks": pa.table({"user_id": ["a", "A", "a "], "act": ["x", "x ", " x"], "n": [1, 2, 3]}),
    "blank behaviors": pa.table({"user_id": ["a", "b", "b"], "act": ["x", None, "  "], "n": [1, 2, 3]}),
    "many categories": pa.table({"user_id": [f"u{i % 99}" for i in range(9999)], "act": ["x"] * 9999, "c": CATEGORIES}),
    "dictionaries": pa.table({"user_id": coded(["a", "b"]), "act": coded(["x", "y"]), "c": coded(["k", None])}),
}  # fmt: skip


@pytest.mark.parametrize("what", ODD)
def test_odd_logs_become_features(what: str, tmp_path: Path) -> None:
    table = ODD[what]
    options = LogOptions(numeric=("n",)) if "n" in table.column_names else LogOptions()
    log = read(parquet(table), tmp_path, options)
    encoder = fit_encoder(log, seed=SEED)
    make_feature(log, encoder, tmp_path / "feature")
    ids = {str(int(id)) if isinstance(id, float) else id for id in table["user_id"].to_pylist()}
    assert set(histories(log)) == ids
    feature = open_feature(tmp_path / "feature")
    assert feature.user_count == len(ids)
    for block in feature.read_blocks():
        assert np.isfinite(block.latent_ND.view(np.float16)).all()
        assert np.isfinite(block.inverse_NK).all()


def test_a_log_of_many_chunks_and_blocks_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = make_events(400)
    expected = histories(read(parquet(frame), tmp_path))
    monkeypatch.setattr("footfall.modeling.events.writer.CHUNK_ROWS", 700)
    monkeypatch.setattr("footfall.modeling.events.formats.parquet.BATCH_ROWS", 300)
    log = read(parquet(frame), tmp_path)
    assert len(log.plan_blocks(100)) > 20
    assert histories(log) == expected
    assert list(histories(log)) == list(expected)


def test_texts_beyond_the_table_get_new_numbers_and_the_same_feature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = make_events(300)
    expected = histories(read(csv(frame), tmp_path))
    monkeypatch.setattr("footfall.modeling.events.texts.MAX_SLOTS", 1 << 12)
    monkeypatch.setattr("footfall.modeling.events.texts._NEW_ROWS", 1 << 6)
    wide = frame.with_columns(place=pl.int_range(pl.len()).cast(pl.String))
    assert histories(read(csv(wide), tmp_path)) == expected


def pack(texts: list[str]) -> tuple[Any, Any]:
    data = [text.encode() for text in texts]
    return np.frombuffer(b"".join(data) or b"\0", np.uint8), np.cumsum([0, *map(len, data)]).astype(np.int64)


@pytest.mark.parametrize("text", ["1", "-2.5", "+3e2", "1e-3", " 7 ", ".5", "123456789.25", "0"])
def test_numbers_are_read_as_python_reads_them(text: str) -> None:
    out = np.empty(1)
    assert parse_numbers(*pack([text]), out) == -1
    assert out[0] == pytest.approx(float(text), rel=1e-15)


@pytest.mark.parametrize(
    "text", ["", "nan", "NULL", "None", "-inf", "Infinity", "n/a", "\\N", "1,5", "0x10", "1e", "e5", "1 2", "--1"]
)
def test_what_is_missing_or_no_number(text: str) -> None:
    out = np.empty(1)
    is_missing = text in ("", "nan", "NULL", "None", "-inf", "Infinity", "n/a", "\\N")
    assert (parse_numbers(*pack([text]), out) == -1) is is_missing
    if is_missing:
        assert np.isnan(out[0])


def times() -> Iterator[tuple[str, datetime]]:
    for text in ("2025-03-31T14:05:00Z", "2025-03-31 14:05", "2025-03-31", "2024-02-29T23:59:59.123456+09:00",
                 "1969-12-31T23:00:00-03:30", "2000-01-01 00:00:00.5"):  # fmt: skip
        at = datetime.fromisoformat(text)
        yield text, at.replace(tzinfo=at.tzinfo or UTC)


@pytest.mark.parametrize(("text", "at"), list(times()))
def test_times_are_read_as_python_reads_them(text: str, at: datetime) -> None:
    out = np.empty(1, np.int64)
    assert parse_times(*pack([text]), np.nan, out) == -1
    assert out[0] == (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize("text", ["2025-13-01", "2025-02-29", "2025-01-01T25:00", "2025-1-1", "noon", "", "2025-01-01T10:00+99"])
def test_what_is_no_time(text: str) -> None:
    assert parse_times(*pack([text]), np.nan, np.empty(1, np.int64)) == 0
