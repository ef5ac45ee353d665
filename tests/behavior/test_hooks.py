"""What behavior does just before a run is submitted and when it ends."""

from pathlib import Path

from footfall.behavior import encoders
from footfall.behavior.hooks import BehaviorHooks
from footfall.db import retention, runs
from footfall.records import Run
from footfall.states import RunState
from service import Service, feature_result, make_feature, make_task, open_service

FEATURE = {"name": "n", "source_bucket": "shop", "source_file_path": "seq.csv"}


def _create(service: Service, name: str, **fields: str) -> str:
    return str(service.operator.post("/api/v1/features", FEATURE | {"name": name} | fields).json["feature_id"])


def _run(service: Service, id: str) -> Run:
    with service.database.read() as connection:
        return runs.get(connection, service.run_id_of(id))


def _job(service: Service, id: str) -> dict[str, object]:
    with service.database.write() as tx:
        job = BehaviorHooks(service.settings).complete_spec(tx, _run(service, id)).job
    assert job is not None
    return dict(job)


def _tombs(service: Service) -> set[str]:
    with service.database.read() as connection:
        return set(retention.find_tombstones(connection, 1000))


def _data(service: Service) -> None:
    service.operator.put("shop", "seq.csv", b"u1\ta\n")
    service.operator.put("shop", "labels.tsv", b"u1\t1\n")


def test_a_feature_gets_the_encoders_of_its_account_newest_first(service: Service) -> None:
    _data(service)
    one, two = make_feature(service, service.operator, "one"), make_feature(service, service.operator, "two")
    candidates = _job(service, _create(service, "three"))["encoders"]
    assert [c["id"] for c in candidates] == [two, one]  # type: ignore[attr-defined]
    assert candidates[0] == {  # type: ignore[index]
        "id": two,
        "name": "two",
        "artefact": f"encoders/{two}/0",
        "n_users": 3,
    }
    assert _job(service, _create(service, "fresh", encoder="new"))["encoders"] == []
    named = _job(service, _create(service, "named", encoder="one"))
    assert (named["encoders"], named["encoder"]["name"]) == ([], "one")  # type: ignore[index]


def test_another_accounts_encoders_are_no_candidates(service: Service) -> None:
    _data(service)
    make_feature(service, service.operator, "one")
    other = service.account("other")
    service.operator.post("/accounts/v1/buckets/shop/grants", {"account_id": other.account_id})
    id = other.post("/api/v1/features", FEATURE).json["feature_id"]
    assert _job(service, id)["encoders"] == []
    assert other.post("/api/v1/features", FEATURE | {"name": "x", "encoder": "one"}).error[1] == "10201"


def test_a_job_is_told_what_is_left_of_the_quota(tmp_path: Path) -> None:
    with open_service(tmp_path / "home", disk_quota_mib=1) as service:
        _data(service)
        first = _create(service, "first")
        assert _job(service, first)["quota_left_bytes"] == 1 << 20
        service.complete(first, feature_result(first))
        assert _job(service, _create(service, "second"))["quota_left_bytes"] == (1 << 20) - 1500


def test_without_a_quota_there_is_no_limit(service: Service) -> None:
    _data(service)
    assert _job(service, _create(service, "x"))["quota_left_bytes"] is None


def test_what_failed_attempts_made_is_left_to_be_swept(service: Service) -> None:
    _data(service)
    id = _create(service, "f")
    service.move(id, RunState.PENDING, RunState.REGISTERED, attempt=1)
    service.move(id, RunState.PENDING, RunState.IN_PROGRESS)
    service.move(id, RunState.FAILED, reason="lost")
    both = {f"{kind}/{id}/{n}" for kind in ("features", "encoders") for n in (0, 1)}
    assert _tombs(service) == both


def test_a_completed_attempt_stays_and_those_before_go(service: Service) -> None:
    _data(service)
    id = _create(service, "f")
    service.move(id, RunState.PENDING, RunState.REGISTERED, attempt=1)
    result = feature_result(id)
    result["encoder"]["artefact"] = f"encoders/{id}/1"
    service.complete(id, result)
    assert _tombs(service) == {f"features/{id}/0", f"encoders/{id}/0"}


def test_no_encoder_goes_while_a_feature_may_be_about_to_choose_it(service: Service) -> None:
    _data(service)
    call = service.operator
    one = make_feature(service, call, "one")
    waiting = _create(service, "waiting")
    assert call("DELETE", f"/api/v1/features/{one}").status == 200
    assert call.get("/api/v1/encoders").json["total"] == 1
    service.fail(waiting, "command_failed")
    assert call.get("/api/v1/encoders").json["total"] == 0
    assert f"encoders/{one}/0" in _tombs(service)


def test_an_encoder_that_a_waiting_feature_chose_stays(service: Service) -> None:
    _data(service)
    call = service.operator
    one = make_feature(service, call, "one")
    waiting = _create(service, "waiting")
    call("DELETE", f"/api/v1/features/{one}")
    service.complete(waiting, feature_result(waiting, one))
    shown = call.get(f"/api/v1/features/{waiting}").json
    assert (shown["encoder"], call.get("/api/v1/encoders").json["total"]) == ("one", 1)


def test_a_new_encoder_gets_a_name_that_no_living_one_has(service: Service) -> None:
    _data(service)
    call = service.operator
    first = make_feature(service, call, "f1")
    task = make_task(service, call, "t1", first)
    assert call("DELETE", f"/api/v1/features/{first}").status == 200
    ids = {"f1": first}
    for name in ("f1-2", "f1-3"):
        call("DELETE", f"/api/v1/features/{ids.get('f1-2', first)}")
        id = _create(service, "f1", encoder="new")
        service.complete(id, feature_result(id, name="f1"))
        shown = call.get(f"/api/v1/features/{id}").json
        assert (shown["encoder"], shown["encoder_id"]) == (name, id)
        make_task(service, call, name, id)
        ids[name] = id
    names = {item["encoder_id"]: item["encoder_name"] for item in call.get("/api/v1/encoders").json["encoders"]}
    assert names == {id: name for name, id in ids.items()}
    run = {"name": "r", "task_id": task, "result_bucket": "shop", "result_file_path": "r"}
    refused = call.post("/api/v1/task-runs", run | {"feature_id": ids["f1-3"]})
    assert refused.error == (422, "10204", "INCOMPATIBLE_FEATURE")
    assert refused.details.endswith(f'make the feature anew with "encoder": "{first}".')
    assert ids["f1-3"] in refused.details
    advised = _create(service, "as advised", encoder=first)
    assert _job(service, advised)["encoder"]["id"] == first  # type: ignore[index]
    service.complete(advised, feature_result(advised, first))
    assert call.post("/api/v1/task-runs", run | {"feature_id": advised}).status == 200


def test_an_encoder_is_named_by_name_or_id(service: Service) -> None:
    _data(service)
    one, new = make_feature(service, service.operator, "caf\u00e9"), make_feature(service, service.operator, "new")
    for given, id in (("cafe\u0301", one), (one, one), (new, new)):
        job = _job(service, _create(service, f"by {given}", encoder=given))
        assert job["encoder"]["id"] == id  # type: ignore[index]
    assert _job(service, _create(service, "fits", encoder="new"))["encoder"] == "new"


def test_a_long_name_keeps_its_length_with_a_number_behind() -> None:
    assert encoders.free_name("x", {"y"}) == "x"
    assert encoders.free_name("x" * 100, {"x" * 100}) == "x" * 98 + "-2"


def test_a_task_works_after_its_features_are_deleted(service: Service) -> None:
    _data(service)
    call = service.operator
    march = make_feature(service, call, "march")
    task = make_task(service, call, "t", march)
    assert call("DELETE", f"/api/v1/features/{march}").status == 200
    shown = call.get(f"/api/v1/tasks/{task}").json
    assert (shown["train_feature_name"], shown["status"]) == ("march", "completed")
    april = make_feature(service, call, "april", encoder_id=march)
    run = {"name": "r", "task_id": task, "feature_id": april, "result_bucket": "shop", "result_file_path": "r"}
    assert call.post("/api/v1/task-runs", run).status == 200


def test_the_result_place_is_free_again_however_the_run_ends(service: Service) -> None:
    _data(service)
    call = service.operator
    feature = make_feature(service, call, "f")
    task = make_task(service, call, "t", feature)
    body = {"task_id": task, "feature_id": feature, "result_bucket": "shop", "result_file_path": "r"}
    ids = []
    for name in ("completed", "failed", "cancelled", "deleted"):
        made = call.post("/api/v1/task-runs", body | {"name": name})
        assert made.status == 200
        id = made.json["run_id"]
        ids.append(id)
        if name == "completed":
            service.complete(id, {"line_count": 1, "object": "shop/r", "sha256": "0"})
        elif name == "failed":
            service.fail(id, "lost")
        elif name == "cancelled":
            assert call.post(f"/api/v1/task-runs/{id}/cancel").json["status"] == "failed"
        else:
            assert call("DELETE", f"/api/v1/task-runs/{id}").status == 200
    assert f"task_runs/{ids[0]}/0" in _tombs(service)


def test_tasks_and_features_of_an_account_take_turns(service: Service) -> None:
    _data(service)
    feature = make_feature(service, service.operator, "f")
    task = make_task(service, service.operator, "t", feature)
    account_id = service.operator.account_id
    assert _run(service, feature).turn_key == f"feature:{account_id}"
    assert _run(service, task).turn_key == f"task:{account_id}"
    assert _run(service, task).project_id == _run(service, feature).project_id
