"""What the twelve documented operations answer: every field, its type, and null while it is unknown."""

import re
from typing import Any

import msgspec
import pytest

from footfall.api.nclue.resources import OPERATIONS, wire
from footfall.states import FailureReason, RunState
from service import Service, make_feature, make_task

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
DOCUMENTED = {
    ("POST", "/api/v1/features"): "feature_id feature_name created_at source_bucket source_file_path",
    ("GET", "/api/v1/features/{feature_id}"): "feature_id feature_name status created_at completed_at source_bucket "
    "source_file_path user_count token_count disk_usage fail_message",
    ("GET", "/api/v1/features"): "index limit total features",
    ("DELETE", "/api/v1/features/{feature_id}"): "feature_id",
    ("POST", "/api/v1/tasks"): "task_id task_name created_at train_feature_id train_feature_name train_bucket "
    "train_file_path test_feature_id test_feature_name test_bucket test_file_path",
    ("GET", "/api/v1/tasks/{task_id}"): "task_id task_name created_at train_feature_id train_feature_name train_bucket "
    "train_file_path test_feature_id test_feature_name test_bucket test_file_path status completed_at AUROC "
    "line_count disk_usage fail_message",
    ("GET", "/api/v1/tasks"): "index limit total tasks",
    ("DELETE", "/api/v1/tasks/{task_id}"): "task_id",
    ("POST", "/api/v1/task-runs"): "run_id run_name task_id task_name feature_id feature_name created_at "
    "result_bucket result_file_path",
    ("GET", "/api/v1/task-runs/{run_id}"): "run_id run_name task_id task_name feature_id feature_name created_at "
    "result_bucket result_file_path status completed_at line_count fail_message",
    ("GET", "/api/v1/task-runs"): "index limit total runs",
    ("DELETE", "/api/v1/task-runs/{run_id}"): "run_id",
}
OURS = {
    "fail_details",
    "progress",
    "encoder",
    "encoder_id",
    "coverage",
    "format",
    "columns",
    "observed_until",
    "found",
    "warnings",
}
FEATURE = {"name": "n", "source_bucket": "shop", "source_file_path": "seq.csv"}


def test_the_table_has_the_twelve_documented_operations() -> None:
    assert {(o.method, o.path) for o in OPERATIONS if o.is_documented} == set(DOCUMENTED)


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.is_documented], ids=lambda o: o.id)
def test_an_answer_has_the_documented_fields_and_others_only_marked_ours(operation: Any) -> None:
    fields = {field.encode_name for field in msgspec.structs.fields(operation.response)}
    documented = set(DOCUMENTED[operation.method, operation.path].split())
    assert fields - OURS == documented
    schema = msgspec.json.schema_components([operation.response])[1][operation.response.__name__]
    for name in fields - documented:
        assert schema["properties"][name]["x-ours"]


def test_what_is_not_known_yet_is_null(shared: Service) -> None:
    id = shared.operator.post("/api/v1/features", FEATURE | {"name": "new"}).json["feature_id"]
    shown = shared.operator.get(f"/api/v1/features/{id}").json
    nulls = {name for name, value in shown.items() if value is None}
    assert nulls == {
        "completed_at",
        "user_count",
        "token_count",
        "disk_usage",
        "fail_message",
        "fail_details",
        "encoder",
        "encoder_id",
        "coverage",
        "format",
        "columns",
        "observed_until",
        "progress",
        "found",
    }
    assert STAMP.fullmatch(shown["created_at"])


def test_a_completed_task_run_reads_as_in_the_documented_example(shared: Service) -> None:
    call = shared.operator
    feature = make_feature(shared, call, "Shopping behavior sequence - 2024")
    task = make_task(shared, call, "Prediction model", feature)
    body = {
        "name": "Estimate of users",
        "task_id": task,
        "feature_id": feature,
        "result_bucket": "shop",
        "result_file_path": "petfood_predict.tsv",
    }
    made = call.post("/api/v1/task-runs", body).json
    shared.complete(made["run_id"], {"line_count": 1209478, "object": "shop/petfood_predict.tsv", "sha256": "0"})
    shown = call.get(f"/api/v1/task-runs/{made['run_id']}").json
    assert STAMP.fullmatch(shown.pop("completed_at"))
    assert STAMP.fullmatch(shown["created_at"])
    assert shown == {
        "run_id": made["run_id"],
        "run_name": "Estimate of users",
        "task_id": task,
        "task_name": "Prediction model",
        "feature_id": feature,
        "feature_name": "Shopping behavior sequence - 2024",
        "status": "completed",
        "created_at": made["created_at"],
        "result_bucket": "shop",
        "result_file_path": "petfood_predict.tsv",
        "line_count": 1209478,
        "fail_message": None,
        "fail_details": None,
        "progress": None,
    }


def test_line_count_of_a_task_sums_distinct_features(shared: Service) -> None:
    call = shared.operator
    one = make_feature(shared, call, "march")
    two = make_feature(shared, call, "april", encoder_id=one)
    for name, test, expected in (("same", one, 3), ("two", two, 6)):
        body = {
            "name": name,
            "train_feature_id": one,
            "train_bucket": "shop",
            "train_file_path": "labels.tsv",
            "test_feature_id": test,
            "test_bucket": "shop",
            "test_file_path": "labels.tsv",
        }
        id = call.post("/api/v1/tasks", body).json["task_id"]
        assert call.get(f"/api/v1/tasks/{id}").json["line_count"] is None
        shared.complete(id, {"AUROC": "0.7000", "disk_usage": 1, "artefact": f"tasks/{id}/0"})
        assert call.get(f"/api/v1/tasks/{id}").json["line_count"] == expected


FAIL_NAMES = {
    "command_failed": "COMMON_ERROR",
    "rejected": "COMMON_ERROR",
    "timed_out": "TIMED_OUT",
    "out_of_memory": "OUT_OF_MEMORY",
    "no_space": "DISK_SPACE_SHORTAGE",
    "store_read": "OBS_DOWNLOAD_FAILED",
    "store_write": "OBS_UPLOAD_FAILED",
    "store_denied": "OBS_USER_FILE_ACCESS_ERROR",
    "input_changed": "OBS_DOWNLOAD_FAILED",
    "result_exists": "RESULT_EXISTS",
    "lost": "LOST",
}


@pytest.mark.parametrize(("reason", "name"), FAIL_NAMES.items())
def test_fail_message_is_exactly_one_name(shared: Service, reason: str, name: str) -> None:
    call = shared.operator
    id = call.post("/api/v1/features", FEATURE | {"name": f"fails {reason}"}).json["feature_id"]
    shared.fail(id, reason)
    shown = call.get(f"/api/v1/features/{id}").json
    assert (shown["status"], shown["fail_message"]) == ("failed", name)
    assert shown["fail_details"] == FailureReason(reason).message()


def test_a_jobs_own_name_and_sentence_are_shown(shared: Service) -> None:
    call = shared.operator
    id = call.post("/api/v1/features", FEATURE | {"name": "bad file"}).json["feature_id"]
    shared.fail(id, "bad_input", fail_name="DUPLICATE_USERID", fail_details="seq.csv, line 3: u1 is there twice")
    shown = call.get(f"/api/v1/features/{id}").json
    assert (shown["fail_message"], shown["fail_details"]) == ("DUPLICATE_USERID", "seq.csv, line 3: u1 is there twice")


def test_every_reason_has_a_name_and_every_state_a_word() -> None:
    assert set(wire._FAIL_NAMES) == set(FailureReason)
    assert {state.value for state in RunState} - {"cancelled"} == {"registered", "pending", "in_progress", "completed", "failed"}


def test_progress_is_shown_while_a_job_runs(shared: Service) -> None:
    from footfall import layout

    call = shared.operator
    id = call.post("/api/v1/features", FEATURE | {"name": "progress"}).json["feature_id"]
    shared.move(id, RunState.PENDING, RunState.IN_PROGRESS)
    node = shared.settings.runs_root / layout.node_dir(shared.run_id_of(id), 0, 0)
    node.mkdir(parents=True)
    (node / layout.PROGRESS).write_text('{"stage": "encode", "done": 5, "total": null}')
    shown = call.get(f"/api/v1/features/{id}").json
    assert shown["progress"] == {"stage": "encode", "done": 5, "total": None}
    (node / layout.LOG).write_bytes(b"one\ntwo\n")
    log = call.get(f"/api/v1/features/{id}/log?offset=4&limit=2")
    assert (log.body, log.headers["x-next-offset"], log.headers["x-log-complete"]) == (b"tw", "6", "false")
    assert log.headers["content-type"].startswith("text/plain")


def test_pages_are_newest_first_and_never_repeat_or_skip(service: Service) -> None:
    call = service.operator
    call.put("shop", "seq.csv", b"u\ta\n")
    ids = [call.post("/api/v1/features", FEATURE | {"name": f"{n}"}).json["feature_id"] for n in range(11)]
    for limit in (1, 3, 4, 20):
        seen: list[str] = []
        for index in range(0, 12, limit):
            page = call.get(f"/api/v1/features?index={index}&limit={limit}").json
            assert (page["index"], page["limit"], page["total"]) == (index, limit, 11)
            seen += [item["feature_id"] for item in page["features"]]
        assert seen == ids[::-1]
    assert call.get("/api/v1/features?index=9223372036854775807").json["features"] == []


def test_unknown_fields_are_named_cut_and_counted(shared: Service) -> None:
    extra = {"é,\r\n" + "x" * 100: 1} | {f"f{n}": 1 for n in range(30)}
    reply = shared.operator.post("/api/v1/features", FEATURE | {"name": "unknown"} | extra)
    names = reply.headers["x-unknown-fields"].split(",")
    assert reply.status == 200
    assert len(names) == 20
    assert names[0] == "%C3%A9%2C%0D%0A" + "x" * 60


def test_a_body_is_json_whatever_its_type(shared: Service) -> None:
    for n, kind in enumerate((None, "text/plain", "application/x-www-form-urlencoded", "application/xml")):
        extra = {} if kind is None else {"content-type": kind}
        reply = shared.operator("POST", "/api/v1/features", FEATURE | {"name": f"type {n}"}, extra=extra)
        assert reply.status == 200


def test_encoders_are_listed_and_go_with_their_last_user(service: Service) -> None:
    call = service.operator
    call.put("shop", "seq.csv", b"u\ta\n")
    call.put("shop", "labels.tsv", b"u\t1\n")
    first = make_feature(service, call, "first")
    second = make_feature(service, call, "second", encoder_id=first)
    task = make_task(service, call, "t", second)
    assert call.get("/api/v1/encoders").json["encoders"][0]["feature_count"] == 2
    assert call.get(f"/api/v1/encoders/{first}").json["encoder_name"] == "first"
    for path in (f"features/{first}", f"features/{second}"):
        assert call("DELETE", f"/api/v1/{path}").status == 200
        assert call.get("/api/v1/encoders").json["total"] == 1
    assert call("DELETE", f"/api/v1/tasks/{task}").status == 200
    assert call.get("/api/v1/encoders").json["total"] == 0
    from footfall.db import retention

    with service.database.read() as connection:
        graves = set(retention.find_tombstones(connection, 100))
    assert {f"features/{first}/0", f"features/{second}/0", f"tasks/{task}/0", f"encoders/{first}/0"} <= graves
