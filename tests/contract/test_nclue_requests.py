"""Every refusal of the NCLUE contract that happens at the request: status, code and symbol."""

import gzip
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import zstandard

from footfall.states import RunState
from service import Service, feature_result, make_feature, make_task

FEATURE = {"name": "n", "source_bucket": "shop", "source_file_path": "seq.csv"}
INVISIBLE = (
    "\u200b", "a\u200bb", "\ufeffa", "a\u202eb", "a\u2066b", "a\u00adb", "a\u200db", "👩\u200d", "\u200d👩",  # of no width
    "\u3164", "\u115f\u1160", "\u2800", "\ufe0f", "\u3164\u3000\u3164",  # blank
)  # fmt: skip
FORBIDDEN = "&$@;:+,?*\\{}^%`[]<>~#|\"'"


@pytest.fixture(scope="module")
def made(shared: Service) -> dict[str, str]:
    """A completed feature and task, and a feature of another encoder."""
    feature = make_feature(shared, shared.operator, "made")
    return {
        "feature": feature,
        "other": make_feature(shared, shared.operator, "other encoder"),
        "task": make_task(shared, shared.operator, "made", feature),
        "unfinished": shared.operator.post("/api/v1/features", FEATURE | {"name": "unfinished"}).json["feature_id"],
    }


def task(made: dict[str, str], **changes: Any) -> dict[str, Any]:
    body = {"name": "t", "train_feature_id": made["feature"], "train_bucket": "shop", "train_file_path": "labels.tsv", **changes}
    return {name: value for name, value in body.items() if value != "absent"}


def task_run(made: dict[str, str], **changes: Any) -> dict[str, Any]:
    return {
        "name": "r",
        "task_id": made["task"],
        "feature_id": made["feature"],
        "result_bucket": "shop",
        "result_file_path": "out/r.tsv",
        **changes,
    }


@pytest.mark.parametrize("field", ["name", "source_bucket", "source_file_path"])
@pytest.mark.parametrize("value", ["absent", None, 1, ["a"], {}])
def test_a_missing_or_mistyped_field_of_a_feature_is_10200(shared: Service, field: str, value: Any) -> None:
    body = {k: v for k, v in (FEATURE | {field: value}).items() if v != "absent"}
    reply = shared.operator.post("/api/v1/features", body)
    assert reply.error == (422, "10200", "INVALID_REQUEST")
    assert field in reply.details


@pytest.mark.parametrize("field", ["name", "train_feature_id", "train_bucket", "train_file_path"])
def test_a_missing_field_of_a_task_is_10200(shared: Service, made: dict[str, str], field: str) -> None:
    assert shared.operator.post("/api/v1/tasks", task(made, **{field: "absent"})).error[:2] == (422, "10200")


@pytest.mark.parametrize("field", ["name", "task_id", "feature_id", "result_bucket", "result_file_path"])
def test_a_missing_field_of_a_task_run_is_10200(shared: Service, made: dict[str, str], field: str) -> None:
    body = task_run(made)
    del body[field]
    assert shared.operator.post("/api/v1/task-runs", body).error[:2] == (422, "10200")


@pytest.mark.parametrize("name", ["", " a", "a ", "a\n", "a\tb", "a\x00", "a\x1b[31m", "a\u2028b", *INVISIBLE])
def test_a_bad_name_is_10200(shared: Service, name: str) -> None:
    assert shared.operator.post("/api/v1/features", FEATURE | {"name": name}).error == (422, "10200", "INVALID_REQUEST")


@pytest.mark.parametrize("name", ["👩\u200d💻", "❤\ufe0f\u200d🔥", "👩🏽\u200d🔬 한국어", "e\u0301", "Ⅷ ½"])
def test_a_name_of_visible_characters_is_fine(shared: Service, name: str) -> None:
    assert shared.operator.post("/api/v1/features", FEATURE | {"name": name}).status == 200


def test_a_name_has_at_most_100_characters(shared: Service) -> None:
    too_long = shared.operator.post("/api/v1/features", FEATURE | {"name": "가" * 101})
    assert too_long.error == (422, "10101", "NAME_TOO_LONG")
    assert shared.operator.post("/api/v1/features", FEATURE | {"name": "가" * 100}).status == 200


def test_a_name_exists_once_in_an_account_for_each_kind(shared: Service, made: dict[str, str]) -> None:
    call = shared.operator
    assert call.post("/api/v1/features", FEATURE | {"name": "made"}).error == (409, "10102", "DUPLICATE_NAME")
    assert call.post("/api/v1/tasks", task(made, name="made")).error == (409, "10102", "DUPLICATE_NAME")
    assert call.post("/api/v1/task-runs", task_run(made, name="made", result_file_path="a")).status == 200
    again = call.post("/api/v1/task-runs", task_run(made, name="made", result_file_path="b"))
    assert again.error == (409, "10102", "DUPLICATE_NAME")


def test_names_are_compared_in_composed_form(shared: Service) -> None:
    assert shared.operator.post("/api/v1/features", FEATURE | {"name": "café"}).status == 200
    twin = shared.operator.post("/api/v1/features", FEATURE | {"name": "cafe\u0301"})
    assert twin.error[1:] == ("10102", "DUPLICATE_NAME")


def test_a_deleted_name_can_be_used_again(shared: Service) -> None:
    call = shared.operator
    id = call.post("/api/v1/features", FEATURE | {"name": "again"}).json["feature_id"]
    assert call("DELETE", f"/api/v1/features/{id}").json == {"feature_id": id}
    assert call.post("/api/v1/features", FEATURE | {"name": "again"}).status == 200


BAD_PATHS = [
    *(f"{a}{c}{b}" for c in FORBIDDEN for a, b in (("", "b"), ("a", "b"), ("a", ""))),
    "a b",
    " a",
    *("a" + chr(c) for c in (0, 9, 10, 31, 127, 128, 255, 0xAC00, 0x2028)),
    *("", "/a", "a//b", "a/./b", "../b", "a/..", ".", "..", "a" * 1025),
    "..%2fb",
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_row_11_a_bad_source_path_is_10103(shared: Service, path: str) -> None:
    reply = shared.operator.post("/api/v1/features", FEATURE | {"source_file_path": path})
    assert reply.error == (422, "10103", "INVALID_PATH_CHARACTER")
    assert "source_file_path" in reply.details


@pytest.mark.parametrize("path", ["a:b", "a b", "../a", "가"])
def test_row_11_a_bad_path_has_the_code_of_its_field(shared: Service, made: dict[str, str], path: str) -> None:
    call = shared.operator
    train = call.post("/api/v1/tasks", task(made, train_file_path=path))
    assert train.error == (422, "10104", "INVALID_CHARACTER_IN_TRAIN_PATH")
    test = call.post("/api/v1/tasks", task(made, test_feature_id=made["feature"], test_bucket="shop", test_file_path=path))
    assert test.error == (422, "10105", "INVALID_CHARACTER_IN_TEST_PATH")
    result = call.post("/api/v1/task-runs", task_run(made, result_file_path=path))
    assert result.error == (422, "10103", "INVALID_PATH_CHARACTER")


def test_an_equals_sign_is_allowed_in_a_path(shared: Service) -> None:
    shared.operator.put("shop", "day=1/part-0", b"u\ta\n")
    body = FEATURE | {"name": "equals", "source_file_path": "day=1/"}
    assert shared.operator.post("/api/v1/features", body).status == 200


@pytest.mark.parametrize(
    ("bucket", "path"), [("shop", "none.csv"), ("shop", "none/"), ("no-such-bucket", "seq.csv"), ("BAD NAME", "seq.csv")]
)
def test_a_missing_bucket_or_object_has_the_code_of_its_field(
    shared: Service, made: dict[str, str], bucket: str, path: str
) -> None:
    call = shared.operator
    source = call.post("/api/v1/features", FEATURE | {"source_bucket": bucket, "source_file_path": path})
    assert source.error == (404, "10106", "PATH_NOT_FOUND")
    train = call.post("/api/v1/tasks", task(made, train_bucket=bucket, train_file_path=path))
    assert train.error == (404, "10107", "TRAIN_PATH_NOT_FOUND")
    test = call.post("/api/v1/tasks", task(made, test_feature_id=made["feature"], test_bucket=bucket, test_file_path=path))
    assert test.error == (404, "10108", "TEST_PATH_NOT_FOUND")


def test_a_missing_result_bucket_is_10106(shared: Service, made: dict[str, str]) -> None:
    reply = shared.operator.post("/api/v1/task-runs", task_run(made, result_bucket="no-such-bucket"))
    assert reply.error == (404, "10106", "PATH_NOT_FOUND")


def test_a_bucket_of_another_account_is_like_a_missing_one(shared: Service) -> None:
    other = shared.account("stranger")
    assert other.post("/api/v1/features", FEATURE).error == (404, "10106", "PATH_NOT_FOUND")


def test_several_files_are_a_directory_and_hidden_names_are_skipped(shared: Service) -> None:
    call = shared.operator
    call.put("shop", "parts/_SUCCESS", b"")
    call.put("shop", "parts/.part-0.crc", b"x")
    hidden = call.post("/api/v1/features", FEATURE | {"name": "hidden", "source_file_path": "parts"})
    assert hidden.error == (404, "10106", "PATH_NOT_FOUND")
    call.put("shop", "parts/part-0", b"u\ta\n")
    for name, path in (("parts 1", "parts"), ("parts 2", "parts/")):
        assert call.post("/api/v1/features", FEATURE | {"name": name, "source_file_path": path}).status == 200


PERSONAL = b"u1\tbought shoes->call 010-1234-5678\n"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_personal_data_is_10109_also_inside_compression(shared: Service, made: dict[str, str], pack: Any) -> None:
    call = shared.operator
    call.put("shop", "personal", pack(b"u0\ta\n" * 10 + PERSONAL))
    reply = call.post("/api/v1/features", FEATURE | {"name": "personal", "source_file_path": "personal"})
    assert reply.error == (422, "10109", "PERSONAL_DATA_NOT_ALLOWED")
    assert "line 11" in reply.details
    assert "5678" not in reply.details
    labels = call.post("/api/v1/tasks", task(made, name="personal", train_file_path="personal"))
    assert labels.error == (422, "10109", "PERSONAL_DATA_NOT_ALLOWED")


def test_personal_data_is_looked_for_in_the_first_thousand_lines(shared: Service) -> None:
    shared.operator.put("shop", "late", b"u0\ta\n" * 1000 + PERSONAL)
    body = FEATURE | {"name": "late", "source_file_path": "late"}
    assert shared.operator.post("/api/v1/features", body).status == 200


def test_unknown_ids_are_10201(shared: Service, made: dict[str, str]) -> None:
    call, missing = shared.operator, (404, "10201", "NOT_FOUND")
    for noun in ("features", "tasks", "task-runs", "encoders"):
        assert call.get(f"/api/v1/{noun}/00000000-0000-4000-8000-000000000000").error == missing
        assert call.get(f"/api/v1/{noun}/x").error == missing
    for noun in ("features", "tasks", "task-runs"):
        assert call("DELETE", f"/api/v1/{noun}/x").error == missing
        assert call.post(f"/api/v1/{noun}/x/cancel").error == missing
        assert call.get(f"/api/v1/{noun}/x/log").error == missing
    assert call.post("/api/v1/tasks", task(made, train_feature_id="x")).error == missing
    assert call.post("/api/v1/task-runs", task_run(made, task_id="x")).error == missing
    assert call.post("/api/v1/task-runs", task_run(made, feature_id="x")).error == missing
    assert call.post("/api/v1/features", FEATURE | {"encoder": "no such"}).error == missing


def test_an_unfinished_dependency_is_10203(shared: Service, made: dict[str, str]) -> None:
    call, refused = shared.operator, (409, "10203", "DEPENDENCY_NOT_COMPLETED")
    assert call.post("/api/v1/tasks", task(made, train_feature_id=made["unfinished"])).error == refused
    test = {"test_feature_id": made["unfinished"], "test_bucket": "shop", "test_file_path": "labels.tsv"}
    assert call.post("/api/v1/tasks", task(made, **test)).error == refused
    assert call.post("/api/v1/task-runs", task_run(made, feature_id=made["unfinished"])).error == refused
    unfinished = call.post("/api/v1/tasks", task(made, name="unfinished")).json["task_id"]
    assert call.post("/api/v1/task-runs", task_run(made, task_id=unfinished)).error == refused
    shared.fail(unfinished, "bad_input", fail_name="UNEXPECTED_LABEL")
    assert call.post("/api/v1/task-runs", task_run(made, task_id=unfinished)).error == refused


def test_features_of_two_encoders_are_10204_naming_both(shared: Service, made: dict[str, str]) -> None:
    call = shared.operator
    test = {"test_feature_id": made["other"], "test_bucket": "shop", "test_file_path": "labels.tsv"}
    for reply in (
        call.post("/api/v1/tasks", task(made, **test)),
        call.post("/api/v1/task-runs", task_run(made, feature_id=made["other"])),
    ):
        assert reply.error == (422, "10204", "INCOMPATIBLE_FEATURE")
        assert "'made'" in reply.details
        assert "'other encoder'" in reply.details
        advice = reply.details.split("take a feature of that encoder")[1]
        assert "'made'" in advice
        assert "'other" not in advice


def test_a_run_takes_any_feature_of_the_same_encoder(shared: Service, made: dict[str, str]) -> None:
    april = make_feature(shared, shared.operator, "april", encoder_id=made["feature"])
    body = task_run(made, name="april", feature_id=april, result_file_path="april.tsv")
    assert shared.operator.post("/api/v1/task-runs", body).status == 200


TEST_SET = {"test_feature_id": "f", "test_bucket": "shop", "test_file_path": "labels.tsv"}


@pytest.mark.parametrize("given", [("test_feature_id",), ("test_bucket", "test_file_path"), ("test_file_path",)])
def test_an_incomplete_test_set_is_10206(shared: Service, made: dict[str, str], given: tuple[str, ...]) -> None:
    reply = shared.operator.post("/api/v1/tasks", task(made, **{name: TEST_SET[name] for name in given}))
    assert reply.error == (422, "10206", "INCOMPLETE_TEST_SET")
    missing = [name for name in TEST_SET if name not in given]
    are = "is" if len(missing) == 1 else "are"
    assert reply.details.startswith(f"{' and '.join(missing)} {are} missing; ")


def test_a_result_is_never_overwritten_10205(shared: Service, made: dict[str, str]) -> None:
    call, refused = shared.operator, (409, "10205", "RESULT_EXISTS")
    call.put("shop", "there.tsv", b"x")
    assert call.post("/api/v1/task-runs", task_run(made, name="x1", result_file_path="there.tsv")).error == refused
    first = call.post("/api/v1/task-runs", task_run(made, name="x2", result_file_path="place.tsv"))
    assert first.status == 200
    second = task_run(made, name="x3", result_file_path="place.tsv")
    assert call.post("/api/v1/task-runs", second).error == refused
    shared.fail(first.json["run_id"], "lost")
    assert call.post("/api/v1/task-runs", second).status == 200


@pytest.mark.parametrize("path", ["", "dir/"])
def test_a_directory_gets_a_file_name(shared: Service, made: dict[str, str], path: str) -> None:
    body = task_run(made, name=f"dir:{path}", result_file_path=path)
    made_run = shared.operator.post("/api/v1/task-runs", body).json
    name = made_run["result_file_path"]
    assert name.startswith(path + "nclue_")
    _, random, stamp = name.removeprefix(path).split("_")
    assert len(random) == 8
    assert int(random, 16) >= 0
    assert len(stamp) == len("YYYYMMDDHH.tsv")
    assert shared.operator.get(f"/api/v1/task-runs/{made_run['run_id']}").json["result_file_path"] == name


def test_delete_is_refused_while_a_job_runs_10202(shared: Service) -> None:
    call = shared.operator
    id = call.post("/api/v1/features", FEATURE | {"name": "running"}).json["feature_id"]
    for state in (RunState.PENDING, RunState.IN_PROGRESS):
        shared.move(id, state)
        assert call("DELETE", f"/api/v1/features/{id}").error == (409, "10202", "RESOURCE_IN_USE")


def test_a_resource_that_waits_for_another_attempt_is_pending_and_stays(shared: Service) -> None:
    call = shared.operator
    id = call.post("/api/v1/features", FEATURE | {"name": "rescued"}).json["feature_id"]
    shared.move(id, RunState.PENDING)
    shared.move(id, RunState.REGISTERED, attempt=1)
    assert call.get(f"/api/v1/features/{id}").json["status"] == "pending"
    assert call("DELETE", f"/api/v1/features/{id}").error[1] == "10202"


def test_delete_is_refused_while_something_unfinished_uses_it_10202(service: Service) -> None:
    call = service.operator
    call.put("shop", "seq.csv", b"u\ta\n")
    call.put("shop", "labels.tsv", b"u\t1\n")
    feature = make_feature(service, call, "f")
    made = {"feature": feature}
    waiting = call.post("/api/v1/tasks", task(made, name="waiting")).json["task_id"]
    reply = call("DELETE", f"/api/v1/features/{feature}")
    assert reply.error == (409, "10202", "RESOURCE_IN_USE")
    assert "'waiting'" in reply.details
    service.complete(waiting, {"AUROC": "0.5", "disk_usage": 1, "artefact": f"tasks/{waiting}/0"})
    made["task"] = waiting
    run = call.post("/api/v1/task-runs", task_run(made)).json["run_id"]
    assert "'r'" in call("DELETE", f"/api/v1/tasks/{waiting}").details
    assert "'r'" in call("DELETE", f"/api/v1/features/{feature}").details
    service.complete(run, {"line_count": 1, "object": "shop/out/r.tsv", "sha256": "0"})
    assert call("DELETE", f"/api/v1/features/{feature}").json == {"feature_id": feature}
    assert call("DELETE", f"/api/v1/tasks/{waiting}").json == {"task_id": waiting}
    left = call.get(f"/api/v1/task-runs/{run}").json
    assert (left["task_name"], left["feature_name"], left["line_count"]) == ("waiting", "f", 1)
    assert call("DELETE", f"/api/v1/task-runs/{run}").json == {"run_id": run}


def test_deleting_a_registered_resource_cancels_it_and_frees_its_result(shared: Service, made: dict[str, str]) -> None:
    call = shared.operator
    body = task_run(made, name="freed", result_file_path="freed.tsv")
    id = call.post("/api/v1/task-runs", body).json["run_id"]
    run_id = shared.run_id_of(id)
    assert call("DELETE", f"/api/v1/task-runs/{id}").status == 200
    from footfall.db import runs

    with shared.database.read() as connection:
        assert runs.get(connection, run_id).state is RunState.CANCELLED
    assert call.post("/api/v1/task-runs", body).status == 200


def test_a_task_of_before_has_no_report_and_says_what_to_do_10210(shared: Service, made: dict[str, str]) -> None:
    reply = shared.operator.get(f"/api/v1/tasks/{made['task']}/report")
    assert reply.error == (404, "10210", "REPORT_NOT_FOUND")
    assert "Train it again" in reply.details
    assert shared.operator.get("/api/v1/tasks/x/report").error == (404, "10201", "NOT_FOUND")


def test_a_running_resource_is_cancelled_and_an_ended_one_is_10209(shared: Service) -> None:
    call = shared.operator
    id = call.post("/api/v1/features", FEATURE | {"name": "stopped"}).json["feature_id"]
    assert call.post(f"/api/v1/features/{id}/cancel").json == {"feature_id": id, "status": "failed"}
    shown = call.get(f"/api/v1/features/{id}").json
    assert (shown["status"], shown["fail_message"]) == ("failed", "CANCELLED")
    assert shown["fail_details"]
    assert call.post(f"/api/v1/features/{id}/cancel").error == (409, "10209", "ALREADY_ENDED")
    running = call.post("/api/v1/features", FEATURE | {"name": "stopping"}).json["feature_id"]
    shared.move(running, RunState.PENDING, RunState.IN_PROGRESS)
    assert call.post(f"/api/v1/features/{running}/cancel").json["status"] == "in_progress"


def test_too_many_resources_are_10208(tmp_path: Any) -> None:
    from service import open_service

    with open_service(tmp_path / "home", max_resources=2) as service:
        call = service.operator
        call.put("shop", "seq.csv", b"u\ta\n")
        ids = [call.post("/api/v1/features", FEATURE | {"name": f"{n}"}).json["feature_id"] for n in range(2)]
        assert call.post("/api/v1/features", FEATURE).error == (409, "10208", "LIMIT_REACHED")
        call("DELETE", f"/api/v1/features/{ids[0]}")
        assert call.post("/api/v1/features", FEATURE).status == 200


def test_the_result_setting_suffix_adds_to_a_name(tmp_path: Any) -> None:
    from service import open_service

    with open_service(tmp_path / "home", result_names="suffix") as service:
        call = service.operator
        call.put("shop", "seq.csv", b"u\ta\n")
        call.put("shop", "labels.tsv", b"u\t1\n")
        feature = make_feature(service, call, "f")
        made = {"feature": feature, "task": make_task(service, call, "t", feature)}
        name = call.post("/api/v1/task-runs", task_run(made, result_file_path="r")).json["result_file_path"]
        assert name.startswith("r_")
        assert name.endswith(".tsv")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=", "index=-1", "index=1.5", "limit=1&limit=2"])
def test_a_page_out_of_range_is_10200(shared: Service, query: str) -> None:
    for noun in ("features", "tasks", "task-runs", "encoders"):
        assert shared.operator.get(f"/api/v1/{noun}?{query}").error == (422, "10200", "INVALID_REQUEST")


def test_checks_come_in_the_order_of_the_contract(shared: Service, made: dict[str, str]) -> None:
    """Each request breaks every rule from some point on; the first that it breaks answers."""
    call = shared.operator
    worst = {"name": "x" * 101, "train_feature_id": "nobody", "train_bucket": "no-such-bucket", "train_file_path": "a:b"}
    assert call.post("/api/v1/tasks", worst | {"test_bucket": "b"}).error[1] == "10206"
    assert call.post("/api/v1/tasks", worst).error[1] == "10101"
    assert call.post("/api/v1/tasks", worst | {"name": "made"}).error[1] == "10104"
    better = worst | {"name": "made", "train_file_path": "none"}
    assert call.post("/api/v1/tasks", better).error[1] == "10201"
    assert call.post("/api/v1/tasks", better | {"train_feature_id": made["unfinished"]}).error[1] == "10203"
    assert call.post("/api/v1/tasks", better | {"train_feature_id": made["feature"]}).error[1] == "10102"
    last = better | {"train_feature_id": made["feature"], "name": "order"}
    assert call.post("/api/v1/tasks", last).error[1] == "10107"


def test_200_concurrent_creates_of_one_name_give_one_success(service: Service) -> None:
    call = service.operator
    call.put("shop", "seq.csv", b"u\ta\n")
    with ThreadPoolExecutor(32) as pool:
        replies = list(pool.map(lambda _: call.post("/api/v1/features", FEATURE), range(200)))
    assert sorted(reply.status for reply in replies) == [200] + [409] * 199
    assert {reply.error[1] for reply in replies if reply.status == 409} == {"10102"}
    assert call.get("/api/v1/features").json["total"] == 1


def test_a_named_encoder_goes_into_the_job(shared: Service, made: dict[str, str]) -> None:
    from footfall.db import runs

    for encoder, expected in (("made", made["feature"]), ("new", None)):
        body = FEATURE | {"name": f"by {encoder}", "encoder": encoder}
        id = shared.operator.post("/api/v1/features", body).json["feature_id"]
        with shared.database.read() as connection:
            job = runs.get(connection, shared.run_id_of(id)).spec.job
        assert job is not None
        assert (job["encoder"]["id"] if expected else job["encoder"]) == (expected or "new")


def test_feature_result_helper_matches_the_record() -> None:
    assert feature_result("x")["encoder"]["fitted"]
