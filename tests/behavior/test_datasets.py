"""What a request looks at before its job does: little, whatever the data set is made of."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall.behavior import datasets
from footfall.errors import InvalidFieldError
from footfall.stores.directory import DirectoryStore
from footfall.stores.names import StoreLocation
from footfall.stores.store import ObjectInfo

NOBODY: frozenset[str] = frozenset()


class CountedStore(DirectoryStore):
    """A directory that tells how much of it was asked for."""

    asked = 0

    def read_bytes(self, key: str, *, limit_bytes: int) -> bytes:
        data = super().read_bytes(key, limit_bytes=limit_bytes)
        self.asked += len(data)
        return data


@pytest.fixture
def store(tmp_path: Path) -> CountedStore:
    (tmp_path / "data").mkdir()
    return CountedStore(StoreLocation(f"file://{tmp_path}/data"))


def put(store: CountedStore, contents: dict[str, bytes]) -> Iterator[ObjectInfo]:
    for key, content in contents.items():
        store.write(key, content)
    return iter([info for key in contents for info in store.list(key)])


@pytest.mark.parametrize(
    "contents",
    [
        {"one": b"u\t" + b"driv" * (1 << 18)},
        {f"log{n:03}": b"a,b,c\n" * (1 << 14) for n in range(40)},
        {f"empty{n:03}": b"" for n in range(400)},
        {f"seq{n:03}": b"u\ta->b\n" * (1 << 14) for n in range(40)},
    ],
    ids=["a line", "logs", "nothing", "sequences"],
)
def test_security_row_29_a_request_looks_at_few_bytes(store: CountedStore, contents: dict[str, bytes]) -> None:
    objects = put(store, contents)
    datasets.refuse_personal_data(store, objects, "path", NOBODY)
    assert store.asked <= 2 * datasets.MAX_SCANNED_BYTES
    assert len(contents) == 1 or next(objects, None) is not None, "each object was opened"


def test_personal_data_at_the_beginning_is_refused_at_the_request(store: CountedStore) -> None:
    with pytest.raises(InvalidFieldError, match="seq, line 101: there is a mobile phone number"):
        datasets.refuse_personal_data(store, put(store, {"seq": b"u\ta->b\n" * 100 + b"u\t010-1234-5678\n"}), "path", NOBODY)


def test_half_a_number_at_the_end_of_what_is_looked_at_is_not_taken_for_a_whole_one(store: CountedStore) -> None:
    card = b"u\tcard 4111111111111111"
    before = b"u\t" + b"a" * (datasets.MAX_SCANNED_BYTES - len(card) - 3) + b"\n"
    datasets.refuse_personal_data(store, put(store, {"seq": before + card + b"2\n"}), "path", NOBODY)
