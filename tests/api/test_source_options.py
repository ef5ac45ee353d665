"""What a request may say of its data set: format, columns, end of observation."""

from typing import Any

import pytest

from footfall.db import runs
from service import Service, make_feature

FEATURE = {"name": "log", "source_bucket": "shop", "source_file_path": "seq.csv"}
COLUMNS = {"user_id": "customer", "timestamp": "at", "behavior": ["event", "item"], "numeric": ["amount"], "categorical": []}


def test_options_reach_the_job_and_are_shown(shared: Service) -> None:
    given = {"format": "csv", "columns": COLUMNS, "observed_until": "2025-03-31T09:00:00+09:00"}
    reply = shared.operator.post("/api/v1/features", FEATURE | given)
    assert reply.status == 200
    id = reply.json["feature_id"]
    expected = {**given, "observed_until": "2025-03-31T00:00:00+00:00"}
    with shared.database.read() as connection:
        job = runs.get(connection, shared.run_id_of(id)).spec.job
    assert job is not None
    assert job["source_options"] == expected
    shown = shared.operator.get(f"/api/v1/features/{id}").json
    assert {name: shown[name] for name in expected} == expected


def test_without_options_nothing_is_said(shared: Service) -> None:
    id = shared.operator.post("/api/v1/features", FEATURE | {"name": "plain", "format": "auto", "columns": {}}).json["feature_id"]
    with shared.database.read() as connection:
        job = runs.get(connection, shared.run_id_of(id)).spec.job
    assert job is not None
    assert job["source_options"] is None
    shown = shared.operator.get(f"/api/v1/features/{id}").json
    assert [shown[name] for name in ("format", "columns", "observed_until")] == [None] * 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"format": "xlsx"}, "none of auto, sequence, parquet, csv, jsonl"),
        ({"format": 3}, "format is a whole number"),
        ({"columns": {"user_id": ""}}, "blank or too long"),
        ({"columns": {"numeric": ["n"] * 9}}, "at most 8"),
        ({"columns": {"numeric": ["n"], "timestamp": "n"}}, "'n' twice"),
        ({"columns": {"behavior": 3}}, "columns.behavior"),
        ({"columns": []}, "columns is a list"),
        ({"observed_until": "in March"}, "observed_until is no time"),
        ({"format": "sequence", "observed_until": "2025-03-31"}, "sequence file"),
        ({"format": "sequence", "columns": {"user_id": "u"}}, "sequence file"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_made(shared: Service, given: dict[str, Any], words: str) -> None:
    before = shared.operator.get("/api/v1/features").json["total"]
    reply = shared.operator.post("/api/v1/features", FEATURE | {"name": "refused"} | given)
    assert reply.status in (400, 422)
    assert reply.error[1] == "INVALID_REQUEST" or reply.error[1].isdigit()
    assert words in reply.details
    assert shared.operator.get("/api/v1/features").json["total"] == before


@pytest.mark.parametrize(("labels", "words"), [(b"u1\tlow\nu2\thigh\n", "true or false"), (b"u1\nu2\n", "there is one column")])
def test_a_file_that_holds_no_labels_is_refused_at_the_request(shared: Service, labels: bytes, words: str) -> None:
    call = shared.operator
    feature = make_feature(shared, call, f"labelled {words}")
    call.put("shop", "no-labels.tsv", labels)
    body = {"name": "t", "train_feature_id": feature, "train_bucket": "shop", "train_file_path": "no-labels.tsv"}
    reply = call.post("/api/v1/tasks", body)
    assert reply.error[1:] == ("10200", "INVALID_REQUEST")
    assert words in reply.details
    assert "u1" not in reply.details


def test_a_table_of_hudi_is_refused_at_the_request(shared: Service) -> None:
    shared.operator.put("shop", "hudi/part-0.parquet", b"PAR1")
    shared.operator.put("shop", "hudi/.hoodie/hoodie.properties", b"x")
    reply = shared.operator.post("/api/v1/features", FEATURE | {"name": "hudi", "source_file_path": "hudi/part-0.parquet"})
    assert "a table of Apache Hudi" in reply.details
