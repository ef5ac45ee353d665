"""Row 10: on every route, what is another account's is as good as not there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from footfall.api.http.operations import Operation
from footfall.api.table import OPERATIONS
from nsml_service import CODE, RUN, ask_run, make_nsml, make_project, make_run
from service import Caller, Service, make_feature, make_profiles, make_task, send

FORBIDDEN = (403, "230", "Forbidden")


@dataclass
class Tenants:
    service: Service
    owner: Caller
    stranger: Caller
    ids: dict[str, str]


@pytest.fixture(scope="module")
def tenants(shared: Service) -> Tenants:
    """An owner with one of everything, and a stranger who manages another account."""
    owner, stranger = shared.operator, shared.account("stranger")
    feature = make_feature(shared, owner, "f")
    task = make_task(shared, owner, "t", feature)
    body = {"name": "r", "task_id": task, "feature_id": feature, "result_bucket": "shop", "result_file_path": "r.tsv"}
    intent, attributes = make_profiles(owner, task, feature)
    ids = {
        "shopping_intent": intent,
        "custom_attribute": attributes,
        "feature_id": feature,
        "task_id": task,
        "run_id": owner.post("/api/v1/task-runs", body).json["run_id"],
        "encoder_id": feature,
        "user_id": shared.user(owner, "robot", nclue="VIEWER").user_id,
        "access_key": shared.user(owner, "other robot").access_key,
        "api_key_id": owner.post("/accounts/v1/api-keys", {"name": "k"}).json["api_key_id"],
        "bucket": "shop",
        "name": "shop",
        "key": "seq.csv",
        "account_id": stranger.account_id,
        **make_nsml(shared, owner),
    }
    return Tenants(shared, owner, stranger, ids)


BODIES: dict[str, Any] = {
    "set_roles": {"nclue": "NONE"},
    "reissue_api_key": {"which": "primary"},
    "grant_bucket": {"account_id": "stranger"},
    "put_object": b"theirs",
    "resize_nas": {"nasVolumeSize": 600},
    "create_run": RUN,
    "put_code": CODE,
    "put_file": b"theirs",
}
"""What is sent to a path that names it, so that another name is another request."""
NAMED_BY_CONTENT = ("put_object", "put_code")
WITH_ID = [o for o in OPERATIONS if "{" in o.path]
LISTS = [o for o in OPERATIONS if o.kind == "read" and "{" not in o.path]


def _target(operation: Operation, ids: dict[str, str]) -> str:
    path = operation.path.replace("...}", "}")
    profile = ids["custom_attribute" if "custom" in path else "shopping_intent"]
    return path.format(**ids, profile_id=profile)


@pytest.mark.parametrize("operation", WITH_ID, ids=lambda o: o.id)
def test_row_10_a_foreign_id_is_404_with_the_body_of_a_missing_one(tenants: Tenants, operation: Operation) -> None:
    body = BODIES.get(operation.id)
    foreign = tenants.stranger(operation.method, _target(operation, tenants.ids), body)
    assert foreign.status == 404
    if operation.method == "HEAD":
        return
    ids = {name: f"no-{name.replace('_', '-')}" for name in tenants.ids} | {"account_id": tenants.ids["account_id"]}
    if operation.id not in NAMED_BY_CONTENT:
        missing = tenants.stranger(operation.method, _target(operation, ids), body)
        assert foreign.error == missing.error
    assert foreign.error[1] in (("404",) if operation.service == "nsml" else ("10201", "10106"))
    assert "main" not in foreign.details


@pytest.mark.parametrize("operation", LISTS, ids=lambda o: o.id)
def test_row_10_a_list_shows_nothing_of_another_account(tenants: Tenants, operation: Operation) -> None:
    reply = tenants.stranger.get(operation.path)
    assert reply.status == 200
    for name, id in tenants.ids.items():
        if name not in ("account_id", "key") and len(id) > 2:
            assert id.encode() not in reply.body


def test_row_10_what_a_query_or_a_body_names_is_not_there_for_others(tenants: Tenants) -> None:
    volume = {"blockStorageNm": "a", "projectId": tenants.ids["projectId"], "size": 1}
    for reply in (
        tenants.stranger("DELETE", f"/nsml/v1/images/secret?privateEp={tenants.ids['privateEp']}"),
        tenants.stranger.post("/nsml/v1/blk-storages", volume),
    ):
        assert reply.error == (404, "404", "Not Found")
    own = make_project(tenants.stranger, "own")
    for fields in ({"blockStorageNoList": [int(tenants.ids["blockStorageNo"])]}, {"codeDigest": tenants.ids["sha256"]}):
        assert ask_run(tenants.stranger, own, **fields).error == (404, "404", "Not Found")
    assert make_run(tenants.stranger, own) == "1"


CREATES: dict[str, Callable[[dict[str, str]], dict[str, Any]]] = {
    "/api/v1/features": lambda _: {"name": "x", "source_bucket": "shop", "source_file_path": "seq.csv"},
    "/api/v1/tasks": lambda ids: {
        "name": "x",
        "train_feature_id": ids["feature_id"],
        "train_bucket": "shop",
        "train_file_path": "labels.tsv",
    },
    "/api/v1/task-runs": lambda ids: {
        "name": "x",
        "task_id": ids["task_id"],
        "feature_id": ids["feature_id"],
        "result_bucket": "shop",
        "result_file_path": "y.tsv",
    },
    "/api/v1/profile/shopping-intents": lambda ids: {"name": "x", "task_id": ids["task_id"]},
    "/api/v1/profile/custom-attributes": lambda ids: {
        "name": "x",
        "feature_id": ids["feature_id"],
        "keyword_set": "run",
        "result_bucket": "shop",
        "result_file_path": "y.tsv",
    },
    "/accounts/v1/keys": lambda ids: {"user_id": ids["user_id"]},
}


@pytest.mark.parametrize("path", CREATES)
def test_row_10_nothing_can_be_built_on_what_is_another_accounts(tenants: Tenants, path: str) -> None:
    reply = tenants.stranger.post(path, CREATES[path](tenants.ids))
    assert (reply.status, reply.json["error"]["errorCode"]) in ((404, "10201"), (404, "10106"))


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.kind != "open"], ids=lambda o: o.id)
def test_row_10_no_route_answers_without_a_signature(tenants: Tenants, operation: Operation) -> None:
    reply = send(tenants.service.port, operation.method, _target(operation, tenants.ids), b"", {})
    assert reply.status == 401


def test_row_10_only_the_operator_sees_and_makes_accounts(tenants: Tenants) -> None:
    mine = tenants.stranger.get("/accounts/v1/accounts").json["accounts"]
    assert [account["account_name"] for account in mine] == ["stranger"]
    assert len(tenants.owner.get("/accounts/v1/accounts").json["accounts"]) == 2
    assert tenants.stranger.post("/accounts/v1/accounts", {"name": "x"}).error == FORBIDDEN


def test_row_10_a_taken_bucket_name_is_not_given_away(tenants: Tenants) -> None:
    reply = tenants.stranger.post("/accounts/v1/buckets", {"name": "shop"})
    assert reply.error == (409, "10102", "DUPLICATE_NAME")
    assert tenants.owner.get("/data/v1/shop/seq.csv").body.startswith(b"u1")
