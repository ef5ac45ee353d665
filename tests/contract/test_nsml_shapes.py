"""The NSML contract as data: every documented operation, field, enumeration and example."""

import json
import re
from typing import Any

import msgspec
import pytest

from footfall.api.docs.openapi import document
from footfall.api.nsml import run_wire
from footfall.api.table import OPERATIONS
from footfall.compute.reconciler.nodes import NodeState
from footfall.contract import nsml, runs
from footfall.db.tables import metadata
from footfall.states import FailureReason, RunState
from nsml_service import EP, KEY, ROOT, ask_run, make_project, make_run, make_volume, move_run, row_of
from reference.http_api import reference_page
from service import Service

STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
PROJECT = "/projects/{projectId}"
RUN = f"{PROJECT}/runs/{{runName}}"

# (method, path): what the documentation's table of the answer has; None: it documents no body
DOCUMENTED: dict[tuple[str, str], str | None] = {
    ("POST", "/projects"): None,
    ("GET", "/projects"): "projects totalCount",
    ("GET", PROJECT): "projectId projectName status note runCount nasVolumeSize createdDate updatedDate",
    ("DELETE", PROJECT): None,
    ("PATCH", f"{PROJECT}/nas"): None,
    ("GET", f"{PROJECT}/nas"): "projectId nasVolumeInstanceNo nasIp nasPath nasVolumeSize createdDate updatedDate "
    "createDate updateDate",
    ("POST", f"{PROJECT}/runs"): None,
    ("GET", "/projects/runs"): "runList totalCount",
    ("GET", RUN): "runName projectId projectName status creator engFullName gpuSvrCode imageType imagePath command "
    "isBareMetal envs note",
    ("GET", f"{RUN}/nodes"): "nodes totalCount",
    ("GET", "/blk-storages"): "page pageSize totalCount blockStorageMgmtList",
    ("GET", "/server-products"): "serverProductList totalCount",
    ("GET", "/images/base"): "imageList totalCount",
    ("GET", "/images/custom"): "imageList totalCount",
    ("POST", "/images/secret"): None,
    ("GET", "/images/secret"): "dockerCredentials totalSize",
    ("DELETE", "/images/secret"): None,
    ("POST", "/auth-keys"): None,
    ("GET", "/auth-keys"): "keyList totalCount",
    ("DELETE", "/auth-keys/title/{title}/name/{keyName}"): None,
}
ITEMS: dict[type, str] = {
    nsml.ProjectItem: "projectId vpcNo projectName status userNo runCount nodeCount createdDate updatedDate",
    runs.RunItem: "runName runType projectId projectName status creator createTime updateTime",
    runs.NodeBody: "nodeId projectId projectName runName state resourceType containerImage rank exitCode host",
    nsml.VolumeBody: "blockStorageNo blockStorageNm projectId status nodeId createTime updateTime",
    nsml.ProductBody: "gpuSvrCode nodeCounts useType serverProductCode productName engFullName",
    nsml.ImageBody: "name path",
    nsml.RegistryBody: "privateEp accessKey secretKey createTime",
    nsml.SshKeyBody: "name title fingerprint createTime",
}
REQUESTS: dict[type, tuple[str, str]] = {  # required, optional
    nsml.NewProject: ("projectName nasVolumeSize", "note"),
    nsml.NewNasSize: ("nasVolumeSize", ""),
    runs.NewRun: ("gpuSvrCode imagePath imageType nodeCount", "blockStorageNoList command envs env note"),
    nsml.NewRegistry: ("privateEp accessKey secretKey", ""),
    nsml.NewSshKey: ("title key", ""),
}
OURS = [
    ("GET", f"{PROJECT}/runs"), ("POST", f"{RUN}/stop"), ("DELETE", RUN), ("POST", f"{RUN}/restart"),
    ("GET", f"{RUN}/logs"), ("GET", f"{RUN}/metrics"), ("GET", f"{RUN}/artifacts"),
    ("GET", f"{RUN}/artifacts/{{node}}/{{path...}}"), ("GET", f"{PROJECT}/files"), ("GET", f"{PROJECT}/files/{{path...}}"),
    ("PUT", f"{PROJECT}/files/{{path...}}"), ("DELETE", f"{PROJECT}/files/{{path...}}"),
    ("PUT", f"{PROJECT}/code/{{sha256}}"), ("GET", f"{PROJECT}/code/{{sha256}}"),
    ("POST", "/blk-storages"), ("DELETE", "/blk-storages/{blockStorageNo}"),
]  # fmt: skip
NSML = [operation for operation in OPERATIONS if operation.service == "nsml"]


def fields_of(kind: type) -> tuple[set[str], set[str]]:
    """Return the names that are documented and those that are marked ours."""
    schema = msgspec.json.schema_components([kind])[1][kind.__name__]["properties"]
    ours = {name for name, field in schema.items() if field.get("x-ours") or is_ours(field)}
    return set(schema) - ours, ours


def is_ours(field: dict[str, Any]) -> bool:
    return any(each.get("x-ours") for each in field.get("anyOf", ()))


def test_the_table_has_the_twenty_documented_operations_and_ours() -> None:
    documented = {(o.method, o.path.removeprefix(ROOT)) for o in NSML if o.is_documented}
    assert documented == set(DOCUMENTED)
    assert len(documented) == 20
    assert {(o.method, o.path.removeprefix(ROOT)) for o in NSML if not o.is_documented} == set(OURS)


@pytest.mark.parametrize("operation", [o for o in NSML if o.is_documented], ids=lambda o: o.id)
def test_an_answer_has_the_documented_fields_and_others_only_marked_ours(operation: Any) -> None:
    expected = DOCUMENTED[operation.method, operation.path.removeprefix(ROOT)]
    assert operation.has_own_answer == (expected is None)
    if expected is not None:
        assert fields_of(operation.response)[0] == set(expected.split())
    assert operation.status == (201 if operation.method == "POST" else 200)


@pytest.mark.parametrize("kind", ITEMS, ids=lambda kind: kind.__name__)
def test_an_item_of_a_list_has_the_documented_fields(kind: type) -> None:
    assert fields_of(kind)[0] == set(ITEMS[kind].split())


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: kind.__name__)
def test_a_request_takes_the_documented_fields(kind: type) -> None:
    required, optional = (set(names.split()) for names in REQUESTS[kind])
    assert {f.encode_name for f in msgspec.structs.fields(kind) if f.required} == required
    assert fields_of(kind)[0] == required | optional


def test_the_documents_mark_what_is_ours() -> None:
    page, content = reference_page(), document(OPERATIONS)
    assert "| `runType` | NOTEBOOK or TRAIN | yes | ours |" in page
    assert "| `command` | string | yes | documented |" in page
    described = content["paths"][f"{ROOT}{PROJECT}/runs"]["post"]
    assert described["x-documented"] is True
    assert described["responses"]["201"]["x-ours"] is True
    assert "200" not in described["responses"]
    assert content["paths"][f"{ROOT}{RUN}/stop"]["post"]["x-documented"] is False
    status = [p for p in content["paths"][f"{ROOT}/projects/runs"]["get"]["parameters"] if p["name"] == "status"]
    assert status[0]["x-ours"] is True


def test_enumerations_are_as_documented_and_decided() -> None:
    literal = nsml.ProjectStatus.__args__  # type: ignore[attr-defined]
    assert literal == ("CREATING", "CREATED", "CHANGING", "DELETING", "DELETED")
    assert nsml.VolumeStatus.__args__ == ("USED", "DELETED", "DETACHED", "CHANGING")  # type: ignore[attr-defined]
    assert runs.ImageType.__args__ == ("BASE", "CUSTOM")  # type: ignore[attr-defined]
    assert {f"NODE_STATE_{s.name}" for s in NodeState} == set(runs.NodeState.__args__)  # type: ignore[attr-defined]
    assert {state: f"RUN_STATE_{state.name}" for state in RunState} == run_wire.STATUSES
    assert set(runs.RunStatus.__args__) == set(run_wire.STATUSES.values())  # type: ignore[attr-defined]


def test_the_documented_samples_succeed_as_they_stand(service: Service) -> None:
    call, kind = service.operator, {"content-type": "application/json"}
    made = call("POST", f"{ROOT}/projects", {"projectName": "project", "nasVolumeSize": 500, "note": "description"}, extra=kind)
    assert made.status == 201
    id = made.json["projectId"]
    assert re.fullmatch(r"[0-9][0-9a-z]{19}", id)
    assert call("GET", f"{ROOT}/projects?page=0&pagesize=1", extra=kind).json["totalCount"] == 1
    assert call("GET", f"{ROOT}/projects/{id}", extra=kind).json == {
        "projectId": id, "projectName": "project", "status": "CREATED", "note": "description", "runCount": 0,
        "nasVolumeSize": 500, "createdDate": made.json["createdDate"], "updatedDate": made.json["updatedDate"],
        "nodeCount": 0,
    }  # fmt: skip
    assert call("PATCH", f"{ROOT}/projects/{id}/nas", {"nasVolumeSize": 600}, extra=kind).json["nasVolumeSize"] == 600
    nas = call("GET", f"{ROOT}/projects/{id}/nas", extra=kind).json
    assert nas["nasPath"] == f"/n1000001_{id}"
    assert nas["createDate"] == nas["createdDate"] == made.json["createdDate"]
    assert STAMP.fullmatch(nas["updateDate"])
    assert nas["usedSize"] == 0
    for query in ("?page=1&pageSize=5", ""):
        assert call("GET", f"{ROOT}/blk-storages{query}", extra=kind).json["blockStorageMgmtList"] == []
    secret = {"privateEp": EP, "accessKey": "access", "secretKey": "a-secret-of-its-own"}
    assert call("POST", f"{ROOT}/images/secret", secret, extra=kind).status == 201
    assert call("DELETE", f"{ROOT}/images/secret?privateEp={EP}", extra=kind).status == 200
    key = call("POST", f"{ROOT}/auth-keys", {"title": "authkey", "key": KEY}, extra=kind).json
    assert call("DELETE", f"{ROOT}/auth-keys/title/{key['title']}/name/{key['name']}", extra=kind).status == 200
    assert call("DELETE", f"{ROOT}/projects/{id}", extra=kind).json["status"] == "DELETING"
    assert call("GET", f"{ROOT}/projects/{id}", extra=kind).json["status"] == "DELETING"


def test_the_documented_run_succeeds_as_it_stands(service_with_alias: Service) -> None:
    call = service_with_alias.operator
    id = make_project(call)
    image = "nvcr.io/nvidia/tensorflow:21.02-tf1-py3"
    made = ask_run(call, id, envs=..., env={"ir": 0.01, "weight-decay": 0.001}, imagePath=image)
    assert made.status == 201
    assert made.json["envs"] == {"ir": 0.01, "weight-decay": 0.001}
    assert b'"ir":0.01,"weight-decay":0.001' in made.body
    shown = call.get(f"{ROOT}/projects/{id}/runs/1").json
    assert shown == made.json
    assert (shown["runName"], shown["runType"], shown["creator"]) == ("1", "TRAIN", "ncp-user-1000001")
    names = [each["path"] for each in call.get(f"{ROOT}/images/base").json["imageList"]]
    assert names == ["host", image]


def test_a_notebook_reads_as_in_the_documented_example(shared: Service) -> None:
    call = shared.operator
    id = make_project(call, "project")
    make_run(call, id)
    name = make_run(call, id, command=..., gpuSvrCode=4)
    documented = fields_of(runs.RunBody)[0]
    shown = call.get(f"{ROOT}/projects/{id}/runs/{name}").json
    assert {field: value for field, value in shown.items() if field in documented} == {
        "runName": "2", "projectId": id, "projectName": "project", "status": "RUN_STATE_REGISTERED",
        "creator": "ncp-user-1000001", "engFullName": "[Notebook] 1vCPU, 4GB Mem", "gpuSvrCode": 4, "imageType": "BASE",
        "imagePath": "host", "command": "", "isBareMetal": False, "envs": {}, "note": "",
    }  # fmt: skip
    listed = call.get(f"{ROOT}/projects/{id}/runs?runType=NOTEBOOK").json
    assert [(run["runName"], run["runType"]) for run in listed["runList"]] == [("2", "NOTEBOOK")]
    assert listed["totalCount"] == 1


def test_runs_are_found_by_what_they_are_page_by_page(shared: Service) -> None:
    call = shared.operator
    id = make_project(call, "search")
    made = [
        make_run(call, id, command=command, note=note, gpuSvrCode=product, nodeCount=1)
        for command, note, product in (
            ("python train.py --lr 0.1", "first", 1), ("python eval.py", "100% \"of\" it", 1),
            ("python train.py 'ü_x'", "", 1002), ("python TRAIN.py", "second\n\tline", 1),
        )
    ]  # fmt: skip
    day_us = 86_400_000_000
    way = [RunState.PENDING, RunState.IN_PROGRESS]
    move_run(shared, call, id, made[1], *way, RunState.FAILED, reason="out_of_memory", exit_code=-9)
    with shared.database.write() as tx:
        runs_table = metadata.tables["runs"]
        changed = {"started_at": 5 * day_us, "ended_at": 5 * day_us + 90_000_000}
        tx.execute(runs_table.update().where(runs_table.c.id == row_of(shared, call, id, made[1]).id).values(**changed))

    def found(query: str, base: str = f"/projects/{id}/runs") -> list[str]:
        reply = call.get(f"{ROOT}{base}?{query}&pageSize=100")
        assert reply.json["totalCount"] == len(reply.json["runList"])
        return [run["runName"] for run in reply.json["runList"]]

    for query, names in {
        "command=train.py": ["3", "1"], "command=%C3%BC_x": ["3"], "command=u_x": [], "command=p%25n": [], "note=%25": ["2"],
        "note=%22of%22": ["2"], "note=%0A%09": ["4"], "gpuSvrCode=1002": ["3"], "gpuSvrCode=1002&command=eval": [],
        "creator=ncp-user-1000001&note=first": ["1"], "creator=ncp-user-7": [], "reason=out_of_memory": ["2"],
        "reason=lost": [], "minSeconds=90": ["2"], "minSeconds=91": [], "maxSeconds=90": ["2"], "maxSeconds=89": [],
        "status=RUN_STATE_FAILED&command=python": ["2"], "runType=NOTEBOOK&command=python": [],
    }.items():  # fmt: skip
        assert found(query) == names, query
    assert found("command=train.py%20--lr", "/projects/runs") == ["1"]
    second = call.get(f"{ROOT}/projects/{id}/runs?command=python&page=2&pageSize=3").json
    assert ([run["runName"] for run in second["runList"]], second["totalCount"]) == (["1"], 4)
    for bad in ("creator=ann", "reason=bad%20luck", "minSeconds=-1", "details=yes", "command=" + "x" * 1025):
        assert call.get(f"{ROOT}/projects/{id}/runs?{bad}").status == 400
    plain, detailed = (call.get(f"{ROOT}/projects/{id}/runs?{query}").json["runList"][2] for query in ("", "details=true"))
    assert plain.keys() == fields_of(runs.RunItem)[0]
    assert {**detailed, **plain} == detailed
    assert {name: detailed[name] for name in ("command", "gpuSvrCode", "exitCode", "reason", "endTime")} == {
        "command": "python eval.py", "gpuSvrCode": 1, "exitCode": 137, "reason": "out_of_memory",
        "endTime": "1970-01-06 00:01:30",
    }  # fmt: skip
    assert detailed.keys() == set().union(*fields_of(runs.RunItem))


@pytest.mark.parametrize("state", RunState)
def test_every_state_is_shown_filtered_and_explained(shared: Service, state: RunState) -> None:
    call, way = shared.operator, [RunState.PENDING, RunState.IN_PROGRESS]
    id = make_project(call, f"state-{state.value.replace('_', '-')}")
    name = make_run(call, id)
    path = {
        RunState.REGISTERED: [], RunState.PENDING: way[:1], RunState.IN_PROGRESS: way,
        RunState.CANCELLED: [RunState.CANCELLED],
    }.get(state, [*way, state])  # fmt: skip
    columns = {"reason": "command_failed", "exit_code": -9} if state is RunState.FAILED else {}
    move_run(shared, call, id, name, *path, **columns)
    shown = call.get(f"{ROOT}/projects/{id}/runs/{name}").json
    assert shown["status"] == f"RUN_STATE_{state.name}"
    assert shown["message"].endswith(".")
    assert (shown["endTime"] is not None) == state.is_final
    assert shown["attempts"] == (state in (RunState.IN_PROGRESS, RunState.COMPLETED, RunState.FAILED))
    if state is RunState.FAILED:
        assert (shown["reason"], shown["exitCode"]) == ("command_failed", 128 + 9)
        assert shown["message"] == FailureReason.COMMAND_FAILED.message()
    for base in ("/projects/runs", f"/projects/{id}/runs"):
        found = call.get(f"{ROOT}{base}?status={shown['status']}&pageSize=100").json
        assert (id, name) in [(run["projectId"], run["runName"]) for run in found["runList"]]
        others = [each for each in run_wire.STATUSES.values() if each != shown["status"]]
        assert call.get(f"{ROOT}/projects/{id}/runs?status={others[0]}").json == {"runList": [], "totalCount": 0}


@pytest.mark.parametrize("form", ["{}", '{{"keys": {}, "droppedPoints": 1}}'])
def test_the_metrics_of_a_run_are_summaries_by_key(shared: Service, form: str) -> None:
    summary = {"last": 0.5, "min": 0.25, "max": None, "count": 3, "nonFinite": 1, "lastNonFiniteStep": 2.0}
    call = shared.operator
    id = make_project(call, f"metrics-{len(form)}")
    name = make_run(call, id)
    ended = (RunState.PENDING, RunState.IN_PROGRESS, RunState.COMPLETED)
    move_run(shared, call, id, name, *ended, metrics=form.format(json.dumps({"keys": summary, "droppedPoints": summary})))
    shown = call.get(f"{ROOT}/projects/{id}/runs/{name}").json
    assert shown["metrics"] == {"keys": summary, "droppedPoints": summary}
    schema = call.get("/openapi.json").json["components"]["schemas"]["RunBody"]["properties"]["metrics"]
    assert "SummaryBody" in json.dumps(schema)


def test_a_row_whose_metrics_nothing_can_show_spoils_no_list_and_no_run(shared: Service) -> None:
    call = shared.operator
    id = make_project(call, "poisoned")
    name = make_run(call, id)
    ended = (RunState.PENDING, RunState.IN_PROGRESS, RunState.COMPLETED)
    move_run(shared, call, id, name, *ended, metrics=json.dumps({"\ud800": {}}))
    assert call.get(f"{ROOT}/projects/{id}/runs").json["totalCount"] == 1
    assert call.get(f"{ROOT}/projects/{id}/runs/{name}").json["metrics"] is None


def test_nodes_of_a_run_that_waits(shared: Service) -> None:
    call = shared.operator
    id = make_project(call, "nodes")
    name = make_run(call, id, nodeCount=3)
    pages = [call.get(f"{ROOT}/projects/{id}/runs/{name}/nodes?pageSize=2&page={page}").json for page in (0, 1, 2, 3)]
    assert [[node["rank"] for node in page["nodes"]] for page in pages] == [[0, 1], [0, 1], [2], []]
    assert {page["totalCount"] for page in pages} == {3}
    node = pages[0]["nodes"][0]
    assert (node["state"], node["exitCode"], node["host"]) == ("NODE_STATE_PENDING", None, None)
    assert (node["resourceType"], node["containerImage"]) == ("[Train] 1vCPU, 4GB Mem", "host")


def test_products_cover_the_machine(shared: Service) -> None:
    shown = shared.operator.get(f"{ROOT}/server-products").json
    by_code = {product["gpuSvrCode"]: product for product in shown["serverProductList"]}
    assert shown["totalCount"] == len(by_code)
    assert by_code[1]["useType"] == "TRAIN"
    assert by_code[1]["nodeCounts"] == list(range(1, 9))
    assert (by_code[4]["useType"], by_code[4]["nodeCounts"]) == ("DEV", [1])
    assert by_code[4]["engFullName"] == "[Notebook] 1vCPU, 4GB Mem"
    gpus = {product["gpuCount"] for product in shown["serverProductList"] if product["gpuModel"] == "Test GPU"}
    assert gpus == {1, 2, 4}
    assert all("(fake)" in p["engFullName"] for p in shown["serverProductList"] if p["gpuCount"])


def test_block_storages_are_used_by_one_run(shared: Service) -> None:
    call = shared.operator
    id = make_project(call, "volumes")
    number = make_volume(call, id)
    shown = call.get(f"{ROOT}/blk-storages?page=0&pagesize=1").json
    assert (shown["page"], shown["pageSize"]) == (1, 1)
    assert shown["blockStorageMgmtList"][0] | {"createTime": "", "updateTime": ""} == {
        "blockStorageNo": number, "blockStorageNm": "cache", "projectId": id, "status": "DETACHED", "nodeId": None,
        "createTime": "", "updateTime": "", "size": 10,
    }  # fmt: skip
    name = make_run(call, id, blockStorageNoList=[number])
    used = call.get(f"{ROOT}/blk-storages").json["blockStorageMgmtList"][0]
    assert (used["status"], used["nodeId"]) == ("USED", f"{id}-{name}-0")
    assert call.get(f"{ROOT}/projects/{id}/runs/{name}").json["blockStorageNoList"] == [number]
    assert ask_run(call, id, blockStorageNoList=[number]).error == (406, "406", "Not Accepted")
    assert call("DELETE", f"{ROOT}/blk-storages/{number}").error == (406, "406", "Not Accepted")
    assert call.post(f"{ROOT}/projects/{id}/runs/{name}/stop").json["status"] == "RUN_STATE_CANCELLED"
    again = make_run(call, id, blockStorageNoList=[number])
    assert again == "2"
    call.post(f"{ROOT}/projects/{id}/runs/{again}/stop")
    assert call("DELETE", f"{ROOT}/blk-storages/{number}").json["status"] == "DELETED"
    assert number not in [v["blockStorageNo"] for v in call.get(f"{ROOT}/blk-storages").json["blockStorageMgmtList"]]
    assert make_volume(call, id) > number
