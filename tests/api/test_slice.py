"""The main path over HTTP: data in, feature, task, task run, result out."""

from service import Service, feature_result


def test_a_feature_a_task_and_a_task_run_are_made_and_read(service: Service) -> None:
    call = service.operator
    assert call.put("shop", "seq.csv", b"u1\ta->b\n").status == 200
    made = call.post("/api/v1/features", {"name": "f", "source_bucket": "shop", "source_file_path": "seq.csv", "enc": 1})
    assert made.status == 200, made.body
    assert made.headers["x-unknown-fields"] == "enc"
    assert list(made.json) == ["feature_id", "feature_name", "created_at", "source_bucket", "source_file_path"]
    id = made.json["feature_id"]
    seen = call.get(f"/api/v1/features/{id}").json
    assert seen["status"] == "registered"
    assert seen["user_count"] is None
    assert len(service.wakes) == 1
    service.complete(id, feature_result(id))
    seen = call.get(f"/api/v1/features/{id}").json
    assert (seen["status"], seen["user_count"], seen["encoder"], seen["coverage"]) == ("completed", 3, "f", 0.95)

    assert call.put("shop", "labels.tsv", b"u1\t1\n").status == 200
    task = call.post(
        "/api/v1/tasks", {"name": "t", "train_feature_id": id, "train_bucket": "shop", "train_file_path": "labels.tsv"}
    ).json
    service.complete(task["task_id"], {"AUROC": "0.8731", "disk_usage": 7, "artefact": f"tasks/{task['task_id']}/0"})
    seen = call.get(f"/api/v1/tasks/{task['task_id']}").json
    assert (seen["AUROC"], seen["line_count"], seen["test_bucket"]) == ("0.8731", 3, None)

    run = call.post(
        "/api/v1/task-runs",
        {"name": "r", "task_id": task["task_id"], "feature_id": id, "result_bucket": "shop", "result_file_path": "out/r.tsv"},
    ).json
    seen = call.get(f"/api/v1/task-runs/{run['run_id']}").json
    assert (seen["result_file_path"], seen["status"]) == ("out/r.tsv", "registered")
    assert call.put("shop", "out/r.tsv", b"u1\t0.5\n").status == 200
    got = call.get("/data/v1/shop/out/r.tsv")
    assert (got.status, got.body) == (200, b"u1\t0.5\n")
    assert got.headers["content-disposition"].startswith("attachment")
    page = call.get("/data/v1/shop?prefix=out/").json
    assert [item["key"] for item in page["objects"]] == ["out/r.tsv"]
    assert call.get("/api/v1/task-runs?limit=1").json["total"] == 1
    assert call.get("/healthz").json["status"] == "ok"
