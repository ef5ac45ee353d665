"""Whose a bucket is, at each moment at which that matters: before, during and behind an upload, a job and a deletion."""

import os
import socket
import time
from pathlib import Path

import pytest

from footfall.behavior.hooks import BehaviorHooks
from footfall.db import runs
from footfall.db.access import buckets
from footfall.errors import DataError, StoreUnavailableError
from footfall.stores.directory import DirectoryStore
from service import Caller, Reply, Service, make_feature, make_task, open_service

IN_USE = (409, "10202", "RESOURCE_IN_USE")
NOT_FOUND = (404, "10106", "PATH_NOT_FOUND")
TAKEN = (409, "10102", "DUPLICATE_NAME")


class Upload:
    """A PUT whose body arrives in pieces, as the test wants."""

    def __init__(self, caller: Caller, target: str, size: int) -> None:
        self.headers = caller.signed("PUT", target)
        lines = [f"PUT {target} HTTP/1.1", "host: x", f"content-length: {size}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        self._connection = socket.create_connection(("127.0.0.1", caller.port), timeout=10)
        self._connection.sendall("\r\n".join([*lines, "", ""]).encode())

    def send(self, chunk: bytes) -> None:
        self._connection.sendall(chunk)
        time.sleep(0.2)

    def response(self) -> bytes:
        with self._connection as connection:
            return connection.recv(65536)


def _bucket(caller: Caller, name: str) -> None:
    assert caller.post("/accounts/v1/buckets", {"name": name}).status == 200


def _delete(caller: Caller, name: str) -> Reply:
    return caller("DELETE", f"/accounts/v1/buckets/{name}")


def test_the_bucket_of_the_artefacts_is_nobodys_to_have(tmp_path: Path) -> None:
    with open_service(tmp_path / "home", internal_url="s3://footfall-internal/here") as service:
        for caller in (service.operator, service.account("tenant")):
            assert caller.post("/accounts/v1/buckets", {"name": "footfall-internal"}).error == TAKEN
            assert caller.put("footfall-internal", "x", b"x").error == NOT_FOUND
        _had_before(service, service.operator, "footfall-internal")


def test_artefacts_that_lie_among_the_buckets_are_nobodys_to_have(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/home/data/buckets/inside/deeper"
    with open_service(tmp_path / "home", internal_url=url) as service:
        assert service.operator.post("/accounts/v1/buckets", {"name": "inside"}).error == TAKEN
        _bucket(service.operator, "insider")
        _had_before(service, service.operator, "inside")


def _had_before(service: Service, caller: Caller, name: str) -> None:
    with service.database.write() as tx:
        buckets.insert_bucket(tx, caller.account_id, name)
    assert caller.get(f"/data/v1/{name}").error == NOT_FOUND
    assert caller.put(name, "x", b"x").error == NOT_FOUND
    assert caller("DELETE", f"/data/v1/{name}/x").error == NOT_FOUND
    assert name not in [bucket["name"] for bucket in caller.get("/accounts/v1/buckets").json["buckets"]]
    assert _delete(caller, name).error[1] == "10201"
    assert caller.post(f"/accounts/v1/buckets/{name}/grants", {"account_id": "main"}).error[1] == "10201"
    body = {"name": "f", "source_bucket": name, "source_file_path": "x"}
    assert caller.post("/api/v1/features", body).error == NOT_FOUND


@pytest.mark.parametrize("size", [10_000, 12_000_000])
def test_an_upload_never_appears_in_a_bucket_that_became_anothers(service: Service, size: int) -> None:
    first, second = service.account("first"), service.account("second")
    _bucket(first, "popular")
    upload = Upload(first, "/data/v1/popular/planted.csv", size)
    upload.send(b"z" * (size - 10))
    assert _delete(first, "popular").status == 200
    _bucket(second, "popular")
    upload.send(b"z" * 10)
    response = upload.response()
    assert response.startswith(b"HTTP/1.1 404")
    assert b"10106" in response
    assert second.get("/data/v1/popular").json["objects"] == []
    assert os.listdir(service.settings.data_dir / "buckets" / "popular") == []


def test_an_upload_ends_with_the_grant(service: Service) -> None:
    owner, guest = service.operator, service.account("guest")
    _bucket(owner, "lent")
    owner.post("/accounts/v1/buckets/lent/grants", {"account_id": "guest"})
    upload = Upload(guest, "/data/v1/lent/x", 100)
    upload.send(b"z" * 90)
    assert owner("DELETE", f"/accounts/v1/buckets/lent/grants/{guest.account_id}").status == 200
    upload.send(b"z" * 10)
    assert upload.response().startswith(b"HTTP/1.1 404")
    owner.post("/accounts/v1/buckets/lent/grants", {"account_id": "guest"})
    again = guest("PUT", "/data/v1/lent/x", b"z" * 100, headers=upload.headers)
    assert again.details == "This request was already received."


def test_a_bucket_is_not_deleted_while_an_object_is_being_published(service: Service) -> None:
    _bucket(service.operator, "busy")
    with service.context.behavior.publications.publishing("busy"):
        refused = _delete(service.operator, "busy")
        assert refused.error == IN_USE
        assert refused.details.endswith("Try again.")
    assert _delete(service.operator, "busy").status == 200


def test_a_file_that_is_no_object_keeps_the_bucket_and_its_row(service: Service) -> None:
    call = service.operator
    _bucket(call, "linky")
    link = service.settings.data_dir / "buckets" / "linky" / "x"
    link.symlink_to("/etc/passwd")
    refused = _delete(call, "linky")
    assert refused.error == IN_USE
    assert "no objects, such as links" in refused.details
    assert call.get("/data/v1/linky").json["objects"] == []
    assert service.account("other").post("/accounts/v1/buckets", {"name": "linky"}).error == TAKEN
    link.unlink()
    assert _delete(call, "linky").status == 200
    assert not link.parent.exists()


def test_a_deletion_that_the_database_refuses_leaves_a_bucket_that_works(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = service.operator
    _bucket(call, "stays")

    def fail(*_: object) -> None:
        raise StoreUnavailableError("away")

    with monkeypatch.context() as patched:
        patched.setattr(buckets, "delete_bucket", fail)
        assert _delete(call, "stays").status == 503
    assert call.put("stays", "x", b"x").status == 200


def test_what_fails_behind_the_commit_is_answered_as_it_is(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    call = service.operator
    call.put("shop", "dir/x", b"x")
    (service.settings.data_dir / "buckets" / "shop" / "link").symlink_to("/etc")
    assert call("DELETE", "/data/v1/shop/link/passwd").error == NOT_FOUND
    for key in ("dir", "dir/x/below", "k" * 300):
        assert call("DELETE", f"/data/v1/shop/{key}").error == (422, "10103", "INVALID_PATH_CHARACTER")
    assert call.get("/data/v1/shop/dir/x").body == b"x"

    def fail(*_: object) -> None:
        raise StoreUnavailableError("The store is away.", operation="write")

    monkeypatch.setattr(DirectoryStore, "delete", fail)
    headers = call.signed("DELETE", "/data/v1/shop/dir/x")
    assert call("DELETE", "/data/v1/shop/dir/x", headers=headers).error == (503, "500", "Endpoint Error")
    assert call("DELETE", "/data/v1/shop/dir/x", headers=headers).status == 401


def test_a_bucket_of_something_unfinished_is_not_deleted(service: Service) -> None:
    call = service.operator
    call.put("shop", "seq.csv", b"u1\ta\n")
    call.put("shop", "labels.tsv", b"u1\t1\n")
    for name in ("source", "labels", "results"):
        _bucket(call, name)
    call.put("source", "seq.csv", b"u1\ta\n")
    call.put("labels", "labels.tsv", b"u1\t1\n")
    feature = make_feature(service, call, "f")
    task = make_task(service, call, "t", feature)
    body = {"name": "waits", "source_bucket": "source", "source_file_path": "seq.csv"}
    waiting = {"feature": call.post("/api/v1/features", body).json["feature_id"]}
    body = {
        "name": "waits",
        "train_feature_id": feature,
        "train_bucket": "shop",
        "train_file_path": "labels.tsv",
        "test_feature_id": feature,
        "test_bucket": "labels",
        "test_file_path": "labels.tsv",
    }
    waiting["task"] = call.post("/api/v1/tasks", body).json["task_id"]
    body = {"name": "waits", "task_id": task, "feature_id": feature, "result_bucket": "results"}
    waiting["task run"] = call.post("/api/v1/task-runs", body | {"result_file_path": "r"}).json["run_id"]
    for key in ("source/seq.csv", "labels/labels.tsv"):
        assert call("DELETE", f"/data/v1/{key}").status == 200
    for (kind, id), name in zip(waiting.items(), ("source", "labels", "results"), strict=True):
        refused = _delete(call, name)
        assert refused.error == IN_USE
        assert f"{kind} 'waits'" in refused.details
        assert call.post(f"/api/v1/{kind.replace(' ', '-')}s/{id}/cancel").status == 200
        assert _delete(call, name).status == 200


def _complete_spec(service: Service, id: str) -> None:
    with service.database.write() as tx:
        BehaviorHooks(service.settings).complete_spec(tx, runs.get(tx, service.run_id_of(id)))


def test_a_waiting_job_loses_its_bucket_with_the_grant(service: Service) -> None:
    owner, guest = service.operator, service.account("guest")
    owner.put("lent", "seq.csv", b"u1\ta\n")
    owner.post("/accounts/v1/buckets/lent/grants", {"account_id": "guest"})
    body = {"name": "spy", "source_bucket": "lent", "source_file_path": "seq.csv"}
    id = guest.post("/api/v1/features", body).json["feature_id"]
    _complete_spec(service, id)
    owner("DELETE", f"/accounts/v1/buckets/lent/grants/{guest.account_id}")
    with pytest.raises(DataError, match="lent") as refused:
        _complete_spec(service, id)
    assert refused.value.name == "OBS_USER_FILE_ACCESS_ERROR"


@pytest.mark.parametrize("kind", ["feature", "task", "task run"])
@pytest.mark.parametrize("is_granted", [False, True])
def test_a_waiting_job_does_not_meet_another_bucket_of_that_name(service: Service, kind: str, is_granted: bool) -> None:
    call, other = service.operator, service.account("other")
    for bucket in ("shop", "shared"):
        call.put(bucket, "seq.csv", b"u1\ta\n")
        call.put(bucket, "labels.tsv", b"u1\t1\n")
    feature = make_feature(service, call, "f")
    task = make_task(service, call, "t", feature)
    bodies = {
        "feature": {"source_bucket": "shared", "source_file_path": "seq.csv"},
        "task": {"train_feature_id": feature, "train_bucket": "shared", "train_file_path": "labels.tsv"},
        "task run": {"task_id": task, "feature_id": feature, "result_bucket": "shared", "result_file_path": "r"},
    }
    made = call.post(f"/api/v1/{kind.replace(' ', '-')}s", bodies[kind] | {"name": "spy"}).json
    id = made[{"feature": "feature_id", "task": "task_id", "task run": "run_id"}[kind]]
    _complete_spec(service, id)
    with service.database.write() as tx:  # as in a race: a request would be refused
        buckets.delete_bucket(tx, call.account_id, "shared")
        buckets.insert_bucket(tx, other.account_id, "shared")
        if is_granted:
            buckets.grant(tx, "shared", call.account_id)
    with pytest.raises(DataError, match="shared"):
        _complete_spec(service, id)


def test_a_missing_bucket_is_called_a_bucket(shared: Service) -> None:
    call = shared.operator
    body = {"name": "f", "source_bucket": "nope", "source_file_path": "x"}
    replies = [
        call.get("/data/v1/nope"),
        call.get("/data/v1/nope/x"),
        call("DELETE", "/data/v1/nope/x"),
        call("DELETE", "/accounts/v1/buckets/nope"),
        call.post("/api/v1/features", body),
    ]
    for reply in replies:
        assert reply.status == 404
        assert reply.details.startswith("There is no bucket 'nope' in this account")


@pytest.mark.parametrize("path", ["dir", "seq.csv/below", "k" * 300])
def test_a_result_that_a_directory_cannot_hold_is_refused_at_the_request(shared: Service, path: str) -> None:
    call = shared.operator
    call.put("shop", "dir/x", b"x")
    feature = make_feature(shared, call, f"f{path}"[:90])
    task = make_task(shared, call, f"t{path}"[:90], feature)
    body = {"name": path[:90], "task_id": task, "feature_id": feature, "result_bucket": "shop"}
    refused = call.post("/api/v1/task-runs", body | {"result_file_path": path})
    assert refused.error == (422, "10103", "INVALID_PATH_CHARACTER")
