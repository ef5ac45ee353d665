"""Data sets that are more than their files: columns in names of directories, tables of Delta Lake, Iceberg and Hudi."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from footfall.errors import DataError
from footfall.jobs.inputs import open_sources
from footfall.modeling.events.event_log import EventLog
from footfall.modeling.events.formats.files import find_format
from footfall.modeling.events.log import read_log
from footfall.modeling.events.options import LogOptions
from footfall.stores import tables
from footfall.stores.buckets import Buckets
from footfall.stores.names import StoreLocation

ROWS = [
    {"user_id": f"u{i % 9}", "event": ("view", "buy")[i % 2], "day": f"2024-04-{1 + i % 20:02}", "n": i % 5} for i in range(120)
]


class Shop:
    """A bucket in a directory."""

    def __init__(self, root: Path) -> None:
        self.root, self.directory = root, root / "buckets" / "shop"
        (root / "buckets").mkdir()
        self.buckets = Buckets(StoreLocation(url=f"file://{root}/buckets"))
        self.buckets.create("shop")
        self.n = 0

    def put(self, key: str, rows: list[dict[str, Any]], without: tuple[str, ...] = ()) -> None:
        out = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows).drop_columns(list(without)), out)
        self.write(key, out.getvalue())

    def write(self, key: str, data: bytes = b"") -> None:
        path = self.directory / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def read(self, path: str, **options: Any) -> EventLog:
        self.n += 1
        scratch = self.root / f"scratch-{self.n}"
        scratch.mkdir()
        sources = open_sources(self.buckets, "shop", path, scratch, print)
        format = find_format(sources[0], has_columns=False)
        return read_log(sources, format, LogOptions(**options), scratch, salt=1)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_directories_of_hive_are_columns(shop: Shop) -> None:
    for event in ("view", "buy"):
        shop.put(f"by_type/event={event}/part-0.parquet", [row for row in ROWS if row["event"] == event], ("event",))
    shop.write("by_type/_SUCCESS")
    shop.write("by_type/_temporary/event=no/part-1.parquet", b"no")
    log = shop.read("by_type/")
    assert (log.columns.behavior, log.n_events) == (("event",), 120)
    found = {column.name: column for column in log.found}
    assert sorted(found["event"].examples) == ["buy", "view"]
    assert shop.read("by_type/event=buy/", behavior=("day",)).n_events == 60


def test_the_day_of_a_directory_is_the_time(shop: Shop) -> None:
    for day in sorted({row["day"] for row in ROWS}):
        lines = "".join(f"{row['user_id']},{row['event']}\n" for row in ROWS if row["day"] == day)
        shop.write(f"by_day/dt={day}/part-0.csv", f"user_id,event\n{lines}".encode())
    log = shop.read("by_day")
    assert log.columns.timestamp == "dt"
    assert log.until_us == 1_713_571_200_000_000
    assert shop.read("by_day", timestamp="dt").n_events == 120


def test_names_of_directories_are_decoded_none_is_missing_and_the_file_wins(shop: Shop) -> None:
    shop.put("log/at=2024-04-01%2010%3A00/place=a%2Fb/event=wrong/a.parquet", ROWS[:60])
    shop.put("log/at=2024-04-02%2010%3A00/place=__HIVE_DEFAULT_PARTITION__/event=wrong/a.parquet", ROWS[60:])
    log = shop.read("log")
    found = {column.name: column for column in log.found}
    assert (found["place"].examples, found["place"].missing, found["place"].role) == (["a/b"], 0.5, "categorical")
    assert found["at"].examples == ["2024-04-01 10:00", "2024-04-02 10:00"]
    assert found["event"].examples == ["view", "buy"]
    assert shop.read("log", timestamp="at").until_us == 1_712_052_000_000_000


@pytest.mark.parametrize(
    ("mark", "format"), [("_delta_log/0.json", "Delta Lake"), ("metadata/v1.metadata.json", "Apache Iceberg")]
)
def test_without_its_library_a_table_is_refused_from_everywhere_in_it(
    mark: str, format: str, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "find_spec", lambda name: None)
    shop.put("in/table/data/part-0.parquet", ROWS)
    shop.write(f"in/table/{mark}", b"{}")
    for path in ("in/table", "in/table/", "in/table/data", "in/table/data/", "in/table/data/part-0.parquet"):
        with pytest.raises(
            DataError, match=rf"in/table/ is a table of {format}.*install `footfall\[(delta|iceberg)\]`"
        ) as caught:
            shop.read(path)
        assert caught.value.name == "UNEXPECTED_FILE_TYPE"
    with pytest.raises(DataError, match=r"below this path lies a table .* in/table/.*Give the path of the table itself"):
        shop.read("in/")


def test_hudi_is_refused(shop: Shop) -> None:
    shop.put("table/part-0.parquet", ROWS)
    shop.write("table/.hoodie/hoodie.properties", b"x")
    with pytest.raises(DataError, match=r"table of Apache Hudi, which is not read.*Export its rows"):
        shop.read("table")


def test_directories_that_are_called_like_those_of_tables_are_none(shop: Shop) -> None:
    shop.put("log/metadata/part-0.parquet", ROWS)
    assert shop.read("log").n_events == 120


def test_a_delta_table_is_what_its_log_says(shop: Shop) -> None:
    delta = pytest.importorskip("deltalake")
    target = str(shop.directory / "events")
    table = pa.Table.from_pylist(ROWS)
    delta.write_deltalake(target, table.slice(0, 60), partition_by=["event"])
    delta.write_deltalake(target, table.slice(60), mode="append")
    stored = delta.DeltaTable(target)
    stored.optimize.compact()
    stored.delete("user_id = 'u3'")
    log = shop.read("events")
    assert log.n_events == sum(row["user_id"] != "u3" for row in ROWS)
    assert (log.columns.behavior, log.n_users) == (("event",), 8)
    assert shop.read("events/event=buy").n_events < log.n_events
    stored.create_checkpoint()
    assert shop.read("events/").n_events == log.n_events
    shop.write("events/_delta_log/00000000000000000004.json", b'{"add": {"path": "gone.parquet"}}')
    with pytest.raises(DataError, match=r"log of the Delta table cannot be read|which is not in the store"):
        shop.read("events")


def test_an_iceberg_table_is_what_its_metadata_say(shop: Shop, tmp_path: Path) -> None:
    pytest.importorskip("pyiceberg")
    memory = pytest.importorskip("pyiceberg.catalog.memory")
    catalog = memory.InMemoryCatalog("c", warehouse=f"file://{tmp_path}/warehouse")
    catalog.create_namespace("ns")
    table = pa.Table.from_pylist(ROWS)
    stored = catalog.create_table("ns.events", table.schema)
    stored.append(table.slice(0, 60))
    stored.append(table.slice(60))
    stored.delete("user_id = 'u3'")
    (tmp_path / "warehouse" / "ns" / "events").rename(shop.directory / "events")
    for path in ("events", "events/", "events/data", "events/data/"):
        log = shop.read(path)
        assert (log.n_events, log.n_users) == (sum(row["user_id"] != "u3" for row in ROWS), 8)
    newest = max((shop.directory / "events" / "metadata").glob("*.json"))
    newest.write_text(json.dumps({"format-version": 2}))
    with pytest.raises(DataError, match="metadata of the Iceberg table cannot be read"):
        shop.read("events")
