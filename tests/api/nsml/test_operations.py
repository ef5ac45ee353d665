"""What all operations of ``/nsml/v1`` share: the API key, roles, error bodies, paging, created things, idempotency keys."""

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from footfall.api import mutations
from footfall.compute import projects
from footfall.db import projects as db
from footfall.db.tables import runs
from footfall.machine.engines import Engines
from footfall.machine.isolation import Isolation
from nsml_service import ROOT, ask_run, make_project
from service import MACHINE, Service, open_service

LIST = f"{ROOT}/projects"
NEW = {"projectName": "one", "nasVolumeSize": 500}
DENIED = (401, "210", "Permission Denied")
SUBSCRIBE = "A subscription to the API is required."


def test_row_09_a_call_needs_an_enabled_api_key_of_its_own_account(service: Service) -> None:
    call, other = service.operator, service.account("other")
    assert call.get(LIST).status == 200
    made = call.post("/accounts/v1/api-keys", {"name": "ci"}).json
    wrong = ["", "x" * 40, other.api_key, call.api_key.lower(), call.api_key + " x", "é"]
    for key in wrong:
        headers = call.signed("GET", LIST) | {"x-ncp-apigw-api-key": key}
        reply = call("GET", LIST, headers=headers)
        assert (reply.error, reply.details) == (DENIED, SUBSCRIBE), key
    assert replace(call, api_key="").get(LIST).error == DENIED
    for key in (made["primary_key"], made["secondary_key"]):
        assert replace(call, api_key=key).get(LIST).status == 200
    call.post(f"/accounts/v1/api-keys/{made['api_key_id']}/disable")
    for key in (made["primary_key"], made["secondary_key"]):
        assert replace(call, api_key=key).get(LIST).error == DENIED
        refused = replace(call, api_key=key).post(LIST, NEW)
        assert refused.error == DENIED
    assert call.get(LIST).json["totalCount"] == 0


def test_row_09_the_signature_is_asked_for_first_and_the_key_is_never_logged(
    service: Service, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    call = service.operator
    with caplog.at_level(logging.DEBUG):
        assert call("GET", LIST, headers={"x-ncp-apigw-api-key": call.api_key}).error[1] == "200"
        assert replace(call, secret_key="x").get(LIST).error[1] == "200"
        assert replace(call, api_key="SECRETKEY" * 4).post(LIST, NEW).error == DENIED
        assert call.post(LIST, NEW).status == 201
    seen = caplog.text + "".join(capfd.readouterr())
    assert call.api_key not in seen
    assert "SECRETKEY" * 4 not in seen


def test_row_04_what_an_api_key_was_missing_for_is_remembered(service: Service) -> None:
    call = service.operator
    headers = replace(call, api_key="").signed("POST", LIST)
    assert call("POST", LIST, NEW, headers=headers).error == DENIED
    again = call("POST", LIST, NEW, headers=headers | {"x-ncp-apigw-api-key": call.api_key})
    assert again.details == "This request was already received."


def test_roles_of_nsml_decide_and_those_of_nclue_do_not(service: Service) -> None:
    call = service.operator
    viewer = service.user(call, "viewer", nsml="VIEWER", nclue="MANAGER")
    manager = service.user(call, "manager", nsml="MANAGER")
    stranger = service.user(call, "stranger", nclue="MANAGER")
    assert (viewer.get(LIST).status, manager.get(LIST).status) == (200, 200)
    assert stranger.get(LIST).error == (403, "230", "Forbidden")
    assert viewer.post(LIST, NEW).error == (403, "230", "Forbidden")
    assert manager.post(LIST, NEW).status == 201


@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("POST", "/projects", b"{", (400, "400", "Bad Request")),
        ("POST", "/projects", b"[]", (400, "400", "Bad Request")),
        ("POST", "/projects", {}, (400, "400", "Bad Request")),
        ("POST", "/projects", {"projectName": 1, "nasVolumeSize": 500}, (400, "400", "Bad Request")),
        ("GET", "/projects?pageSize=0", None, (400, "400", "Bad Request")),
        ("GET", "/projects?pageSize=101", None, (400, "400", "Bad Request")),
        ("GET", "/projects?page=-1", None, (400, "400", "Bad Request")),
        ("GET", "/projects?page=1&PAGE=1", None, (400, "400", "Bad Request")),
        ("GET", "/projects?internal=yes", None, (400, "400", "Bad Request")),
        ("GET", "/projects/none", None, (404, "404", "Not Found")),
        ("GET", "/nothing", None, (404, "300", "Not Found Exception")),
        ("PUT", "/projects", None, (405, "300", "Not Found Exception")),
    ],
)
def test_an_error_has_the_documented_status_and_a_sentence(
    shared: Service, method: str, path: str, body: object, error: tuple[int, str, str]
) -> None:
    reply = shared.operator(method, ROOT + path, body)
    assert reply.error == error
    assert reply.details.endswith(".")


def test_row_26_json_bombs_are_400(shared: Service) -> None:
    for bomb in (b"[" * 100_000, b'{"projectName":"a","nasVolumeSize":1e400}', b'{"nasVolumeSize":NaN}'):
        assert shared.operator("POST", LIST, bomb).error[:2] == (400, "400")
    for number in (str(1 << 64), "9" * 100_000):
        body = b'{"projectName":"abc","nasVolumeSize":' + number.encode() + b"}"
        assert shared.operator("POST", LIST, body).error[:2] == (400, "400")


def test_what_was_made_is_201_with_its_place(service: Service) -> None:
    reply = service.operator.post(LIST, NEW)
    assert reply.status == 201
    assert reply.headers["location"] == f"{LIST}/{reply.json['projectId']}"
    assert service.operator.get(reply.headers["location"]).json == reply.json


def test_pages_are_found_by_names_without_case_and_page_0_is_page_1(service: Service) -> None:
    call = service.operator
    ids = [make_project(call, f"project-{n}") for n in range(5)][::-1]
    for query in ("page=0&pagesize=1", "page=1&pageSize=1", "PAGE=0&PAGESIZE=1", "pagesize=1"):
        reply = call.get(f"{LIST}?{query}").json
        assert ([project["projectId"] for project in reply["projects"]], reply["totalCount"]) == (ids[:1], 5)
    found = [call.get(f"{LIST}?page={n}&pageSize=2").json["projects"] for n in (1, 2, 3, 4, 10**18 - 1, 10**20 - 1, "9" * 5000)]
    assert [[project["projectId"] for project in page] for page in found] == [ids[:2], ids[2:4], ids[4:], [], [], [], []]
    assert call.get(f"{LIST}?page={'0' * 30}1&pageSize=2").json["projects"] == found[0]
    for size in (10**20, 0, -1):
        assert "from 1 to 100" in call.get(f"{LIST}?pageSize={size}").details


def test_an_idempotency_key_gives_the_first_answer_to_all_of_the_account(service: Service) -> None:
    call = service.operator
    colleague = service.user(call, "colleague", nsml="MANAGER")
    first = call.post(LIST, NEW, x_idempotency_key="k")
    for again in (call.post(LIST, NEW, x_idempotency_key="k"), colleague.post(LIST, NEW, x_idempotency_key="k")):
        assert (again.status, again.body) == (201, first.body)
        assert again.headers["location"] == first.headers["location"]
    other = call.post(LIST, NEW | {"projectName": "two"}, x_idempotency_key="k")
    assert other.error == (400, "400", "Bad Request")
    assert call.get(LIST).json["totalCount"] == 1
    stranger = service.account("stranger")
    assert stranger.post(LIST, NEW, x_idempotency_key="k").json["projectId"] != first.json["projectId"]


def test_a_refusal_is_not_kept_for_an_idempotency_key(service: Service) -> None:
    call = service.operator
    id = make_project(call, "one")
    assert call.post(LIST, NEW, x_idempotency_key="k").error == (400, "400", "Bad Request")
    assert call("DELETE", f"{LIST}/{id}").status == 200
    with service.database.write() as tx:
        assert db.finish_delete(tx, id)
    assert call.post(LIST, NEW, x_idempotency_key="k").status == 201


def test_a_viewer_gets_no_first_answer(service: Service) -> None:
    call = service.operator
    viewer = service.user(call, "viewer", nsml="VIEWER")
    assert call.post(LIST, NEW, x_idempotency_key="k").status == 201
    assert viewer.post(LIST, NEW, x_idempotency_key="k").error == (403, "230", "Forbidden")


def test_many_with_one_key_make_one_thing(service: Service) -> None:
    call = service.operator
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: call.post(LIST, NEW, x_idempotency_key="k"), range(16)))
    assert {reply.status for reply in replies} == {201}
    assert len({reply.body for reply in replies}) == 1


def test_a_second_request_waits_for_the_first_and_then_is_406(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutations, "IDEMPOTENCY_TIMEOUT_S", 0.3)
    call, entered, go_on = service.operator, threading.Event(), threading.Event()
    check_new = projects.check_new

    def slow(*arguments: Any, **more: Any) -> None:
        entered.set()
        assert go_on.wait(10)
        check_new(*arguments, **more)

    monkeypatch.setattr(projects, "check_new", slow)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(call.post, LIST, NEW, x_idempotency_key="k")
        assert entered.wait(10)
        assert call.post(LIST, NEW, x_idempotency_key="k").error == (406, "406", "Not Accepted")
        monkeypatch.setattr(mutations, "IDEMPOTENCY_TIMEOUT_S", 10.0)
        waiting = pool.submit(call.post, LIST, NEW, x_idempotency_key="k")
        go_on.set()
        assert first.result().status == 201
        assert waiting.result().body == first.result().body


def test_at_landlock_runs_are_refused_as_soon_as_there_is_a_second_account(tmp_path: Path) -> None:
    shared = Isolation("landlock", "bubblewrap: no.", 65_534, Engines({}, []), True, False)
    with open_service(tmp_path / "home", replace(MACHINE, isolation=shared)) as service:
        project = make_project(service.operator)
        assert ask_run(service.operator, project).status == 201
        other = service.account("other")
        for caller, own in ((service.operator, project), (other, make_project(other))):
            refused = ask_run(caller, own)
            assert (refused.status // 100, "set allow_landlock" in refused.details) == (4, True), refused.body


def test_row_14_with_a_second_account_new_and_repeated_runs_get_a_network_of_their_own(tmp_path: Path) -> None:
    apart = Isolation("bubblewrap", "", 65_534, Engines({}, []), True, False, no_way_out="")
    with open_service(tmp_path / "home", replace(MACHINE, isolation=apart)) as service:
        call = service.operator
        project = make_project(call)

        def networks() -> list[str]:
            with service.database.read() as connection:
                specs = connection.execute(sa.select(runs.c.spec).order_by(runs.c.id)).scalars()
                return [json.loads(spec)["workload"]["network"] for spec in specs]

        assert ask_run(call, project).status == 201
        assert call.post(f"{ROOT}/projects/{project}/runs/1/restart").status == 201
        assert networks() == ["host", "host"]
        service.account("other")
        assert ask_run(call, project).status == 201
        assert call.post(f"{ROOT}/projects/{project}/runs/1/restart").status == 201
        assert networks() == ["host", "host", "nat", "nat"]
