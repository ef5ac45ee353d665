"""One suite for every store: a directory, moto's S3 server, and the JuiceFS gateway."""

import os
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import obstore
import pytest

from footfall.errors import (
    BucketNotFoundError,
    InvalidFieldError,
    ObjectNotFoundError,
    StoreDeniedError,
    StoreError,
    StoreUnavailableError,
)
from footfall.stores.buckets import Buckets, open_store
from footfall.stores.datasets import find_objects
from footfall.stores.names import StoreLocation
from footfall.stores.store import CHUNK_BYTES, ObjectChangedError, Store
from s3_servers import counted_moto_server, juicefs_gateway, moto_server, s3_client, s3_location

S3_SERVERS = {"moto": moto_server, "juicefs": juicefs_gateway, "no-etags": partial(juicefs_gateway, keep_etag=False)}
KINDS = ("directory", *S3_SERVERS)


@pytest.fixture(scope="module", params=KINDS)
def location(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreLocation]:
    directory = tmp_path_factory.mktemp(request.param)
    if request.param == "directory":
        yield StoreLocation(f"file://{directory}")
    else:
        with S3_SERVERS[request.param](directory) as endpoint:
            yield s3_location(endpoint)


@pytest.fixture
def store(location: StoreLocation) -> Store:
    buckets = Buckets(location)
    name = f"b-{uuid.uuid4().hex[:12]}"
    buckets.create(name)
    return buckets.open(name)


def test_what_was_put_comes_back(store: Store) -> None:
    content = bytes(range(256)) * 100
    put = store.write("dir/object.bin", content)
    assert put.size_bytes == len(content)
    assert b"".join(store.read("dir/object.bin")) == content
    assert store.read_bytes("dir/object.bin") == content
    assert store.read_bytes("dir/object.bin", limit_bytes=10) == content[:10]
    assert store.head("dir/object.bin").key == "dir/object.bin"


def test_empty_objects_are_objects(store: Store) -> None:
    store.write("empty", b"")
    assert list(store.read("empty")) == []
    assert store.read_bytes("empty", limit_bytes=5) == b""
    assert store.exists("empty")


def test_what_is_missing_is_not_found(store: Store) -> None:
    for ask in (store.head, store.read_bytes, lambda key: list(store.read(key))):
        with pytest.raises(ObjectNotFoundError):
            ask("nothing/here")
    assert not store.exists("nothing/here")


def test_a_directory_is_no_object(store: Store) -> None:
    store.write("a/b", b"x")
    assert not store.exists("a")


def test_a_long_stream_is_put_in_parts_and_read_in_chunks_from_any_offset(store: Store) -> None:
    piece = bytes(range(256)) * 4096
    total = 20 * len(piece) + 7
    store.write("long", (piece for _ in range(20)))
    store.write("long", (part for part in [*[piece] * 20, b"1234567"]))
    chunks = list(store.read("long"))
    assert len(chunks) > 1
    assert max(map(len, chunks)) <= 2 * CHUNK_BYTES
    assert sum(map(len, chunks)) == total
    assert b"".join(store.read("long", offset=total - 7)) == b"1234567"


def test_a_put_that_breaks_off_leaves_nothing(store: Store) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * (12 << 20)
        raise RuntimeError("the client went away")

    with pytest.raises(RuntimeError, match="went away"):
        store.write("half", broken())
    assert not store.exists("half")
    assert store.list() == []


def test_a_reader_never_sees_half_a_put(store: Store) -> None:
    old, new = b"o" * (9 << 20), b"n" * (9 << 20)
    store.write("whole", old)
    stop = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not stop.is_set():
            seen.add(store.read_bytes("whole")[:1] + store.read_bytes("whole")[-1:])

    readers = [threading.Thread(target=lambda: seen.add(bytes(set(store.read_bytes("whole"))))) for _ in range(6)]
    for number, reader in enumerate(readers):
        reader.start()
        store.write("whole", new if number % 2 else old)
    for reader in readers:
        reader.join()
    stop.set()
    assert seen <= {b"o", b"n"}


def test_create_refuses_to_overwrite(store: Store) -> None:
    store.write("once", b"first", overwrite=False)
    with pytest.raises(FileExistsError):
        store.write("once", b"second", overwrite=False)
    assert store.read_bytes("once") == b"first"


def test_more_objects_than_a_listing_page_come_sorted(store: Store) -> None:
    keys = [f"part/{number:04}" for number in range(1005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.write(key, b"x"), reversed(keys)))
    store.write("partner", b"x")
    assert [info.key for info in store.list("part/")] == keys
    assert [info.key for info in store.list("part/", after="part/1001", limit=2)] == ["part/1002", "part/1003"]
    assert [info.key for info in store.list("part")][-1] == "partner"


def test_keys_come_in_order_around_directories_from_any_of_them_on(store: Store) -> None:
    keys = ["a", "a-b", "a.c/d", "a0", "b/a/c", "b/a-c", "b/a.c", "b/b", "b0/x/y/z", "c"]
    keys = sorted(key for key in keys if key != "a")
    for key in keys:
        store.write(key, b"x")
    assert [info.key for info in store.list()] == keys
    for number, after in enumerate(keys):
        assert [info.key for info in store.list(after=after, limit=3)] == keys[number + 1 :][:3]
    assert [info.key for info in store.list("b/a", after="b/a.c")] == ["b/a/c"]
    assert [info.key for info in store.list("b", limit=1)] == ["b/a-c"]


def test_a_listing_reads_no_more_than_it_needs() -> None:
    keys = [f"{group}/{number:05}" for group in ("a", "b") for number in range(10_000)]
    with counted_moto_server("many", keys) as (endpoint, requests):
        store = Buckets(s3_location(endpoint)).open("many")

        def count(prefix: str, after: str, limit: int | None) -> tuple[int, list[str]]:
            requests.clear()
            return len([info.key for info in store.list(prefix, after=after, limit=limit)]), list(requests)

        assert not store.is_empty()
        assert len(requests) == 1
        for prefix, after, limit, n_requests in (
            ("", "", 1, 1),
            ("", "", 1000, 1),
            ("", "a/09990", 100, 1),
            ("", "b/08999", 1000, 1),
            ("b/", "b/05000", 50, 1),
            ("b/05", "", 500, 1),
            ("b/0500", "", None, 1),
            ("", "a/00999", 1500, 2),
        ):
            n_found, sent = count(prefix, after, limit)
            assert n_found == (limit or 10)
            assert len(sent) == n_requests, (prefix, after, limit, sent)


def test_a_listing_out_of_order_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def listing(*_: object, offset: str | None = None, chunk_size: int = 0) -> Iterator[list[dict[str, object]]]:
        for key in ("c", "d", "a", "b"):
            if offset is None or key > offset:
                yield [{"path": key, "size": 1, "e_tag": None, "last_modified": None}]

    monkeypatch.setattr(obstore, "list", listing)
    store = open_store(replace(s3_location("http://127.0.0.1:9"), url="s3://some-bucket"))
    assert [info.key for info in store.list(limit=3)] == ["a", "b", "c"]
    assert [info.key for info in store.list(after="a", limit=3)] == ["b", "c", "d"]


def test_a_page_of_a_directory_looks_only_at_its_own_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(StoreLocation(f"file://{tmp_path}/root"))
    for number in range(30):
        store.write(f"dir-{number:02}/object", b"x")
    scanned: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (scanned.append(str(path)), scandir(path))[1])
    assert [info.key for info in store.list(after="dir-10/object", limit=2)] == ["dir-11/object", "dir-12/object"]
    assert len(scanned) <= 4  # the root, what `after` is in, and two more


@pytest.mark.parametrize("directory", [None, "/dev/shm"], ids=["same disk", "another disk"])
def test_a_file_that_is_given_up_becomes_an_object(store: Store, tmp_path: Path, directory: str | None) -> None:
    with tempfile.TemporaryDirectory(dir=directory or tmp_path) as scratch:
        path = Path(scratch, "file")
        path.write_bytes(b"new" * 1000)
        store.write("deep/down/object", b"old")
        store.move("deep/down/object", path)
        assert not path.exists()
    assert store.read_bytes("deep/down/object") == b"new" * 1000


def test_a_file_is_not_moved_behind_a_link_or_below_an_object(tmp_path: Path) -> None:
    store = open_store(StoreLocation(f"file://{tmp_path}/root"))
    (tmp_path / "elsewhere").mkdir()
    store.write("object", b"x")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere")
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with pytest.raises(StoreDeniedError):
        store.move("link/inside", path)
    with pytest.raises(InvalidFieldError):
        store.move("object/below", path)
    assert path.exists()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_delete_twice_is_fine(store: Store) -> None:
    store.write("gone", b"x")
    store.delete("gone")
    store.delete("gone")
    assert not store.exists("gone")
    store.write("many/1", b"x")
    store.write("many/2/3", b"x")
    store.write("many-more", b"x")
    assert store.delete_prefix("many") == 2
    assert [info.key for info in store.list()] == ["many-more"]


def test_an_object_that_changes_while_it_is_read_is_noticed(store: Store) -> None:
    store.write("moving", b"a" * (20 << 20))
    reader = store.read("moving")
    next(reader)
    time.sleep(0.02 if store.head("moving").e_tag else 1.1)  # where there is no tag, the second tells
    store.write("moving", b"b" * (20 << 20))
    with pytest.raises((ObjectChangedError, ObjectNotFoundError)):
        list(reader)


def test_what_a_listing_says_of_an_object_is_what_a_reader_expects(store: Store) -> None:
    store.write("parts/one", b"x" * 100)
    (info,) = store.list("parts/")
    assert b"".join(store.read("parts/one", info=info)) == b"x" * 100


def test_a_key_below_an_object_or_in_place_of_one_is_refused_at_once(store: Store) -> None:
    store.write("object", b"x")
    store.write("dir/inside", b"x")
    started = time.monotonic()
    for key, problem in (("object/a/b", "object is an object"), ("dir", "other objects lie below it")):
        with pytest.raises(InvalidFieldError, match=problem) as caught:
            store.write(key, b"y")
        assert caught.value.rule == "path"
    store.write("object", b"again")
    store.write("dir/inside", b"again")
    store.write("dir-2/object/a", b"y")
    assert time.monotonic() - started < 5  # nothing was tried again and again
    assert [info.key for info in store.list()] == ["dir-2/object/a", "dir/inside", "object"]


def test_marks_of_directories_and_empty_parts_are_no_part_of_a_data_set(location: StoreLocation, store: Store) -> None:
    store.write("log/empty.csv", b"")
    store.write("log/one.csv", b"x")
    store.write("log/sub/two.csv", b"x")
    store.write("log/sub_$folder$", b"")
    store.write("nothing/empty.csv", b"")
    if location.url.startswith("s3:"):
        for key in ("log/", "log/sub/", "bare/"):
            s3_client(location).put_object(Bucket=store.location.url.removeprefix("s3://"), Key=key, Body=b"")
    for path in ("log", "log/"):
        assert [info.key for info in find_objects(store, path)] == ["log/one.csv", "log/sub/two.csv"], path
    assert [info.key for info in find_objects(store, "nothing")] == ["nothing/empty.csv"]
    for path in ("bare", "bare/", "missing"):
        with pytest.raises(ObjectNotFoundError):
            find_objects(store, path)


def test_an_empty_object_of_the_name_of_a_directory_hides_nothing(tmp_path: Path) -> None:
    with counted_moto_server("marked", ["log/one.csv"]) as (endpoint, _):
        location = s3_location(endpoint)
        s3_client(location).put_object(Bucket="marked", Key="log", Body=b"")
        assert [info.key for info in find_objects(Buckets(location).open("marked"), "log")] == ["log/one.csv"]


ODD_KEYS = ["log//a.csv", "log/./b.csv", "log/../c.csv", "log/d\x7f.csv"]


def test_keys_that_are_no_paths_are_passed_over_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"log/{number:04}" for number in range(1500)]
    with counted_moto_server("odd", [*keys, *ODD_KEYS, "other/x"]) as (endpoint, _):
        store = Buckets(s3_location(endpoint)).open("odd")
        listing = store.list("log/")
        assert [info.key for info in listing] == keys
        assert listing.n_skipped == len(ODD_KEYS)
        assert find_objects(store, "log").n_skipped == len(ODD_KEYS)
        assert [info.key for info in store.list("log/", after="log/0009", limit=2)] == ["log/0010", "log/0011"]
        assert [info.key for info in store.list("other/")] == ["other/x"]
        assert not store.is_empty()
        assert b"".join(store.read("log/0001", info=listing[1])) == b"x"
        below = open_store(replace(s3_location(endpoint), url="s3://odd/log"))
        assert [info.key for info in below.list("", limit=2)] == ["0000", "0001"]
        monkeypatch.setitem(sys.modules, "botocore.session", None)
        with pytest.raises(StoreDeniedError, match=r"empty step .* pip install 'footfall\[s3\]'"):
            store.list("log/")


def test_row_11_names_that_lead_out_of_a_bucket_reach_nothing(location: StoreLocation) -> None:
    for name in ("..", "a", "A-b-c", "a..b", "-ab", "10.0.0.1", "a/b/c", "x" * 64):
        with pytest.raises(InvalidFieldError):
            Buckets(location).open(name)


def test_a_bucket_is_made_once_and_found(location: StoreLocation) -> None:
    buckets = Buckets(location)
    name = f"b-{uuid.uuid4().hex[:12]}"
    buckets.create(name)
    buckets.create(name)
    assert buckets.is_empty(name)
    buckets.open(name).write("x", b"x")
    assert not buckets.is_empty(name)


def test_without_botocore_a_bucket_that_is_there_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with moto_server(tmp_path) as endpoint:
        buckets = Buckets(s3_location(endpoint))
        buckets.create("there")
        monkeypatch.setitem(sys.modules, "botocore.session", None)
        buckets.create("there")
        with pytest.raises(StoreDeniedError, match=r"pip install 'footfall\[s3\]'"):
            buckets.create("elsewhere")


def test_row_12_links_in_a_directory_store_are_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    store = open_store(StoreLocation(f"file://{tmp_path}/root"))
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "root/link").symlink_to(tmp_path / "secret")
    (tmp_path / "root/dir").symlink_to(tmp_path)
    for key in ("link", "dir/secret"):
        for ask in (store.head, store.read_bytes, lambda key: list(store.read(key)), lambda key: store.write(key, b"x")):
            with pytest.raises(StoreDeniedError):
                ask(key)
    assert store.list() == []
    assert (tmp_path / "secret").read_text() == "secret"


def test_keys_that_the_store_does_not_know_are_denied(tmp_path_factory: pytest.TempPathFactory) -> None:
    with juicefs_gateway(tmp_path_factory.mktemp("denied")) as endpoint:
        Buckets(s3_location(endpoint)).create("mine")
        wrong = Buckets(s3_location(endpoint, secret_key="not-the-secret")).open("mine")
        with pytest.raises(StoreDeniedError):
            wrong.write("x", b"x")


def test_a_store_that_is_away_is_unavailable(tmp_path) -> None:  # type: ignore[no-untyped-def]
    away = Buckets(replace(s3_location("http://127.0.0.1:9"), timeout_s=0.5)).open("some-bucket")
    with pytest.raises(StoreUnavailableError):
        away.write("x", b"x")
    with pytest.raises(StoreError):
        away.list()


def test_row_11_a_prefix_cannot_choose_where_a_listing_begins(tmp_path) -> None:  # type: ignore[no-untyped-def]
    store = open_store(StoreLocation(f"file://{tmp_path}/root"))
    store.write("a/b", b"x")
    (tmp_path / "root/link").symlink_to("/")
    for prefix in ("/", "//", "///", "../", "a/../../", "a//", "./", "link/", "link/etc/"):
        assert store.list(prefix) == [], prefix
    assert [info.key for info in store.list("a/")] == ["a/b"]


def test_what_a_directory_cannot_hold_is_refused_without_showing_where_it_is(tmp_path) -> None:  # type: ignore[no-untyped-def]
    store = open_store(StoreLocation(f"file://{tmp_path}/root"))
    store.write("object", b"x")
    store.write("dir/inside", b"x")
    for key in ("object/below", "dir", "x" * 250, f"a/{'y' * 300}/b"):
        with pytest.raises(InvalidFieldError) as caught:
            store.write(key, b"y")
        assert str(tmp_path) not in str(caught.value)
        assert caught.value.rule == "path"
    for key in ("object/below", "x" * 300):
        with pytest.raises(ObjectNotFoundError):
            store.head(key)
    assert [info.key for info in store.list()] == ["dir/inside", "object"]


def test_what_killed_puts_left_is_swept_when_it_is_old(tmp_path) -> None:  # type: ignore[no-untyped-def]
    store = open_store(StoreLocation(f"file://{tmp_path}/root"))
    store.write("kept", b"x")
    for name in ("slow#1", "new#2"):
        (tmp_path / "root" / name).write_bytes(b"half")
    os.utime(tmp_path / "root/slow#1", (0, 0))
    assert store.sweep_drafts(3600) == 1
    assert sorted(path.name for path in (tmp_path / "root").iterdir()) == ["kept", "new#2"]


def test_a_bucket_goes_with_its_drafts_but_not_with_strangers_files(tmp_path) -> None:  # type: ignore[no-untyped-def]
    buckets = Buckets(StoreLocation(f"file://{tmp_path}"))
    buckets.create("one")
    (tmp_path / "one/half#1").write_bytes(b"half")
    buckets.delete("one")
    assert not (tmp_path / "one").exists()
    buckets.create("two")
    (tmp_path / "two/link").symlink_to("/etc/hostname")
    with pytest.raises(StoreDeniedError, match="links"):
        buckets.delete("two")
    with pytest.raises(BucketNotFoundError):
        buckets.open("three")
