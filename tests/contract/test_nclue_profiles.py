"""The nine documented operations on profiles: what they answer, and every refusal at the request."""

import json
import re
from typing import Any

import msgspec
import pytest

from footfall.api.nclue.profiles import OPERATIONS
from footfall.behavior.custom_attributes import MAX_KEYWORD_SET, create_custom_attributes
from footfall.behavior.hooks import BehaviorHooks
from footfall.behavior.shopping_intents import create_shopping_intent
from footfall.db import retention, runs
from footfall.db.behavior import used_bytes
from footfall.errors import NotFoundError
from footfall.records import Caller, Run
from footfall.states import RunState
from service import Reply, Service, make_feature, make_profiles, make_task, open_service

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
INTENTS, ATTRIBUTES = "/api/v1/profile/shopping-intents", "/api/v1/profile/custom-attributes"
DOCUMENTED = {
    ("POST", INTENTS): "profile_id profile_name task_id task_name created_at",
    ("GET", f"{INTENTS}/{{profile_id}}"): "profile_id profile_name task_id task_name created_at status completed_at "
    "line_count disk_usage fail_message",
    ("GET", INTENTS): "index limit total profiles",
    ("GET", f"{INTENTS}-download/{{profile_id}}"): "",
    ("DELETE", f"{INTENTS}/{{profile_id}}"): "profile_id",
    ("POST", ATTRIBUTES): "profile_id profile_name feature_id feature_name keyword_set created_at result_bucket result_file_path",
    ("GET", f"{ATTRIBUTES}/{{profile_id}}"): "profile_id profile_name feature_id feature_name keyword_set created_at "
    "result_bucket result_file_path status completed_at line_count fail_message",
    ("GET", ATTRIBUTES): "index limit total profiles",
    ("DELETE", f"{ATTRIBUTES}/{{profile_id}}"): "profile_id",
}
TABLE = b"section\tname\ttarget_share\tbase_share\tlift\tusers\nbehavior\tbuy shoes\t0.5\t0.1\t5.0\t10\n"
MISSING, NOT_READY = (404, "10201", "NOT_FOUND"), (409, "10203", "DEPENDENCY_NOT_COMPLETED")
INVALID = (422, "10200", "INVALID_REQUEST")


@pytest.fixture(scope="module")
def made(shared: Service) -> dict[str, str]:
    """A completed feature and task, an unfinished one of each, and a registered profile of each kind."""
    call = shared.operator
    feature = make_feature(shared, call, "made")
    task = make_task(shared, call, "made", feature)
    place = {"source_bucket": "shop", "source_file_path": "seq.csv"}
    labels = {"train_feature_id": feature, "train_bucket": "shop", "train_file_path": "labels.tsv"}
    intent, attributes = make_profiles(call, task, feature)
    return {
        "feature": feature,
        "task": task,
        "waiting feature": call.post("/api/v1/features", {"name": "waiting", **place}).json["feature_id"],
        "waiting task": call.post("/api/v1/tasks", {"name": "waiting", **labels}).json["task_id"],
        "intent": intent,
        "attributes": attributes,
    }


def intent(made: dict[str, str], **changes: Any) -> dict[str, Any]:
    body = {"name": "i", "task_id": made["task"], **changes}
    return {name: value for name, value in body.items() if value != "absent"}


def attributes(made: dict[str, str], **changes: Any) -> dict[str, Any]:
    body = {
        "name": "a",
        "feature_id": made["feature"],
        "keyword_set": "running\nrun\nmarathon",
        "result_bucket": "shop",
        "result_file_path": "out/a.tsv",
        **changes,
    }
    return {name: value for name, value in body.items() if value != "absent"}


def run_of(service: Service, id: str) -> Run:
    with service.database.read() as connection:
        return runs.get(connection, service.run_id_of(id))


def refused(service: Service, path: str, body: dict[str, Any]) -> Reply:
    """Ask for what is refused, and see that nothing changed."""
    before = service.operator.get(path).json
    reply = service.operator.post(path, body)
    assert reply.status >= 400
    assert service.operator.get(path).json == before
    return reply


def test_the_table_has_the_nine_documented_operations() -> None:
    assert {(o.method, o.path) for o in OPERATIONS if o.is_documented} == set(DOCUMENTED)


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.is_documented and o.response], ids=lambda o: o.id)
def test_an_answer_has_the_documented_fields_and_others_only_marked_ours(operation: Any) -> None:
    fields = {field.encode_name for field in msgspec.structs.fields(operation.response)}
    documented = set(DOCUMENTED[operation.method, operation.path].split())
    ours = fields - documented
    assert documented <= fields
    assert ours <= {"fail_details", "progress", "unknown_keywords"}
    schema = msgspec.json.schema_components([operation.response])[1][operation.response.__name__]
    assert all(schema["properties"][name]["x-ours"] for name in ours)


def test_a_shopping_intent_is_made_shown_and_downloaded(service: Service) -> None:
    call = service.operator
    call.put("shop", "seq.csv", b"u1\ta\n")
    call.put("shop", "labels.tsv", b"u1\t1\n")
    feature = make_feature(service, call, "f")
    task = make_task(service, call, "pet food", feature)
    first = call.post(INTENTS, {"name": "who", "task_id": task}).json
    id = first["profile_id"]
    assert first == {
        "profile_id": id, "profile_name": "who", "task_id": task, "task_name": "pet food",
        "created_at": first["created_at"],
    }  # fmt: skip
    shown = call.get(f"{INTENTS}/{id}").json
    nulls = {name for name, value in shown.items() if value is None}
    assert nulls == {"completed_at", "line_count", "disk_usage", "fail_message", "fail_details", "progress"}
    assert shown["status"] == "registered"
    early = call.get(f"{INTENTS}-download/{id}")
    assert early.error == (409, "10207", "NOT_COMPLETED")
    artefact = f"shopping_intents/{id}/0"
    service.context.internal.write(f"{artefact}/profile.tsv", TABLE)
    service.complete(id, {"line_count": 3, "disk_usage": len(TABLE), "artefact": artefact})
    ended = call.get(f"{INTENTS}/{id}").json
    assert STAMP.fullmatch(ended.pop("completed_at"))
    assert (ended["status"], ended["line_count"], ended["disk_usage"]) == ("completed", 3, len(TABLE))
    got = call.get(f"{INTENTS}-download/{id}")
    assert (got.status, got.body) == (200, TABLE)
    assert got.headers["content-type"] == "text/tab-separated-values; charset=utf-8"
    assert got.headers["content-disposition"] == f'attachment; filename="{id}.tsv"'
    assert [item["profile_id"] for item in call.get(f"{INTENTS}?index=0&limit=20").json["profiles"]] == [id]
    with service.database.read() as connection:
        used = used_bytes(connection, call.account_id)
    assert used == 1000 + 500 + 7 + len(TABLE)
    assert call("DELETE", f"{INTENTS}/{id}").json == {"profile_id": id}
    assert call.get(f"{INTENTS}-download/{id}").error == MISSING
    with service.database.read() as connection:
        assert artefact in set(retention.find_tombstones(connection, 1000))
        assert used_bytes(connection, call.account_id) == used - len(TABLE)


def test_custom_attributes_are_made_and_shown_with_commas(service: Service) -> None:
    call = service.operator
    call.put("shop", "seq.csv", b"u1\ta\n")
    feature = make_feature(service, call, "f")
    body = attributes({"feature": feature}, keyword_set=" running\r\nrun  fast\n\nmarathon\nrunning\n")
    first = call.post(ATTRIBUTES, body).json
    id = first["profile_id"]
    assert first == {
        "profile_id": id, "profile_name": "a", "feature_id": feature, "feature_name": "f",
        "keyword_set": "running,run fast,marathon", "created_at": first["created_at"], "result_bucket": "shop",
        "result_file_path": "out/a.tsv",
    }  # fmt: skip
    job = run_of(service, id).spec.job
    assert job is not None
    assert job["keywords"] == ["running", "run fast", "marathon"]
    assert (job["encoder_artefact"], job["feature_artefact"]) == (f"encoders/{feature}/0", f"features/{feature}/0")
    shown = call.get(f"{ATTRIBUTES}/{id}").json
    assert shown["unknown_keywords"] is None
    found = {"line_count": 3, "unknown_keywords": ["marathon"], "object": "shop/out/a.tsv", "sha256": "0"}
    service.complete(id, found)
    ended = call.get(f"{ATTRIBUTES}/{id}").json
    assert (ended["status"], ended["line_count"], ended["unknown_keywords"]) == ("completed", 3, ["marathon"])
    assert "disk_usage" not in ended
    assert [item["profile_id"] for item in call.get(ATTRIBUTES).json["profiles"]] == [id]
    assert call("DELETE", f"{ATTRIBUTES}/{id}").json == {"profile_id": id}
    assert call.get(f"{ATTRIBUTES}/{id}").error == MISSING


def test_unknown_keywords_fail_by_name(shared: Service, made: dict[str, str]) -> None:
    call = shared.operator
    id = call.post(ATTRIBUTES, attributes(made, name="unknown", result_file_path="unknown.tsv")).json["profile_id"]
    shared.fail(id, "bad_input", fail_name="UNKNOWN_KEYWORD", fail_details="Nobody did 'xyz'.")
    shown = call.get(f"{ATTRIBUTES}/{id}").json
    assert (shown["status"], shown["fail_message"], shown["fail_details"]) == (
        "failed", "UNKNOWN_KEYWORD", "Nobody did 'xyz'.",
    )  # fmt: skip
    assert shown["line_count"] is None


@pytest.mark.parametrize("field", ["name", "task_id"])
@pytest.mark.parametrize("value", ["absent", None, 1, ["a"], {}])
def test_a_missing_or_mistyped_field_of_a_shopping_intent_is_10200(
    shared: Service, made: dict[str, str], field: str, value: Any
) -> None:
    reply = refused(shared, INTENTS, intent(made, **{field: value}))
    assert reply.error == INVALID
    assert field in reply.details


@pytest.mark.parametrize("field", ["name", "feature_id", "keyword_set", "result_bucket", "result_file_path"])
@pytest.mark.parametrize("value", ["absent", None, 1, ["a"]])
def test_a_missing_or_mistyped_field_of_custom_attributes_is_10200(
    shared: Service, made: dict[str, str], field: str, value: Any
) -> None:
    reply = refused(shared, ATTRIBUTES, attributes(made, **{field: value}))
    assert reply.error == INVALID
    assert field in reply.details


@pytest.mark.parametrize("keyword_set", ["", " ", "\n\r\n \n", "a\x00b", "a\u200bb", "run\n\x1b[31m", "x" * 1001, "ab\n" * 334])
def test_a_bad_keyword_set_is_10200(shared: Service, made: dict[str, str], keyword_set: str) -> None:
    reply = refused(shared, ATTRIBUTES, attributes(made, keyword_set=keyword_set))
    assert reply.error == INVALID
    assert "keyword_set" in reply.details


@pytest.mark.parametrize("keyword_set", ["가" * MAX_KEYWORD_SET, "운동화\n러닝", "лыжи, сноуборд", "naïve café"])
def test_keywords_of_any_language_are_taken(shared: Service, made: dict[str, str], keyword_set: str) -> None:
    name = f"language {hash(keyword_set)}"
    reply = shared.operator.post(ATTRIBUTES, attributes(made, name=name, keyword_set=keyword_set, result_file_path=""))
    assert reply.status == 200
    assert reply.json["keyword_set"] == keyword_set.replace("\n", ",")


@pytest.mark.parametrize(("path", "body"), [(INTENTS, intent), (ATTRIBUTES, attributes)], ids=["intent", "attributes"])
def test_names_are_checked_as_everywhere(shared: Service, made: dict[str, str], path: str, body: Any) -> None:
    for name in ("", " a", "a\n", "a\u200bb"):
        assert refused(shared, path, body(made, name=name)).error == INVALID
    assert refused(shared, path, body(made, name="가" * 101)).error == (422, "10101", "NAME_TOO_LONG")
    assert refused(shared, path, body(made, name="p")).error == (409, "10102", "DUPLICATE_NAME")


@pytest.mark.parametrize("path", ["a:b", "a b", "../a", "가", "/a", "a//b"])
def test_a_bad_result_path_is_10103(shared: Service, made: dict[str, str], path: str) -> None:
    reply = refused(shared, ATTRIBUTES, attributes(made, result_file_path=path))
    assert reply.error == (422, "10103", "INVALID_PATH_CHARACTER")


def test_a_missing_result_bucket_is_10106(shared: Service, made: dict[str, str]) -> None:
    reply = refused(shared, ATTRIBUTES, attributes(made, result_bucket="no-such-bucket"))
    assert reply.error == (404, "10106", "PATH_NOT_FOUND")


def test_unknown_ids_are_10201(shared: Service, made: dict[str, str]) -> None:
    call = shared.operator
    assert refused(shared, INTENTS, intent(made, task_id="x")).error == MISSING
    assert refused(shared, ATTRIBUTES, attributes(made, feature_id="x")).error == MISSING
    for base, other in ((INTENTS, made["attributes"]), (ATTRIBUTES, made["intent"])):
        for id in ("x", "00000000-0000-4000-8000-000000000000", other):
            assert call.get(f"{base}/{id}").error == MISSING
            assert call("DELETE", f"{base}/{id}").error == MISSING
            assert call.post(f"{base}/{id}/cancel").error == MISSING
            assert call.get(f"{base}/{id}/log").error == MISSING
    assert call.get(f"{INTENTS}-download/{made['attributes']}").error == MISSING


def test_an_unfinished_dependency_is_10203(shared: Service, made: dict[str, str]) -> None:
    assert refused(shared, INTENTS, intent(made, task_id=made["waiting task"])).error == NOT_READY
    assert refused(shared, ATTRIBUTES, attributes(made, feature_id=made["waiting feature"])).error == NOT_READY


def test_a_task_whose_feature_is_deleted_has_no_users_to_speak_of(service: Service) -> None:
    call = service.operator
    call.put("shop", "seq.csv", b"u1\ta\n")
    call.put("shop", "labels.tsv", b"u1\t1\n")
    feature = make_feature(service, call, "march")
    task = make_task(service, call, "t", feature)
    assert call("DELETE", f"/api/v1/features/{feature}").status == 200
    reply = refused(service, INTENTS, {"name": "i", "task_id": task})
    assert reply.error == NOT_READY
    assert "'march'" in reply.details


def test_what_goes_between_check_and_insert_is_noticed(service: Service) -> None:
    call = service.operator
    call.put("shop", "seq.csv", b"u1\ta\n")
    call.put("shop", "labels.tsv", b"u1\t1\n")
    feature = make_feature(service, call, "f")
    task = make_task(service, call, "t", feature)
    caller = Caller(call.account_id, call.user_id, call.access_key, {"nclue": "MANAGER"})
    body = attributes({"feature": feature})
    place = {"bucket": body["result_bucket"], "path": body["result_file_path"], "keyword_set": body["keyword_set"]}
    halves: list[Any] = [
        create_shopping_intent(service.context.behavior, caller, name="i", task_id=task),
        create_custom_attributes(service.context.behavior, caller, name="a", feature_id=feature, **place),
    ]
    assert call("DELETE", f"/api/v1/features/{feature}").status == 200
    for apply in halves:
        with pytest.raises(NotFoundError), service.database.write() as tx:
            apply(tx)
    assert [call.get(base).json["total"] for base in (INTENTS, ATTRIBUTES)] == [0, 0]


def test_a_result_is_never_overwritten_10205(shared: Service, made: dict[str, str]) -> None:
    call, exists = shared.operator, (409, "10205", "RESULT_EXISTS")
    call.put("shop", "there.tsv", b"x")
    assert refused(shared, ATTRIBUTES, attributes(made, name="x1", result_file_path="there.tsv")).error == exists
    first = call.post(ATTRIBUTES, attributes(made, name="x2", result_file_path="place.tsv"))
    second = attributes(made, name="x3", result_file_path="place.tsv")
    assert refused(shared, ATTRIBUTES, second).error == exists
    run = {"name": "r", "task_id": made["task"], "feature_id": made["feature"], "result_bucket": "shop"}
    assert call.post("/api/v1/task-runs", run | {"result_file_path": "place.tsv"}).error == exists
    shared.fail(first.json["profile_id"], "lost")
    assert call.post(ATTRIBUTES, second).status == 200


@pytest.mark.parametrize("path", ["", "dir/"])
def test_a_directory_gets_a_file_name(shared: Service, made: dict[str, str], path: str) -> None:
    body = attributes(made, name=f"dir:{path}", result_file_path=path)
    name = shared.operator.post(ATTRIBUTES, body).json["result_file_path"]
    assert re.fullmatch(re.escape(path) + r"nclue_[0-9a-f]{8}_\d{10}\.tsv", name)


def test_what_is_unfinished_keeps_what_it_is_made_from_10202(service: Service) -> None:
    call = service.operator
    call.put("shop", "seq.csv", b"u1\ta\n")
    call.put("shop", "labels.tsv", b"u1\t1\n")
    call.post("/accounts/v1/buckets", {"name": "results"})
    feature = make_feature(service, call, "f")
    task = make_task(service, call, "t", feature)
    made = {"task": task, "feature": feature}
    one = call.post(INTENTS, intent(made, name="one")).json["profile_id"]
    two = call.post(ATTRIBUTES, attributes(made, name="two", result_bucket="results")).json["profile_id"]
    reply = call("DELETE", f"/api/v1/tasks/{task}")
    assert reply.error == (409, "10202", "RESOURCE_IN_USE")
    assert "shopping intent 'one'" in reply.details
    kept = call("DELETE", f"/api/v1/features/{feature}").details
    assert "shopping intent 'one'" in kept
    assert "custom attribute 'two'" in kept
    assert "custom attribute 'two'" in call("DELETE", "/accounts/v1/buckets/results").details
    service.complete(one, {"line_count": 1, "disk_usage": 1, "artefact": f"shopping_intents/{one}/0"})
    service.complete(two, {"line_count": 1, "unknown_keywords": [], "object": "results/out/a.tsv", "sha256": "0"})
    assert call("DELETE", f"/api/v1/tasks/{task}").status == 200
    assert call("DELETE", f"/api/v1/features/{feature}").status == 200
    assert call.get(f"{INTENTS}/{one}").json["task_name"] == "t"
    assert call.get(f"{ATTRIBUTES}/{two}").json["feature_name"] == "f"


@pytest.mark.parametrize(("base", "body"), [(INTENTS, intent), (ATTRIBUTES, attributes)], ids=["intent", "attributes"])
def test_own_state_alone_decides_about_a_delete(shared: Service, made: dict[str, str], base: str, body: Any) -> None:
    call = shared.operator
    new = body(made, name="own state", **({} if base == INTENTS else {"result_file_path": "own.tsv"}))
    id = call.post(base, new).json["profile_id"]
    for state in (RunState.PENDING, RunState.IN_PROGRESS):
        shared.move(id, state)
        assert call("DELETE", f"{base}/{id}").error == (409, "10202", "RESOURCE_IN_USE")
    shared.move(id, RunState.FAILED, reason="lost")
    assert call("DELETE", f"{base}/{id}").json == {"profile_id": id}
    again = call.post(base, new).json["profile_id"]
    run_id = shared.run_id_of(again)
    assert call("DELETE", f"{base}/{again}").status == 200
    with shared.database.read() as connection:
        assert runs.get(connection, run_id).state is RunState.CANCELLED
    assert call.post(base, new).status == 200  # its name and its place are free again


@pytest.mark.parametrize(("base", "body"), [(INTENTS, intent), (ATTRIBUTES, attributes)], ids=["intent", "attributes"])
def test_cancel_ends_and_an_ended_one_is_10209(shared: Service, made: dict[str, str], base: str, body: Any) -> None:
    call = shared.operator
    new = body(made, name="cancelled", **({} if base == INTENTS else {"result_file_path": "cancelled.tsv"}))
    id = call.post(base, new).json["profile_id"]
    assert call.post(f"{base}/{id}/cancel").json == {"profile_id": id, "status": "failed"}
    assert call.get(f"{base}/{id}").json["fail_message"] == "CANCELLED"
    assert call.post(f"{base}/{id}/cancel").error == (409, "10209", "ALREADY_ENDED")
    if base == INTENTS:
        assert call.get(f"{base}-download/{id}").error == (409, "10207", "NOT_COMPLETED")


def test_checks_come_in_the_order_of_the_contract(shared: Service, made: dict[str, str]) -> None:
    call = shared.operator
    worst = {"name": "x" * 101, "feature_id": "x", "keyword_set": "", "result_bucket": "none", "result_file_path": "a:b"}
    steps = [
        ("10200", {}),
        ("10101", {"keyword_set": "run"}),
        ("10103", {"name": "p"}),
        ("10201", {"result_file_path": "a.tsv"}),
        ("10203", {"feature_id": made["waiting feature"]}),
        ("10102", {"feature_id": made["feature"]}),
        ("10106", {"name": "order"}),
    ]
    for code, better in steps:
        worst |= better
        assert call.post(ATTRIBUTES, worst).error[1] == code


def test_a_page_out_of_range_is_10200(shared: Service) -> None:
    for base in (INTENTS, ATTRIBUTES):
        for query in ("limit=0", "limit=101", "index=-1", "limit=1&limit=2"):
            assert shared.operator.get(f"{base}?{query}").error == INVALID


def test_too_many_are_10208(tmp_path: Any) -> None:
    with open_service(tmp_path / "home", max_resources=1) as service:
        call = service.operator
        call.put("shop", "seq.csv", b"u\ta\n")
        call.put("shop", "labels.tsv", b"u\t1\n")
        feature = make_feature(service, call, "f")
        made = {"feature": feature, "task": make_task(service, call, "t", feature)}
        make_profiles(call, made["task"], feature)
        assert refused(service, INTENTS, intent(made)).error == (409, "10208", "LIMIT_REACHED")
        assert refused(service, ATTRIBUTES, attributes(made)).error == (409, "10208", "LIMIT_REACHED")


def test_a_viewer_reads_and_does_not_make(shared: Service, made: dict[str, str]) -> None:
    viewer = shared.user(shared.operator, "profile viewer", nclue="VIEWER")
    assert viewer.get(f"{INTENTS}/{made['intent']}").status == 200
    for path, body in ((INTENTS, intent(made)), (ATTRIBUTES, attributes(made))):
        assert viewer.post(path, body).error == (401, "10100", "ACCESS_DENIED")


def test_a_job_learns_of_the_other_tasks_and_the_quota_when_its_turn_comes(tmp_path: Any) -> None:
    with open_service(tmp_path / "home", disk_quota_mib=1) as service:
        call = service.operator
        call.put("shop", "seq.csv", b"u1\ta\n")
        call.put("shop", "labels.tsv", b"u1\t1\n")
        feature = make_feature(service, call, "f")
        task = make_task(service, call, "mine", feature)
        id = call.post(INTENTS, {"name": "i", "task_id": task}).json["profile_id"]
        make_task(service, call, "of another feature", make_feature(service, call, "g", encoder_id=feature))
        other = make_task(service, call, "other", feature)
        deleted = make_task(service, call, "deleted", feature)
        call("DELETE", f"/api/v1/tasks/{deleted}")
        with service.database.write() as tx:
            job = BehaviorHooks(service.settings).complete_spec(tx, run_of(service, id)).job
        assert job is not None
        assert job["others"] == [{"name": "other", "artefact": f"tasks/{other}/0"}]
        assert job["quota_left_bytes"] == (1 << 20) - 2 * 1000 - 500 - 3 * 7
        json.dumps(job)
