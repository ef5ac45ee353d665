"""Event logs as companies have them, odd or wrong, from file to report: each works, or ends with name, place and remedy."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from modeling_data import make_source

from footfall.errors import DataError
from footfall.modeling.encoding.encode import make_feature, open_feature
from footfall.modeling.encoding.encoder import fit_encoder, load_encoder
from footfall.modeling.events.arrays import read_texts
from footfall.modeling.events.formats.files import find_format
from footfall.modeling.events.formats.location import Location
from footfall.modeling.events.log import read_log
from footfall.modeling.events.options import LogOptions
from footfall.modeling.learning.labels import match_labels, read_labels
from footfall.modeling.learning.task import TrainedTask, train_task
from footfall.modeling.report.report import Sources, make_report
from footfall.modeling.scoring.score import score_feature

N_USERS = 240
START = datetime(2025, 1, 1, tzinfo=UTC)
NAMES = ("user_id", "timestamp", "behavior", "amount", "place")
Row = tuple[Any, ...]


def make_rows() -> list[Row]:
    """Users with an odd number like red things more."""
    rng = np.random.default_rng(0)
    return [
        (
            f"u{n}",
            START + timedelta(hours=int(rng.integers(4000)), minutes=k),
            f"buy {'red' if rng.random() < 0.25 + 0.5 * (n % 2) else 'blue'} thing {rng.integers(9)}",
            round(float(rng.gamma(2, 10)), 2),
            f"shop {rng.integers(4)}",
        )
        for n in range(N_USERS)
        for k in range(3 + n % 5)
    ]


ROWS = make_rows()
ZONES = [timezone(timedelta(minutes=m)) for m in (0, 540, -210, 330)]
LABELS = "".join(f"u{n}\t{n % 2}\n" for n in range(N_USERS))


def csv(change: Callable[[int, Row], Row] = lambda i, row: row) -> bytes:
    rows = [change(i, row) for i, row in enumerate(ROWS)]
    shown = [[v.isoformat() if isinstance(v, datetime) else str(v) for v in row] for row in rows]
    return "\n".join([",".join(NAMES), *map(",".join, shown), ""]).encode()


def jsonl(change: Callable[[Row], Row]) -> bytes:
    rows = [dict(zip(NAMES, change(row), strict=True)) for row in ROWS]
    return "".join(json.dumps(row, default=str) + "\n" for row in rows).encode()


def parquet(**change: Any) -> bytes:
    """A column of this name instead of, or beside, the plain ones; None leaves one out."""
    columns = {name: pa.array([row[k] for row in ROWS]) for k, name in enumerate(NAMES)} | change
    out = io.BytesIO()
    pq.write_table(pa.table({name: column for name, column in columns.items() if column is not None}), out)
    return out.getvalue()


def million() -> bytes:
    """A million events, each with a category of its own."""
    number = np.arange(1_000_000)
    user = number % N_USERS
    red = (user % 2 == 1) & (number % 3 > 0)
    out = io.BytesIO()
    names = pa.array([f"u{n}" for n in range(N_USERS)]).take(pa.array(user))
    acts = pa.array(["buy blue", "buy red"]).take(pa.array(red.astype(int)))
    pq.write_table(pa.table({"user_id": names, "behavior": acts, "code": pa.array(number).cast(pa.string())}), out)
    return out.getvalue()


def coded(values: list[Any]) -> pa.Array:
    return pa.array(values).dictionary_encode()


class Play:
    """A log all the way: feature and encoder at once, the rest when it is asked for."""

    def __init__(self, data: bytes, directory: Path, options: LogOptions | None = None, labels: str = LABELS) -> None:
        options = options or LogOptions()
        self.directory, self.lines = directory, list[str]()
        source = make_source(data, "shop/log")
        (directory / "log").mkdir(parents=True)
        self.log = read_log(
            [source], find_format(source, has_columns=options.has_columns), options, directory / "log", salt=1,
            personal_data="refuse", log=self.lines.append,
        )  # fmt: skip
        encoder = fit_encoder(self.log, seed=1)
        encoder.save(directory / "encoder")
        make_feature(self.log, encoder, directory / "feature")
        self.feature = open_feature(directory / "feature")
        self.labels = read_labels([make_source(labels.encode(), "shop/labels")])

    def ids(self) -> list[str]:
        """The users, in order."""
        blocks = [(block.id_B.tobytes(), block.id_offset_N1.tolist()) for block in self.feature.read_blocks()]
        return [raw[a:b].decode() for raw, ends in blocks for a, b in pairwise(ends)]

    def learn(self) -> TrainedTask:
        return train_task(self.feature, self.labels, seed=1)

    def score(self, task: TrainedTask) -> list[float]:
        task.save(self.directory / "task")
        score_feature(self.directory / "task", self.feature.directory, self.directory / "scores")
        lines = [line.split("\t") for line in (self.directory / "scores").read_text().splitlines()]
        assert [id for id, _ in lines] == self.ids()
        return [float(score) for _, score in lines]

    def report(self, task: TrainedTask) -> dict[str, Any]:
        sources = Sources(self.feature, self.labels, encoder_dir=self.directory / "encoder")
        made = make_report(task, sources, seed=1)
        json.dumps(made, allow_nan=False)
        return made


def codes(report: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in report["warnings"]]


ODD_NUMBERS = ["NaN", "inf", "-Infinity", "", "7.5", "1e300", "1e-300"]
WORKING: dict[str, tuple[Callable[[], bytes], LogOptions]] = {
    "times of many zones": (lambda: csv(lambda i, r: (r[0], r[1].astimezone(ZONES[i % 4]), *r[2:])), LogOptions()),
    "times in the future": (lambda: csv(lambda i, r: (r[0], r[1].replace(year=2199 + i % 2), *r[2:])), LogOptions()),
    "all times equal": (lambda: csv(lambda i, r: (r[0], START, *r[2:])), LogOptions()),
    "no times": (lambda: parquet(timestamp=None), LogOptions()),
    "numbers as text": (lambda: jsonl(lambda r: (*r[:3], str(r[3]), r[4])), LogOptions(numeric=("amount",))),
    "numbers as categories": (lambda: jsonl(lambda r: (*r[:3], str(r[3]), r[4])), LogOptions()),
    "nan and infinities": (lambda: csv(lambda i, r: (*r[:3], ODD_NUMBERS[i % 7], r[4])), LogOptions()),
    "nan alone": (lambda: parquet(amount=pa.array([float("nan")] * len(ROWS))), LogOptions()),
    "columns of one value": (lambda: csv(lambda i, r: (*r[:3], 7, "here")), LogOptions()),
    "empty columns": (lambda: csv(lambda i, r: (*r[:3], "", "")), LogOptions()),
    "a category of a million values": (million, LogOptions(categorical=("code",))),
    "nested columns": (lambda: parquet(basket=pa.array([[1, 2]] * len(ROWS)), who=pa.array([{"a": 1}] * len(ROWS))),
                       LogOptions()),
    "dictionaries": (lambda: parquet(user_id=coded([r[0] for r in ROWS]), behavior=coded([r[2] for r in ROWS]),
                                     place=coded([r[4] if i % 5 else None for i, r in enumerate(ROWS)]),
                                     amount=coded([int(r[3]) for r in ROWS])), LogOptions()),
    "a word among numbers": (lambda: csv() + b"u1,2025-01-01,buy tea,many,shop 1\n", LogOptions(categorical=("amount",))),
}  # fmt: skip


@pytest.mark.parametrize("what", WORKING)
def test_an_odd_log_works_to_the_end(what: str, tmp_path: Path) -> None:
    data, options = WORKING[what]
    play = Play(data(), tmp_path, options)
    task = play.learn()
    assert task.auroc > 0.75
    assert len(play.score(task)) == N_USERS
    assert any("lies in the future" in line for line in play.lines) == (what == "times in the future")


@pytest.mark.parametrize("order", ["shuffled", "reversed", "other zones"])
def test_order_and_zones_of_the_rows_do_not_show(order: str, tmp_path: Path) -> None:
    rows = ROWS[::-1] if order == "reversed" else ROWS
    if order == "shuffled":
        rows = [ROWS[i] for i in np.random.default_rng(1).permutation(len(ROWS)).tolist()]
    logs = [csv(), csv(lambda i, _: rows[i])]
    if order == "other zones":
        logs[1] = csv(lambda i, r: (r[0], r[1].astimezone(ZONES[i % 4]), *r[2:]))
    assert logs[0] != logs[1]
    made = []
    for n, data in enumerate(logs):
        directory = Play(data, tmp_path / str(n)).feature.directory
        made.append({path.name: path.read_bytes() for path in Path(directory).iterdir()})
    assert made[0] == made[1]


def test_users_of_one_event_each_are_scored(tmp_path: Path) -> None:
    lasts = list({row[0]: i for i, row in enumerate(ROWS)}.values())
    lines = csv().splitlines(keepends=True)
    play = Play(b"".join([lines[0], *(lines[1 + i] for i in lasts)]), tmp_path)
    task = play.learn()
    assert task.auroc > 0.6
    assert len(play.score(task)) == play.log.n_events == N_USERS


def test_one_user_alone_is_a_feature_that_can_be_scored(tmp_path: Path) -> None:
    task = Play(csv(), tmp_path / "many").learn()
    task.save(tmp_path / "task")
    encoder = load_encoder(tmp_path / "many" / "encoder")
    scratch = tmp_path / "one"
    scratch.mkdir()
    one = b"".join(line for line in csv().splitlines(keepends=True) if line.startswith((b"user_id,", b"u7,")))
    make_feature(read_log([make_source(one)], "csv", LogOptions(), scratch, salt=1), encoder, tmp_path / "feature")
    score_feature(tmp_path / "task", tmp_path / "feature", tmp_path / "scores")
    assert (tmp_path / "scores").read_text().startswith("u7\t0.")


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.uint8()])
def test_numeric_ids_are_their_digits_whatever_their_type(kind: pa.DataType, tmp_path: Path) -> None:
    ids = pa.array([int(row[0][1:]) for row in ROWS]).cast(kind)
    play = Play(parquet(user_id=ids), tmp_path, labels=LABELS.replace("u", ""))
    assert set(play.ids()) == {str(n) for n in range(N_USERS)}
    assert match_labels(play.labels, play.feature).n_unknown == 0


def test_ids_that_differ_by_case_or_blanks_are_users_of_their_own(tmp_path: Path) -> None:
    forms = ["u%s", "U%s", "u%s ", " u%s"]
    ids = Play(csv(lambda i, r: (forms[i % 4] % r[0][1:], *r[1:])), tmp_path).ids()
    assert {id.strip().lower() for id in ids} == {f"u{n}" for n in range(N_USERS)}
    assert {"u7", "U7", "u7 "} <= set(ids)
    assert len(set(ids)) == len(ids) > N_USERS


def test_labels_of_ids_in_other_letters_say_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"240 labelled.*how the ids are written.*'U…' of 2.*they differ in capital") as caught:
        Play(csv(), tmp_path, labels=LABELS.upper()).learn()
    assert (caught.value.name, caught.value.path) == ("NUM_OF_LABEL_INSUFFICIENT", "shop/labels")


ALIKE = {
    "all users alike": csv(lambda i, r: (r[0], START, "buy tea", 1, "here")),
    "noise": csv(lambda i, r: (r[0], r[1], f"buy {'red' if i * 7919 % 13 < 6 else 'blue'} thing", r[3], r[4])),
}


@pytest.mark.parametrize("what", ALIKE)
def test_a_feature_that_says_nothing_gives_one_half_and_says_so(what: str, tmp_path: Path) -> None:
    lines = {line.split(b",")[0]: line for line in ALIKE[what].splitlines(keepends=True)}
    data = b"".join(lines.values()) if what == "all users alike" else ALIKE[what]
    play = Play(data, tmp_path)
    task = play.learn()
    assert abs(task.auroc - 0.5) < 0.2
    assert codes(play.report(task))[0] == ("CONSTANT_SCORES" if what == "all users alike" else "UNINFORMATIVE")
    assert all(0 < score < 1 for score in play.score(task))


@pytest.mark.parametrize(
    ("data", "options", "name", "words"),
    [
        (parquet(behavior=None, place=None), LogOptions(), "UNEXPECTED_TXT_FORMAT",
         ("shop/log", "no column says what the user did", "amount (number)", '"behavior" in `columns`', "add one")),
        (parquet(behavior=pa.array([[row[2]] for row in ROWS]), place=None), LogOptions(), "UNEXPECTED_TXT_FORMAT",
         ("no column says what the user did", "behavior (list)")),
        (parquet(user_id=pa.array([[row[0]] for row in ROWS])), LogOptions(), "UNEXPECTED_TXT_FORMAT",
         ("empty or nested, and no other column is the user id", "user_id (list)", '"user_id" in `columns`')),
        (parquet(basket=pa.array([[1]] * len(ROWS))), LogOptions(numeric=("basket",)), "UNEXPECTED_TXT_FORMAT",
         ("'basket' is nested", "Write its values as columns")),
        (parquet(user_id=pa.array([7.0 if i % 3 == 0 else None for i in range(len(ROWS))])), LogOptions(),
         "UNEXPECTED_TXT_FORMAT", ("events have no user id in the column 'user_id'", "better filled")),
        (csv() + b"u1,2025-01-01,buy tea,many,shop 1\n", LogOptions(), "UNEXPECTED_TXT_FORMAT",
         (f"line {len(ROWS) + 2}", "'many' in the column 'amount' is no number", "declare the column as categorical")),
        (csv() + b"u1,sometime,buy tea,3,shop 1\n", LogOptions(), "UNEXPECTED_TXT_FORMAT",
         (f"line {len(ROWS) + 2}", "'sometime' in the column 'timestamp' is no time", "ISO 8601")),
        (csv(lambda i, r: ("u1", *r[1:])), LogOptions(), "NUM_OF_LABEL_INSUFFICIENT",
         ("0 zeros and 1 ones", "at least 100 of each")),
        (csv(), LogOptions(numeric=tuple("abcdefghi")), "UNEXPECTED_TXT_FORMAT", ("no column 'a'",)),
    ],
)  # fmt: skip
def test_what_cannot_work_ends_with_name_place_and_remedy(
    data: bytes, options: LogOptions, name: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        Play(data, tmp_path, options).learn()
    assert caught.value.name == name
    for word in words:
        assert word in str(caught.value)


CARD = "4111 1111 1111 1111"


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("contact", "me@example.com", "an e-mail address"),
        ("contact_id", "me@example.com", "an e-mail address"),
        ("phone", "010-1234-5678", "a mobile phone number"),
        ("note", CARD, "a payment card number"),
        ("session_id", CARD, None),
        ("session_id", CARD.replace(" ", ""), None),
    ],
)
def test_personal_data_in_a_category_is_refused(column: str, value: str, kind: str | None, tmp_path: Path) -> None:
    data = f"user_id,behavior,{column}\n" + "u1,buy tea,none\n" * 20 + f"u2,buy tea,{value}\n"
    if kind is None:
        Play(data.encode(), tmp_path)
        return
    with pytest.raises(DataError, match=f"line 22: .* looks like {kind}") as caught:
        Play(data.encode(), tmp_path)
    assert caught.value.name == "PERSONAL_DATA_NOT_ALLOWED"
    assert value not in str(caught.value)


@pytest.mark.parametrize("column", ["place", "amount", "behavior"])
def test_labels_that_are_in_the_log_are_told_as_a_leak(column: str, tmp_path: Path) -> None:
    k = NAMES.index(column)

    def give_away(i: int, row: Row) -> Row:
        is_one = int(row[0][1:]) % 2
        act = f"{row[2]} {'paid' if is_one else 'open'}"
        values = {"place": "yes" if is_one else "no", "amount": row[3] + 1000 * is_one, "behavior": act}
        return (*row[:k], values[column], *row[k + 1 :])

    play = Play(csv(give_away), tmp_path)
    report = play.report(play.learn())
    assert report["quality"]["AUROC"] == 1.0
    assert codes(report)[0] == "LEAKAGE_SUSPECTED"
    names = {"place": ("place=no", "place=yes"), "amount": ("amount_mean",), "behavior": ("open", "paid")}
    values = [leak["name"] for leak in report["leaks"]["found"]]
    assert set(names[column]) <= set(values)
    assert repr(values[0]) in report["warnings"][0]["text"]


def test_texts_of_any_column_are_of_one_type() -> None:
    """Compiled code takes arrays that may be written and others for two types, and would be compiled again in a job."""
    location = Location("log", 1)
    columns = [pa.array(["a", "b"]), pa.array([b"a"], pa.large_binary()), coded(["a", None]), pa.array([1.0, 2.5]),
               pa.array(["", ""]), pa.array([True, None])]  # fmt: skip
    for column in [*columns, [columns[0], columns[0]]]:
        assert [array.flags.writeable for array in read_texts(column, location)] == [False, False]


def huge_values(name: str) -> bytes:
    """A small file of one value that is repeated until no array of Arrow can hold all of them."""
    n_rows, value = 70_000, "x" * 32_000
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n_rows, np.int32)), pa.array([value]))
    out = io.BytesIO()
    pq.write_table(pa.table({"user_id": pa.array([f"u{n}" for n in range(n_rows)]), name: texts}), out, compression="zstd")
    assert out.tell() < 1 << 20
    return out.getvalue()


def test_long_values_that_are_repeated_are_refused_by_name_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row group 0, row 1: .*overflow.*shorten them") as caught:
        read_log([make_source(huge_values("behavior"))], "parquet", LogOptions(), tmp_path, salt=1, personal_data="off")
    assert caught.value.name == "UNEXPECTED_TXT_FORMAT"
