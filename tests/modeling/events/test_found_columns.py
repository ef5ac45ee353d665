"""Columns of logs as other tools write them: found by any spelling and by what they hold, and what was found is said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from event_data import histories, parquet, read
from modeling_data import make_source

from footfall.errors import DataError
from footfall.modeling.events.event_log import EventLog
from footfall.modeling.events.formats.files import find_format
from footfall.modeling.events.log import read_log
from footfall.modeling.events.names import names_person
from footfall.modeling.events.options import LogOptions

RNG = np.random.default_rng(3)
N = 240
ITEMS = RNG.integers(1000, 400_000, 60)


def table(head: str, row: Callable[[int], str], n: int = N) -> bytes:
    return "\n".join([head, *(row(i) for i in range(n)), ""]).encode()


def read_bytes(data: bytes, tmp_path: Path, options: LogOptions = LogOptions(), name: str = "log") -> EventLog:  # noqa: B008
    return read(make_source(data, name), tmp_path, options)


def numbers(log: EventLog, name: str) -> list[float]:
    facts = log.read_users((0, 1024)).histories.facts
    assert facts is not None
    return sorted(facts.number_LQ[:, log.schema.numeric.index(name)].tolist())


ID_NAMES = ["item_id", "itemid", "itemId", "ITEMID", "ITEM_ID", "productid", "productId", "article_number", "articlenumber",
            "ArticleNo", "item_id:token", "sku", "product-code", "Product ID"]  # fmt: skip


@pytest.mark.parametrize("name", ID_NAMES)
def test_an_item_is_one_however_its_column_is_spelled(name: str, tmp_path: Path) -> None:
    data = table(f"timestamp,visitorid,event,{name}", lambda i: f"{1711929600 + i},{i % 40},view,{ITEMS[i * 7 % 60]}")
    columns = read_bytes(data, tmp_path).columns
    assert (columns.user_id, columns.timestamp, columns.behavior) == ("visitorid", "timestamp", ("event", name))
    assert columns.numeric == ()


OTHER_IDS = ["transactionid", "TRANSACTIONID", "basketid", "ordernumber", "storekey", "cartNo", "campaign_nr", "idaction_url",
             "id_order", "idSite"]  # fmt: skip


@pytest.mark.parametrize("name", OTHER_IDS)
def test_ids_are_never_amounts(name: str, tmp_path: Path) -> None:
    data = table(f"user_id,event,{name},amount", lambda i: f"{i % 40},view,{5000 + i * 37 % 400},{i % 7}.5")
    assert read_bytes(data, tmp_path).schema.numeric == ("amount",)


@pytest.mark.parametrize("name", ["paid", "bid", "number_of_items", "buy_num", "is_valid"])
def test_amounts_are_no_ids_although_their_names_end_alike(name: str, tmp_path: Path) -> None:
    data = table(f"user_id,event,{name}", lambda i: f"{i % 40},view,{i * 5 % 7}")
    assert read_bytes(data, tmp_path).schema.numeric == (name,)


def test_long_numbers_of_one_length_are_ids_whatever_they_are_called(tmp_path: Path) -> None:
    data = table("user_id,event,reference,bytes", lambda i: f"{i % 40},view,{4_000_000_000_000 + i * 7919},{10 ** (i % 12)}")
    log = read_bytes(data, tmp_path)
    assert (log.schema.numeric, log.schema.categorical) == (("bytes",), ("reference",))


@pytest.mark.parametrize(
    "name",
    ["user_pseudo_id", "visitorId", "distinct_id", "anonymous_id", "amplitude_id", "household_key", "card_id", "msno",
     "Customer Key", "USERID", "user_id:token", "fullVisitorId", "idvisitor", "player_id", "memberNo"],
)  # fmt: skip
def test_users_are_found_by_any_name(name: str, tmp_path: Path) -> None:
    data = table(f"{name},event", lambda i: f"a{i % 9},view")
    assert read_bytes(data, tmp_path).columns.user_id == name


@pytest.mark.parametrize(
    "name", ["time_stamp", "TimeStamp", "trans_date", "t_dat", "eventdate", "timestamp:float", "server_time"]
)
def test_times_are_found_by_any_name(name: str, tmp_path: Path) -> None:
    data = table(f"user_id,event,{name}", lambda i: f"a{i % 9},view,{1711929600 + i * 60}")
    assert read_bytes(data, tmp_path).columns.timestamp == name


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index", "level_0", "n", "__index_level_0__", "event_id"])
def test_numbers_of_rows_are_no_features(name: str, tmp_path: Path) -> None:
    head = name or '""'
    log = read_bytes(table(f"{head},user_id,event,amount", lambda i: f"{i},u{i % 9},view,{i % 7}"), tmp_path)
    assert (log.schema.numeric, log.schema.categorical) == (("amount",), ())
    [unused] = [column for column in log.found if column.role == "not used"]
    assert unused.name == (name or "(column 1)")
    assert "rows" in unused.note


def test_an_index_that_was_shuffled_is_none_and_one_that_pandas_names_is_none(tmp_path: Path) -> None:
    order = RNG.permutation(N)
    log = read_bytes(table("index,user_id,event,amount", lambda i: f"{order[i]},u{i % 9},view,{i % 7}"), tmp_path)
    assert log.schema.numeric == ("amount",)
    rows = pa.table({"kept": np.sort(RNG.permutation(9 * N)[:N]), "user_id": ["a", "b"] * (N // 2), "event": ["x"] * N})
    named = rows.replace_schema_metadata({b"pandas": b'{"index_columns": ["kept"]}'})
    assert read(parquet(rows), tmp_path).schema.numeric == ("kept",)
    assert read(parquet(named), tmp_path).schema.numeric == ()


def test_a_column_that_counts_rows_is_still_the_user_or_the_time(tmp_path: Path) -> None:
    log = read_bytes(table("user_id,ts,event", lambda i: f"{i},{1711929600 + i},view"), tmp_path)
    assert (log.columns.user_id, log.columns.timestamp, log.n_users) == ("user_id", "ts", N)


@pytest.mark.parametrize("share", [0, 5])
def test_the_better_filled_column_is_the_user_and_that_is_said(share: int, tmp_path: Path) -> None:
    rows = [
        {"user_id": f"m{i}" if share and i % share == 0 else None, "user_pseudo_id": f"p{i % 40}", "event_name": "view"}
        for i in range(N)
    ]
    log = read_bytes("".join(json.dumps(row) + "\n" for row in rows).encode(), tmp_path)
    assert (log.columns.user_id, log.n_users) == ("user_pseudo_id", 40)
    [warning] = [line for line in log.warnings if "user_id" in line]
    assert f"{80 if share else 100} % of its first values are missing; 'user_pseudo_id'" in warning
    assert read_bytes(table("user_id,event", lambda i: f"a{i % 9},view"), tmp_path).warnings == ()


def test_an_empty_user_column_is_refused_with_another_that_would_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"column 'user_id' is empty.*'session_id' would do"):
        read_bytes(table("user_id,session_id,event", lambda i: f",s{i % 40},view"), tmp_path)


NOTHING = ["", "  ", "NA", "nan", "NaN", "None", "none", "NULL", "null", "\\N", "(not set)", "<NA>", "N/A", "undefined"]


@pytest.mark.parametrize("word", NOTHING)
def test_events_without_a_user_are_left_out_and_counted(word: str, tmp_path: Path) -> None:
    log = read_bytes(table("user_id,event,n", lambda i: f"{word if i % 8 == 0 else f'u{i % 7}'},view,{i % 5}"), tmp_path)
    assert set(histories(log)) == {f"u{i}" for i in range(7)}
    assert log.n_events == N - 30
    assert any("30 of 240 events (12.5 %) without a user were left out" in line for line in log.warnings)
    assert next(column for column in log.found if column.role == "user_id").missing == 0.125


def test_more_than_half_without_a_user_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="160 of 240 events have no user id in the column 'user_id'"):
        read_bytes(table("user_id,event", lambda i: f"{'NA' if i % 3 else 'u1'},view"), tmp_path)


@pytest.mark.parametrize("word", ["", "NA", "NaN", "None", "NULL", "\\N", "(not set)"])
def test_missing_is_missing_in_every_column(word: str, tmp_path: Path) -> None:
    def row(i: int) -> str:
        return (
            f"u{i % 7},view,{word if i % 4 == 0 else f'page {i % 5}'},{word if i % 4 == 0 else 2},{word if i % 4 == 0 else 'k'}"
        )

    log = read_bytes(table("user_id,event,page,amount,place", row), tmp_path)
    assert {act for acts in histories(log).values() for act in acts} == {"view", *(f"view page {i}" for i in range(5))}
    missing = {column.name: column.missing for column in log.found}
    assert (missing["amount"], missing["place"], log.schema.numeric) == (0.25, 0.25, ("amount",))


def test_words_that_look_like_nothing_are_kept_where_they_mean_something(tmp_path: Path) -> None:
    log = read_bytes(table("user_id,event,coupon", lambda i: f"na,view,{('none', '(none)')[i % 2]}"), tmp_path)
    assert set(histories(log)) == {"na"}
    assert next(column for column in log.found if column.name == "coupon").missing == 0


def test_a_word_for_nobody_that_is_nobody_elses_is_warned_of(tmp_path: Path) -> None:
    data = table("user_id,event", lambda i: f"{'unknown' if i % 3 == 0 else f'u{i}'},view", n=1200)
    log = read_bytes(data, tmp_path)
    assert any("one user has 33.3 % of all events, 400 times as many as most" in line for line in log.warnings)


WRITTEN = {
    "decimal comma": lambda a: f'"{a:.2f}"'.replace(".", ","),
    "euro": lambda a: f'"{a:.2f} €"'.replace(".", ","),
    "dollar": lambda a: f"${a:.2f}",
    "dollar behind a sign": lambda a: f"-${a:.2f}",
    "brackets": lambda a: f"({a:.2f})",
    "code": lambda a: f"EUR {a:.2f}",
    "per cent": lambda a: f"{a:.2f} %",
    "thousands by comma": lambda a: f'"{1000 * a:,.2f}"',
    "thousands by point": lambda a: f'"{1000 * a:,.2f}"'.replace(",", "x").replace(".", ",").replace("x", "."),
    "thousands by blank": lambda a: f"{1000 * a:,.2f}".replace(",", " "),
    "thousands by no-break blank": lambda a: f'"{1000 * a:,.2f}"'.replace(",", "\u202f").replace(".", ","),
    "thousands by quote": lambda a: f"{1000 * a:,.2f}".replace(",", "'"),
    "millions by point": lambda a: f"{int(1e6 * a):,}".replace(",", "."),
    "whole won": lambda a: f'"₩{int(1000 * a):,}"',
}
SCALE = {"per cent": 1, "millions by point": 1e6, "whole won": 1000, "dollar behind a sign": -1, "brackets": -1}


@pytest.mark.parametrize("how", WRITTEN)
def test_numbers_as_people_write_them_are_numbers(how: str, tmp_path: Path) -> None:
    amounts = [round(20 + i * 0.37, 2) for i in range(N)]
    log = read_bytes(table("user_id,event,amount", lambda i: f"u{i % 9},buy,{WRITTEN[how](amounts[i])}"), tmp_path)
    scale = SCALE.get(how, 1000 if "thousands" in how else 1)
    assert (log.schema.numeric, log.schema.categorical) == (("amount",), ())
    assert numbers(log, "amount") == pytest.approx(sorted(scale * a for a in amounts), rel=1e-4)
    if how != "brackets":
        assert next(column for column in log.found if column.name == "amount").note.startswith("decimal ")


def test_whole_thousands_beside_small_numbers_are_thousands(tmp_path: Path) -> None:
    log = read_bytes(table("user_id;event;amount", lambda i: f"u{i % 9};buy;{i * 37 + 5:,}"), tmp_path)
    assert numbers(log, "amount") == [i * 37 + 5 for i in range(N)]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (lambda i: f"{1 + i % 9},{100 + i % 800}", "a comma before three digits"),
        (lambda i: f"{i}.50 {'€$'[i % 2]}", "numbers with '$' and '€'"),
        (lambda i: (f"{i},50", f"{i}.25")[i % 2], "some of its numbers have a decimal comma and some a decimal point"),
        (lambda i: f"{i},50" if i % 8 else "cheap", "most of its values are numbers, but not all"),
        (lambda i: f"{i},5{' %' if i % 2 else ''}", "some of its numbers are per cents and some are not"),
    ],
)
def test_numbers_that_cannot_be_told_are_never_categories_in_silence(
    value: Callable[[int], str], why: str, tmp_path: Path
) -> None:
    data = table("user_id;event;amount", lambda i: f"u{i % 9};buy;{value(i)}")
    log = read_bytes(data, tmp_path)
    assert log.schema.categorical == ("amount",)
    [warning] = log.warnings
    assert "'amount' looks like numbers, but is taken for a category" in warning
    assert why in warning
    with pytest.raises(DataError, match="in the column 'amount' is no number"):
        read_bytes(data, tmp_path, LogOptions(numeric=("amount",)))


@pytest.mark.parametrize(
    "values", [("S", "M", "38"), ("shop 1", "shop 2"), ("10.0.0.1", "10.0.0.2"), ("12:30", "9:15"), ("1.2.3",)]
)
def test_texts_with_digits_are_no_numbers(values: tuple[str, ...], tmp_path: Path) -> None:
    log = read_bytes(table("user_id,event,size", lambda i: f"u{i % 9},buy,{values[i % len(values)]}"), tmp_path)
    assert (log.schema.categorical, log.warnings) == (("size",), ())


def test_what_is_empty_takes_no_place_of_another(tmp_path: Path) -> None:
    data = table(
        "user_id,event," + ",".join(f"empty{k}" for k in range(9)) + ",town", lambda i: f"u{i % 9},buy,,,,,,,,,,t{i % 3}"
    )
    assert read_bytes(data, tmp_path).schema.categorical[0] == "town"


def test_halves_of_ids_are_no_amounts_though_they_come_again(tmp_path: Path) -> None:
    data = table("user_id,event,visid_high", lambda i: f"u{i % 9},view,{3 * 10**18 + i % 9 * 10**15}")
    assert read_bytes(data, tmp_path).schema.categorical == ("visid_high",)


def test_short_lists_that_come_again_are_no_thousands(tmp_path: Path) -> None:
    log = read_bytes(table("user_id\tevent\tevents", lambda i: f"u{i % 9}\tview\t{('12,200', '2', '')[i % 3]}"), tmp_path)
    assert log.schema.categorical == ("events",)
    assert "may be one of thousands" in log.warnings[0]


def test_codes_that_are_mostly_digits_are_no_numbers(tmp_path: Path) -> None:
    """Invoices of which the few that were cancelled begin with a letter."""
    log = read_bytes(table("user_id,event,belongs", lambda i: f"u{i % 9},buy,{'C' * (i % 50 == 7)}{536365 + i // 3}"), tmp_path)
    assert (log.schema.categorical, log.warnings) == (("belongs",), ())


def test_a_number_written_unlike_the_others_is_refused_by_its_line(tmp_path: Path) -> None:
    data = table("user_id;event;amount", lambda i: f"u{i % 9};buy;{i},25 €", n=1500)
    with pytest.raises(
        DataError, match=r"line 1502: '3 \$' in the column 'amount' is no number as the others are written .*comma"
    ):
        read_bytes(data + b"u1;buy;3 $\n", tmp_path)


def test_amounts_as_text_in_typed_files_are_numbers_and_whole_ones_are_told(tmp_path: Path) -> None:
    rows = [
        {"user_id": f"u{i % 9}", "event": "buy", "price": f"{i}.50", "cost": f"{i},50 €", "quantity": str(i % 5)}
        for i in range(N)
    ]
    log = read_bytes("".join(json.dumps(row) + "\n" for row in rows).encode(), tmp_path)
    assert (log.schema.numeric, log.schema.categorical) == (("price", "cost"), ("quantity",))
    assert "declare it as numeric" in next(column.note for column in log.found if column.name == "quantity")


def times(bad: str, at: int = 200) -> bytes:
    return table("user_id,ts,event", lambda i: f"u{i % 9},{bad if i == at else 1714758154 + i},view")


@pytest.mark.parametrize("bad", ["N/A", "unknown", "\\N", "0000-00-00 00:00:00", "", "-", "NULL", "yesterday"])
def test_the_time_that_differs_from_the_others_is_the_bad_one(bad: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_bytes(times(bad), tmp_path)
    assert caught.value.line == 202
    assert f"{bad!r} in the column 'ts' is no time" in str(caught.value)
    assert "1714758154" not in str(caught.value)
    rows = [{"user_id": "a", "ts": bad if i == 200 else str(1714758154 + i), "event": "x"} for i in range(N)]
    with pytest.raises(DataError, match="line 201: "):
        read_bytes("".join(json.dumps(row) + "\n" for row in rows).encode(), tmp_path)


def test_a_header_that_comes_again_is_called_one(tmp_path: Path) -> None:
    again = times("ts").replace(b"u2,ts,view", b"user_id,ts,event")
    with pytest.raises(DataError, match="line 202: the header comes again"):
        read_bytes(again, tmp_path)
    texts = table("user_id,event", lambda i: "user_id,event" if i == 100 else f"u{i % 9},view")
    with pytest.raises(DataError, match="line 102: the header comes again"):
        read_bytes(texts, tmp_path)
    with pytest.raises(DataError, match="line 202: the header comes again"):
        read_bytes(times("ts"), tmp_path)


def test_a_time_among_numbers_is_read_and_one_long_before_the_others_is_warned_of(tmp_path: Path) -> None:
    assert read_bytes(times("2024-05-03T17:42:34Z"), tmp_path).warnings == ()
    [warning] = read_bytes(times("0"), tmp_path).warnings
    assert "1 event lies more than a year before all others, about 1970 as the number 0 does" in warning
    assert "the others begin about 2024-0" in warning


MIXPANEL = [
    {
        "event": "Page View",
        "properties": {"time": 1711929600 + i, "distinct_id": f"u{i % 9}", "page": f"p{i % 4}", "amount": i / 7},
    }
    for i in range(N)
]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_fields_of_objects_are_columns_by_their_path(format: str, tmp_path: Path) -> None:
    source = make_source(lines(MIXPANEL), "log") if format == "jsonl" else parquet(pa.Table.from_pylist(MIXPANEL))
    log = read(source, tmp_path)
    columns = log.columns
    assert (columns.user_id, columns.timestamp) == ("properties.distinct_id", "properties.time")
    assert columns.behavior == ("event", "properties.page")
    assert columns.numeric == ("properties.amount",)
    assert set(histories(log)) == {f"u{i}" for i in range(9)}
    assert log.until_us == (1711929600 + N - 1) * 10**6


def test_deeper_fields_are_used_when_they_are_declared(tmp_path: Path) -> None:
    rows = [{"userId": f"u{i % 9}", "event": "x", "context": {"page": {"title": f"t{i % 3}"}, "ip": "0.0.0.0"}} for i in range(N)]
    log = read_bytes(lines(rows), tmp_path)
    assert log.schema.categorical == ("context.ip",)
    assert "declare it" in next(column.note for column in log.found if column.name == "context.page.title")
    log = read_bytes(lines(rows), tmp_path, LogOptions(behavior=("event", "context.page.title")))
    assert histories(log)["u0"][0] == "x t0"


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_pairs_of_keys_and_values_are_fields(format: str, tmp_path: Path) -> None:
    def pair(key: str, **value: Any) -> dict[str, Any]:
        return {"key": key, "value": {"string_value": None, "int_value": None} | value}

    def row(i: int) -> dict[str, Any]:
        params = [pair("page_title", string_value=f"t{i % 3}"), pair("engagement", int_value=i % 5)]
        return {"user_pseudo_id": f"u{i % 9}", "event_name": "page_view", "event_params": params}

    rows = [row(i) for i in range(N)]
    log = read(make_source(lines(rows), "log") if format == "jsonl" else parquet(pa.Table.from_pylist(rows)), tmp_path)
    assert log.columns.behavior == ("event_name", "event_params.page_title")
    assert log.schema.numeric == ("event_params.engagement",)
    assert histories(log)["u0"][0] == "page_view t0"


def test_a_list_of_events_is_named_in_the_refusal(tmp_path: Path) -> None:
    rows = [{"session": i, "events": [{"aid": 1, "ts": 2, "type": "clicks"}]} for i in range(N)]
    with pytest.raises(DataError, match=r"events \(list\).*The column 'events' holds lists.*jq -c"):
        read_bytes(lines(rows), tmp_path)


def test_a_list_that_is_not_used_is_warned_of(tmp_path: Path) -> None:
    rows = [{"visitorId": f"u{i % 9}", "type": "visit", "actionDetails": [{"url": "a"}, {"url": "b"}]} for i in range(N)]
    [warning] = read_bytes(lines(rows), tmp_path).warnings
    assert "lists are not used: actionDetails" in warning


@pytest.mark.parametrize("data", [json.dumps([{"user_id": "a", "event": "x"}] * 3), json.dumps([{"user_id": "a"}], indent=2)])
@pytest.mark.parametrize("format", ["auto", "csv", "jsonl"])
def test_an_array_is_told_and_not_quoted(data: str, format: str, tmp_path: Path) -> None:
    source = make_source(data.encode())
    with pytest.raises(DataError, match=r"is a JSON array.*jq -c '.\[\]'") as caught:
        read_log([source], find_format(source, has_columns=False) if format == "auto" else format, LogOptions(), tmp_path, salt=1)
    assert "user_id" not in str(caught.value)


HEADLESS = {
    "taobao": (lambda i: f"{7165 + i % 9},{2268318 + i % 13},{i % 97},pv,{1714758154 + i}", ","),
    "movielens": (lambda i: f"{7165 + i % 9}\t{i % 13}\t{1 + i % 5}\t{1714758154 + i}", "\\t"),
    "lastfm": (lambda i: f"user_7165{i % 9}\t2024-01-{1 + i % 28:02}T10:00:00Z\tid{i}\tname {i % 7}\t\tview", "\\t"),
    "texts": (lambda i: f"u7165{i % 9},2024-01-{1 + i % 28:02} 10:00:00,view,home {i % 3}", ","),
    "words": (lambda i: f"u7165{i % 9};view;home", ";"),
}  # fmt: skip


@pytest.mark.parametrize("what", HEADLESS)
@pytest.mark.parametrize("options", [LogOptions(), LogOptions(user_id="7165")])
def test_a_file_without_a_header_is_told_what_to_write_above_it(what: str, options: LogOptions, tmp_path: Path) -> None:
    row, separator = HEADLESS[what]
    with pytest.raises(DataError, match="the file has no header line") as caught:
        read_bytes("".join(row(i) + "\n" for i in range(N)).encode(), tmp_path, options)
    assert f"printf 'user_id{separator}" in str(caught.value)
    assert "7165" not in str(caught.value)


def test_headers_of_any_kind_are_headers(tmp_path: Path) -> None:
    for head in ("cust,2019,2020", "who,q1,q2"):
        with pytest.raises(DataError, match="no column is the user id"):
            read_bytes(table(head, lambda i: f"{i},{i * 3},{i * 5}"), tmp_path)
    head = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    log = read_bytes(table(head, lambda i: f"{i % 9}\t{i % 40}\t4\t{1714758154 + i}"), tmp_path)
    assert (log.columns.user_id, log.columns.numeric) == ("user_id:token", ("rating:float",))


def test_other_separators_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'::', which is none of the separators") as caught:
        read_bytes(b"7165::1193::5::978300760\n" * 9, tmp_path)
    assert "7165" not in str(caught.value)


def test_a_header_in_the_first_part_only_serves_the_others(tmp_path: Path) -> None:
    rows = [f"u{i % 9},{1714758154 + i},view,{i % 5}.5" for i in range(N)]
    parts = [rows[:80], rows[80:160], rows[160:]]
    head = "user_id,ts,event,amount"
    sources = [
        make_source("\n".join(([head] if k == 0 else []) + part + [""]).encode(), f"part-{k}") for k, part in enumerate(parts)
    ]
    log = read(sources, tmp_path)
    whole = read_bytes("\n".join([head, *rows, ""]).encode(), tmp_path)
    assert histories(log) == histories(whole)
    assert numbers(log, "amount") == numbers(whole, "amount")
    assert sum("has no header line; the first file's is taken" in line for line in log.warnings) == 2
    bad = make_source(b"u1,1714758154,view\n" * 9, "part-9")
    with pytest.raises(DataError, match=r"part-9: the file has no header line.*stands in the first file alone"):
        read([sources[0], bad], tmp_path)


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.decimal128(20, 2)])
def test_whole_ids_of_any_type_are_written_without_a_point(kind: pa.DataType, tmp_path: Path) -> None:
    ids = pa.array([1.0, 2.0, None, 40.0] * 60, pa.float64()).cast(kind)
    log = read(parquet(pa.table({"user_id": ids, "event": ["x"] * 240})), tmp_path)
    assert set(histories(log)) == {"1", "2", "40"}


@pytest.mark.parametrize(("limit", "kind"), [(2**53, pa.float64()), (2**24, pa.float32())])
def test_ids_that_run_together_are_refused_with_the_cast_that_helps(limit: int, kind: pa.DataType, tmp_path: Path) -> None:
    def made(last: float) -> Any:
        return parquet(pa.table({"user_id": pa.array(np.array([1.0, last])).cast(kind), "event": ["x", "y"]}))

    assert set(histories(read(made(limit), tmp_path))) == {"1", str(limit)}
    with pytest.raises(DataError, match=r"row 2: the user ids in 'user_id' are floating.*CAST\(user_id AS VARCHAR\)"):
        read(made(limit + 4), tmp_path)


def test_a_mix_of_whole_and_other_floating_ids_does_not_depend_on_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = parquet(pa.table({"user_id": [1.0, 2.5, 1.0, 1.0], "event": ["x"] * 4}))
    monkeypatch.setattr("footfall.modeling.events.formats.parquet.BATCH_ROWS", 2)
    assert set(histories(read(source, tmp_path))) == {"1", "2.5"}


@pytest.mark.parametrize("kind", ["uuid", "bytes"])
def test_uuids_are_read_as_they_are_written(kind: str, tmp_path: Path) -> None:
    raw = [bytes(range(n, n + 16)) for n in (0, 1, 0)]
    ids: Any = pa.array(raw, pa.binary(16))
    if kind == "uuid":
        ids = pa.ExtensionArray.from_storage(pa.uuid(), ids)
    log = read(parquet(pa.table({"user_id": ids, "event": ["x"] * 3})), tmp_path)
    assert set(histories(log)) == {"00010203-0405-0607-0809-0a0b0c0d0e0f", "01020304-0506-0708-090a-0b0c0d0e0f10"}


def test_a_field_of_a_device_is_not_what_was_done(tmp_path: Path) -> None:
    rows = [
        {"user_id": f"u{i % 9}", "event": "x", "device": {"category": "mobile"}, "page": {"title": f"t{i % 3}"}} for i in range(N)
    ]
    log = read_bytes(lines(rows), tmp_path)
    assert (log.columns.behavior, log.schema.categorical) == (("event", "page.title"), ("event", "device.category"))
    assert next(column for column in log.found if column.name == "event").examples == ["x"]


@pytest.mark.parametrize(
    ("name", "is_shown"),
    [("event_name", True), ("item_name", True), ("hotel", True), ("trip", True), ("format", True), ("first_name", False),
     ("customerName", False), ("context.ip", False), ("client_ip", False), ("home_lat", False), ("e-mail", False)],
)  # fmt: skip
def test_examples_are_shown_unless_the_name_says_that_they_are_somebodys(name: str, is_shown: bool) -> None:
    assert names_person(name) is not is_shown


def test_what_was_found_shows_examples_but_nobody(tmp_path: Path) -> None:
    long = "a very long description of a thing that somebody bought"
    data = table(
        "user_id,event,amount,page,email,phone_number,note",
        lambda i: f"kim{i % 9},buy,{i}.5,{long},x@y.org,0101234567{i % 9},5551234567",
    )
    found = {column.name: column for column in read_bytes(data, tmp_path).found}
    assert [found[name].role for name in ("user_id", "event", "amount")] == ["user_id", "behavior, categorical", "numeric"]
    assert found["amount"].examples[0] == "0.5"
    assert found["page"].examples == [long[:23] + "…"]
    assert [found[name].examples for name in ("user_id", "email", "phone_number", "note")] == [[], [], [], []]
