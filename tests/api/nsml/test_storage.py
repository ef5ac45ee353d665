"""Files of a project's storage over HTTP: whole or not at all, and never anything outside of it."""

import contextlib
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from footfall import layout
from footfall.compute.storage import usage
from nsml_service import CODE, CODE_DIGEST, ROOT, ask_run, make_project, make_volume
from service import Caller, Service, open_service

BAD, MISSING, REFUSED = (400, "400", "Bad Request"), (404, "404", "Not Found"), (406, "406", "Not Accepted")


@pytest.fixture(scope="module")
def project(shared: Service) -> str:
    return make_project(shared.operator, "files")


@pytest.fixture
def nas(shared: Service, project: str) -> Path:
    return usage.make_nas(shared.settings, project)


def url(project: str, path: str = "") -> str:
    return f"{ROOT}/projects/{project}/files" + (f"/{quote(path, safe='/')}" if path else "")


def put(call: Caller, project: str, path: str, content: bytes) -> tuple[int, str, str] | int:
    reply = call("PUT", url(project, path), content)
    return reply.status if reply.status == 200 else reply.error


def test_a_file_comes_back_as_it_was_sent(shared: Service) -> None:
    call = shared.operator
    project = make_project(call, "whole")
    nas = usage.make_nas(shared.settings, project)
    content = os.urandom(3_000_000)
    for path in ("data/train/a.bin", "plain", "with blank, comma=1.ckpt", "데이터/é.txt"):
        reply = call("PUT", url(project, path), content)
        assert reply.json["path"] == path
        assert (nas / path).read_bytes() == content
        got = call.get(url(project, path))
        assert got.body == content
        assert got.headers["content-disposition"].startswith("attachment")
    assert put(call, project, "plain", b"") == 200
    assert call.get(url(project, "plain")).body == b""
    listed = call.get(url(project)).json
    assert [(f["path"], f["sizeBytes"]) for f in listed["files"]] == [
        ("data/train/a.bin", 3_000_000), ("plain", 0), ("with blank, comma=1.ckpt", 3_000_000), ("데이터/é.txt", 3_000_000),
    ]  # fmt: skip
    assert listed["nextAfter"] is None
    assert call("DELETE", url(project, "데이터/é.txt")).json == {"projectId": project, "path": "데이터/é.txt"}
    assert call("DELETE", url(project, "데이터/é.txt")).error == MISSING
    assert call("DELETE", url(project, "데이터")).status == 200
    assert not list((shared.settings.data_dir / layout.project_dir(project) / "drafts").iterdir())


def test_lists_go_page_by_page_in_order(shared: Service) -> None:
    call = shared.operator
    project = make_project(call, "pages")
    names = ["a", "a-b/x", "a.d/x", "ab/y/z", "ab/y0", "ab0", "b/c", "b/c0", "c"]
    for name in names:
        assert put(call, project, name, b"1") == 200
    for limit in (1, 2, 4, 100):
        seen: list[str] = []
        after: str | None = ""
        while after is not None:
            page = call.get(f"{url(project)}?limit={limit}&after={quote(after)}").json
            seen += [file["path"] for file in page["files"]]
            after = page["nextAfter"]
        assert seen == names
    inner = call.get(f"{url(project)}?path=ab/&limit=1").json
    assert ([f["path"] for f in inner["files"]], inner["nextAfter"]) == (["ab/y/z"], "ab/y/z")
    assert [f["path"] for f in call.get(f"{url(project)}?path=ab&after=ab/y/z").json["files"]] == ["ab/y0"]
    assert call.get(f"{url(project)}?path=nowhere").json["files"] == []


@pytest.mark.parametrize("query", ["path=..", "path=a/../b", "path=a%00", "after=/a", "limit=0", "limit=1001", "path=a//b"])
def test_a_list_of_no_path_is_400(shared: Service, project: str, query: str) -> None:
    assert shared.operator.get(f"{url(project)}?{query}").error == BAD


@pytest.mark.parametrize(
    "path", ["..", ".", "a/..", "a/../b", "a//b", "/etc/passwd", "a/", "a%2Fb", "%2e%2e", "..%2f", "a%00b", "a%0Ab", "%c0%ae"]
)
def test_row_11_a_path_that_is_none_reaches_nothing(shared: Service, project: str, nas: Path, path: str) -> None:
    before = sorted(nas.rglob("*"))
    for method in ("PUT", "GET", "DELETE"):
        reply = shared.operator(method, f"{url(project)}/{path}", b"x" if method == "PUT" else None)
        assert reply.status in (400, 404)
    assert sorted(nas.rglob("*")) == before


@pytest.mark.parametrize("path", ["e\u0301", "x" * 241, "/".join(["x" * 200] * 6), "é" * 121])
def test_row_11_a_path_that_two_would_read_differently_or_no_disk_holds_is_400(shared: Service, project: str, path: str) -> None:
    assert put(shared.operator, project, path, b"x") == BAD


def test_a_directory_is_no_file_and_a_file_no_directory(shared: Service, project: str) -> None:
    call = shared.operator
    assert put(call, project, "dir/file", b"x") == 200
    assert put(call, project, "dir", b"y") == REFUSED
    assert put(call, project, "dir/file/x", b"y") == REFUSED
    assert call.get(url(project, "dir")).error == MISSING
    assert call("DELETE", url(project, "dir")).error == REFUSED
    assert call("DELETE", url(project, "dir/file")).status == 200
    assert call("DELETE", url(project, "dir")).status == 200


def test_row_12_links_lead_nowhere_and_are_not_written_through(shared: Service, project: str, nas: Path, tmp_path: Path) -> None:
    call = shared.operator
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (nas / "file").symlink_to(outside / "secret")
    (nas / "way").symlink_to(outside)
    (nas / "etc").symlink_to("/etc")
    (nas / "up").symlink_to("../../..")
    os.mkfifo(nas / "pipe")
    for path in ("file", "way/secret", "etc/passwd", "up/footfall.db", "pipe"):
        assert call.get(url(project, path)).error == MISSING
    for path in ("way/new", "way/secret", "up/new", "etc/new"):
        assert put(call, project, path, b"overwritten") == REFUSED
        assert call("DELETE", url(project, path)).error == REFUSED
    assert put(call, project, "file", b"mine") == 200  # takes the place of the link itself
    assert (nas / "file").read_bytes() == b"mine"
    assert not (nas / "file").is_symlink()
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"
    shown = {file["path"] for file in call.get(url(project)).json["files"]}
    assert not shown & {"way/secret", "etc/passwd", "pipe"}
    for path in ("way", "up", "etc", "pipe"):
        assert call("DELETE", url(project, path)).status == 200
    assert (outside / "secret").read_bytes() == b"secret"


def test_row_12_a_directory_that_becomes_a_link_meanwhile_is_not_written_through(
    shared: Service, project: str, nas: Path, tmp_path: Path
) -> None:
    from footfall.errors import NotFoundError, StoreDeniedError, StoreError
    from footfall.files.place import place

    outside, over = tmp_path / "outside", threading.Event()
    outside.mkdir()
    (nas / "race").mkdir()
    drafts = nas.parent / "drafts"
    drafts.mkdir(exist_ok=True)

    def swap() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):  # the other side makes a directory where it finds none
                shutil.rmtree(nas / "kept", ignore_errors=True)
                os.rename(nas / "race", nas / "kept")
                os.symlink(outside, nas / "race")
                os.unlink(nas / "race")
                os.rename(nas / "kept", nas / "race")

    thread = threading.Thread(target=swap)
    thread.start()
    placed = 0
    try:
        for number in range(2000):
            draft = drafts / f"d{number}"
            draft.write_bytes(b"x")
            try:
                place(nas, f"race/f{number % 5}", draft, lambda _: None)
                placed += 1
            except (NotFoundError, StoreDeniedError, StoreError, FileExistsError):
                draft.unlink()
    finally:
        over.set()
        thread.join()
    assert placed
    assert list(outside.iterdir()) == []


def test_what_breaks_off_leaves_nothing(shared: Service, project: str, nas: Path) -> None:
    import socket

    call, before = shared.operator, sorted(nas.rglob("*"))
    drafts, target = nas.parent / "drafts", url(project, "half")

    def wait_for(are_there: bool) -> bool:
        for _ in range(200):
            if drafts.exists() and bool(list(drafts.iterdir())) is are_there:
                return True
            threading.Event().wait(0.02)
        return False

    headers = "".join(f"{name}: {value}\r\n" for name, value in call.signed("PUT", target).items())
    with socket.create_connection(("127.0.0.1", shared.port), timeout=5) as connection:
        connection.sendall(f"PUT {target} HTTP/1.1\r\nhost: x\r\n{headers}content-length: 1000\r\n\r\nabc".encode())
        assert wait_for(True)
    assert wait_for(False)
    assert sorted(nas.rglob("*")) == before


def test_a_reader_never_sees_half_a_file(shared: Service, project: str) -> None:
    call = shared.operator
    contents = [bytes([letter]) * 200_000 for letter in b"ab"]
    assert put(call, project, "swap", contents[0]) == 200
    with ThreadPoolExecutor(4) as pool:
        writes = [pool.submit(put, call, project, "swap", contents[n % 2]) for n in range(20)]
        reads = [pool.submit(call.get, url(project, "swap")) for _ in range(40)]
    assert {write.result() for write in writes} == {200}
    assert all(read.result().body in contents for read in reads)


def test_row_04_an_upload_is_done_once(shared: Service, project: str) -> None:
    call = shared.operator
    headers = call.signed("PUT", url(project, "once"))
    assert call("PUT", url(project, "once"), b"1", headers=headers).status == 200
    assert call("PUT", url(project, "once"), b"1", headers=headers).details == "This request was already received."


def test_used_size_is_counted_at_most_once_a_minute(shared: Service) -> None:
    call = shared.operator
    project = make_project(call, "sizes")
    assert put(call, project, "a/b", b"x" * 1000) == 200
    assert call.get(f"{ROOT}/projects/{project}/nas").json["usedSize"] == 1000
    assert put(call, project, "c", b"x" * 1000) == 200
    assert call.get(f"{ROOT}/projects/{project}/nas").json["usedSize"] == 1000


def test_the_files_of_a_deleted_block_storage_go(shared: Service, project: str) -> None:
    call = shared.operator
    number = make_volume(call, project, "gone")
    directory = usage.make_volume(shared.settings, number)
    (directory / "cache").write_bytes(b"x")
    assert call("DELETE", f"{ROOT}/blk-storages/{number}").status == 200
    for _ in range(200):
        if not list(directory.parent.glob(f"*{number}")):
            break
        threading.Event().wait(0.02)
    assert not list(directory.parent.glob(f"*{number}"))


def test_a_full_disk_takes_nothing_new(tmp_path: Path) -> None:
    with open_service(tmp_path / "home") as service:
        project = make_project(service.operator)
    with open_service(tmp_path / "home", min_free_mib=1 << 40) as service:
        with service.database.read() as connection:
            from footfall.db.access import accounts

            account = accounts.find_account(connection, "main")
        from footfall.db.access import accounts, api_keys

        with service.database.write() as tx:
            user = accounts.list_users(tx, account.id)[0]
            key = accounts.create_key(tx, service.context.secrets, account.id, user.id)
            api_key = api_keys.create_api_key(tx, account.id, "x").primary
        call = Caller(service.port, key.id, key.secret_key or "", account.id, user.id, api_key or "")
        for method, path, body in (
            ("PUT", url(project, "a"), b"x"),
            ("POST", f"{ROOT}/projects", {"projectName": "abc", "nasVolumeSize": 500}),
        ):
            assert call(method, path, body).error == (503, "500", "Endpoint Error")


def test_code_is_fetched_by_its_digest_by_members_of_the_account_alone(shared: Service, project: str) -> None:
    there = f"{ROOT}/projects/{project}/code/{CODE_DIGEST}"
    assert shared.operator("GET", there).error == MISSING
    assert shared.operator("PUT", there, CODE).status == 200
    fetched = shared.operator("GET", there)
    assert (fetched.status, fetched.body, fetched.headers["content-type"]) == (200, CODE, "application/octet-stream")
    assert shared.operator("GET", f"{ROOT}/projects/{project}/code/{CODE_DIGEST[:-1]}").error == MISSING


@pytest.mark.parametrize("commit", ["HEAD", "a" * 39, "A" * 40])
def test_a_commit_is_its_whole_id(shared: Service, project: str, commit: str) -> None:
    assert ask_run(shared.operator, project, gitCommit=commit).error == BAD
    made = ask_run(shared.operator, project, gitCommit="a" * 40, gitModified=True).json
    assert (made["gitCommit"], made["gitModified"]) == ("a" * 40, True)
    assert ask_run(shared.operator, project, gitModified=True).json["gitModified"] is None
