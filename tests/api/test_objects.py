"""Objects in and out: whole or not at all, nothing outside the buckets, nothing executed."""

import contextlib
import gc
import http.client
import os
import pickle
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall.errors import StoreUnavailableError
from footfall.stores.names import FORBIDDEN_CHARACTERS
from footfall.stores.store import Store
from service import Service, open_service, raw

NOT_FOUND = (404, "10106", "PATH_NOT_FOUND")
BAD_PATH = (422, "10103", "INVALID_PATH_CHARACTER")


def _head(service: Service, target: str, *more: str, method: str = "PUT") -> bytes:
    signed = [f"{name}: {value}" for name, value in service.operator.signed(method, target).items()]
    return "\r\n".join([f"{method} {target} HTTP/1.1", "host: x", *signed, *more, "", ""]).encode()


def test_an_object_goes_in_and_comes_out(shared: Service) -> None:
    call, content = shared.operator, os.urandom(3_000_000)
    put = call.put("shop", "dir/big.bin", content).json
    assert (put["size_bytes"], put["key"]) == (3_000_000, "dir/big.bin")
    got = call.get("/data/v1/shop/dir/big.bin")
    assert got.body == content
    assert got.headers["content-disposition"] == "attachment; filename*=UTF-8''big.bin"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-type"] == "application/octet-stream"
    head = call("HEAD", "/data/v1/shop/dir/big.bin")
    assert (head.status, head.headers["content-length"], head.body) == (200, "3000000", b"")
    assert call("DELETE", "/data/v1/shop/dir/big.bin").status == 200
    assert call.get("/data/v1/shop/dir/big.bin").error == NOT_FOUND
    assert call("HEAD", "/data/v1/shop/dir/big.bin").status == 404
    assert call("DELETE", "/data/v1/shop/dir/big.bin").status == 200


def test_an_empty_object_and_a_chunked_body(shared: Service) -> None:
    call = shared.operator
    assert call.put("shop", "empty", b"").json["size_bytes"] == 0
    assert call.get("/data/v1/shop/empty").body == b""
    head = _head(shared, "/data/v1/shop/chunked", "transfer-encoding: chunked", "connection: close")
    assert raw(shared.port, head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert call.get("/data/v1/shop/chunked").body == b"abcde"


def test_a_list_has_pages(shared: Service) -> None:
    call = shared.operator
    keys = [f"pages/{n:02}" for n in range(7)]
    for key in keys:
        call.put("shop", key, b"x")
    call.put("shop", "pagesx", b"x")
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = call.get(f"/data/v1/shop?prefix=pages/&limit=3&after={after}").json
        seen += [item["key"] for item in page["objects"]]
        after = page["next_after"]
    assert seen == keys
    for query in ("limit=0", "limit=1001", "after=" + "x" * 2000):
        assert call.get(f"/data/v1/shop?{query}").error[1] == "10200"
    assert call.get("/data/v1/no-such-bucket").error == NOT_FOUND


def test_an_upload_that_breaks_off_leaves_nothing(shared: Service) -> None:
    head = _head(shared, "/data/v1/shop/broken.csv", "content-length: 5000000")
    with socket.create_connection(("127.0.0.1", shared.port)) as connection:
        connection.sendall(head + b"x" * 2_000_000)
        time.sleep(0.2)
    deadline = time.monotonic() + 5
    root = shared.settings.data_dir / "buckets" / "shop"
    while list(root.glob("broken*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(root.glob("broken*")) == []
    assert shared.operator.get("/data/v1/shop/broken.csv").error == NOT_FOUND


def test_a_replaced_object_is_never_seen_half(shared: Service) -> None:
    call = shared.operator
    call.put("shop", "whole", b"old")
    head = _head(shared, "/data/v1/shop/whole", "content-length: 3000000")
    with socket.create_connection(("127.0.0.1", shared.port)) as connection:
        connection.sendall(head + b"n" * 2_500_000)
        time.sleep(0.1)
        assert call.get("/data/v1/shop/whole").body == b"old"
        connection.sendall(b"n" * 500_000)
        assert connection.recv(12) == b"HTTP/1.1 200"
    assert call.get("/data/v1/shop/whole").body == b"n" * 3_000_000


def test_row_25_a_silent_body_is_given_up_and_others_are_served(tmp_path: Path) -> None:
    with open_service(tmp_path / "home", body_timeout_s=3, transfer_threads=2) as service:
        service.operator.put("shop", "x", b"x")
        sleepers = []
        for n in range(60):
            target = "/api/v1/features" if n % 2 else f"/data/v1/shop/slow{n}"
            method = "POST" if n % 2 else "PUT"
            connection = socket.create_connection(("127.0.0.1", service.port))
            connection.sendall(_head(service, target, "content-length: 100", method=method) + b"{")
            sleepers.append(connection)
        start = time.monotonic()
        assert service.operator.get("/api/v1/features").status == 200
        assert time.monotonic() - start < 2.5
        answers = set()
        for connection in sleepers:
            connection.settimeout(15)
            with contextlib.suppress(ConnectionError):
                answers.add(connection.recv(12))
            connection.close()
        assert answers <= {b"HTTP/1.1 408", b"HTTP/1.1 503", b""}
        assert b"HTTP/1.1 408" in answers
        assert service.operator.put("shop", "y", b"y").status == 200


def test_row_25_a_body_too_large_is_413(tmp_path: Path) -> None:
    with open_service(tmp_path / "home", max_body_bytes=1000, max_object_bytes=2000) as service:
        call, refused = service.operator, (413, "430", "Request Entity Too Large")
        assert call("POST", "/api/v1/features", b" " * 1001).error == refused
        assert call.put("shop", "x", b"x" * 2000).status == 200
        assert call.put("shop", "y", b"x" * 2001).error == refused
        assert call.get("/data/v1/shop/y").error == NOT_FOUND


def test_more_transfers_than_threads_are_503(tmp_path: Path) -> None:
    with open_service(tmp_path / "home", transfer_threads=1) as service:
        service.operator.put("shop", "x", b"x")
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            connection.sendall(_head(service, "/data/v1/shop/slow", "content-length: 100") + b"x")
            time.sleep(0.2)
            assert service.operator.get("/data/v1/shop/x").error == (503, "500", "Endpoint Error")
        deadline = time.monotonic() + 5
        while service.operator.get("/data/v1/shop/x").status != 200:
            assert time.monotonic() < deadline


def test_row_25_no_account_holds_every_transfer_and_none_trickles_for_ever(tmp_path: Path) -> None:
    with open_service(tmp_path / "home", transfer_threads=4, body_timeout_s=1.0) as service:
        other = service.account("other")
        slow = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(6)]
        try:
            for number, connection in enumerate(slow):
                connection.sendall(_head(service, f"/data/v1/shop/slow{number}", "content-length: 100000") + b"x")
            time.sleep(0.3)
            assert other.put("theirs", "x", b"x").status == 200
            assert service.operator.put("shop", "x", b"x").error == (503, "500", "Endpoint Error")
            deadline = time.monotonic() + 10
            answers: set[bytes] = set()
            while b"HTTP/1.1 408" not in answers and time.monotonic() < deadline:
                for connection in slow:
                    connection.setblocking(False)
                    with contextlib.suppress(BlockingIOError, ConnectionError):
                        answers.add(connection.recv(12))
                    with contextlib.suppress(BlockingIOError, ConnectionError):
                        connection.sendall(b"x")
                time.sleep(0.2)
            assert b"HTTP/1.1 408" in answers  # although none of them was ever silent
        finally:
            for connection in slow:
                connection.close()


def test_a_full_disk_refuses_new_work(tmp_path: Path) -> None:
    with open_service(tmp_path / "home", min_free_mib=1 << 40) as service:
        call, refused = service.operator, (503, "500", "Endpoint Error")
        reply = call.put("shop", "x", b"x")
        assert reply.error == refused
        assert reply.headers["retry-after"]
        assert call.post("/api/v1/features", {"name": "x", "source_bucket": "a", "source_file_path": "b"}).error == refused
        assert call.get("/api/v1/features").status == 200


@pytest.mark.parametrize("character", FORBIDDEN_CHARACTERS + " \x7f\x80é한")
def test_row_11_a_forbidden_character_in_a_key_is_10103(shared: Service, character: str) -> None:
    from urllib.parse import quote

    reply = shared.operator("GET", f"/data/v1/shop/a{quote(character, safe='')}b")
    assert reply.error in (BAD_PATH, (404, "300", "Not Found Exception"))
    if character.isprintable():
        assert reply.error == BAD_PATH


@pytest.mark.parametrize(
    "key", ["..", "../x", "a/../../x", "%2e%2e/x", "..%2fx", "%252e%252e%252fx", "a%5c..%5cx", "%c0%ae%c0%ae/x"]
)
def test_row_11_a_key_cannot_leave_its_bucket(shared: Service, key: str) -> None:
    (shared.settings.data_dir / "buckets" / "x").write_bytes(b"outside")
    for method in ("GET", "PUT", "DELETE"):
        reply = shared.operator(method, f"/data/v1/shop/{key}", b"" if method == "PUT" else None)
        assert reply.status in (400, 404, 422)
    assert (shared.settings.data_dir / "buckets" / "x").read_bytes() == b"outside"


@pytest.mark.parametrize("bucket", ["..", "%2e%2e", ".", "a", "SHOP", "shop%00", "internal", "..%2finternal"])
def test_row_11_a_bucket_name_reaches_nothing_else(shared: Service, bucket: str) -> None:
    assert shared.operator.get(f"/data/v1/{bucket}").status in (404, 422)
    assert shared.operator.get(f"/data/v1/{bucket}/key").status in (404, 422)


@pytest.mark.parametrize("key", ["x" * 300, f"a/{'x' * 300}/b", "x" * 1020, "x" * 2000])
def test_row_11_a_name_that_is_longer_than_any_is_no_fault_of_the_server(shared: Service, key: str) -> None:
    call = shared.operator
    listed = [call.get(f"/data/v1/shop?{field}={key}") for field in ("prefix", "after")]
    assert {reply.status for reply in listed} == ({200} if len(key) <= 1024 else {422})
    assert listed[0].status != 200 or listed[0].json["objects"] == []
    for method in ("GET", "HEAD", "PUT"):
        assert call(method, f"/data/v1/shop/{key}", b"x" if method == "PUT" else None).status in (404, 422)
    body = {"name": f"f{len(key)}", "source_bucket": "shop", "source_file_path": key}
    assert call.post("/api/v1/features", body).status in (404, 422)


def test_row_12_links_are_not_followed(shared: Service, tmp_path: Path) -> None:
    call = shared.operator
    secret = tmp_path / "secret"
    secret.write_bytes(b"u1\tsecret\n")
    root = shared.settings.data_dir / "buckets" / "shop"
    (root / "link").symlink_to(secret)
    (root / "linkdir").symlink_to(tmp_path)
    for key in ("link", "linkdir/secret"):
        assert call.get(f"/data/v1/shop/{key}").error == NOT_FOUND
        body = {"name": "f", "source_bucket": "shop", "source_file_path": key}
        assert call.post("/api/v1/features", body).error == NOT_FOUND
    assert call.put("shop", "linkdir/new", b"x").status == 404
    assert not (tmp_path / "new").exists()
    listed = [item["key"] for item in call.get("/data/v1/shop").json["objects"]]
    assert not [key for key in listed if key.startswith("link")]


class _Trap:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


def test_row_31_an_uploaded_pickle_is_bytes_to_the_server(shared: Service, tmp_path: Path) -> None:
    call, trap = shared.operator, tmp_path / "sprung"
    content = pickle.dumps(_Trap(str(trap)))
    assert call.put("shop", "model.pkl", content).status == 200
    call.post("/api/v1/features", {"name": "pickle", "source_bucket": "shop", "source_file_path": "model.pkl"})
    assert call.get("/data/v1/shop/model.pkl").body == content
    assert not trap.exists()


def test_row_31_nothing_of_ours_unpickles() -> None:
    import footfall

    root = Path(footfall.__file__).parent
    for path in root.rglob("*.py"):
        text = path.read_text("utf-8")
        for word in ("import pickle", "import joblib", "import dill", "allow_pickle=True", "torch.load"):
            assert word not in text, f"{path}: {word}"


def test_a_server_that_stops_lets_go_of_an_upload_under_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = set(threading.enumerate())
    with open_service(tmp_path / "home") as service:
        service.operator.put("shop", "x", b"x")
        connection = socket.create_connection(("127.0.0.1", service.port))
        connection.sendall(_head(service, "/data/v1/shop/slow", "content-length: 100") + b"x")
        time.sleep(0.2)
    deadline = time.monotonic() + 10
    while busy := [t for t in set(threading.enumerate()) - before if t.name.startswith("transfer") and _is_in_call(t)]:
        assert time.monotonic() < deadline, busy
        time.sleep(0.05)
    with connection:
        response = connection.recv(65536)
    assert response.startswith(b"HTTP/1.1 503")
    assert b"x-ncp-trace-id: " in response
    assert b'"errorCode":"500"' in response
    gc.collect()
    assert "Exception" not in caplog.text
    assert not (tmp_path / "home" / "data" / "buckets" / "shop" / "slow").exists()


def test_a_client_that_goes_away_is_one_line_of_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with open_service(tmp_path / "home", body_timeout_s=5) as service:
        service.operator.put("shop", "big", b"x" * 30_000_000)
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", service.port)) as connection:
                connection.sendall(_head(service, "/data/v1/shop/slow", "content-length: 100") + b"x")
                time.sleep(0.1)
            with socket.create_connection(("127.0.0.1", service.port)) as connection:
                connection.sendall(_head(service, "/data/v1/shop/big", method="GET"))
                connection.recv(100)
            with socket.create_connection(("127.0.0.1", service.port)) as connection:
                connection.sendall(_head(service, "/api/v1/features", "content-length: 100", method="POST") + b"x")
                time.sleep(0.1)
        time.sleep(1)
    gc.collect()
    written = "".join(capfd.readouterr())
    assert "Traceback" not in written + caplog.text
    assert written.count("client_disconnected") >= 6
    assert [record.levelname for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


def test_a_store_that_fails_in_the_middle_of_a_download_is_no_traceback(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> Iterator[bytes]:
        yield b"half"
        raise StoreUnavailableError("gone")

    service.operator.put("shop", "x", b"x" * 1000)
    monkeypatch.setattr(Store, "read", broken)
    with pytest.raises(http.client.IncompleteRead):
        service.operator.get("/data/v1/shop/x")
    assert "Traceback" not in caplog.text


def _is_in_call(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    names = set()
    while frame is not None:
        names.add(frame.f_code.co_name)
        frame = frame.f_back
    return "put_object" in names
