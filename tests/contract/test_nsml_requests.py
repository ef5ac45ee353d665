"""Every rule of the NSML contract: what breaks it is refused with the documented status and a sentence, and changes nothing."""

import gzip
import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

import pytest
import sqlalchemy as sa

from footfall.db import projects
from footfall.db.tables import metadata
from footfall.states import RunState
from nsml_service import CODE, CODE_DIGEST, EP, KEY, ROOT, RUN, ask_run, make_project, make_run, make_volume, move_run
from service import Caller, Reply, Service

BAD, MISSING, REFUSED = (400, "400", "Bad Request"), (404, "404", "Not Found"), (406, "406", "Not Accepted")
PROJECT = {"projectName": "one", "nasVolumeSize": 500}
WATCHED = ("projects", "runs", "run_counts", "volumes", "registries", "ssh_keys", "code_archives", "resource_counts")


def snapshot(service: Service) -> list[Any]:
    with service.database.read() as connection:
        return [connection.execute(sa.select(metadata.tables[name])).all() for name in WATCHED]


def refuse(service: Service, error: tuple[int, str, str], method: str, path: str, body: Any = None, says: str = "") -> Reply:
    """Ask for something that is refused so, in a sentence that says this, and see that nothing changed."""
    before = snapshot(service)
    reply = service.operator(method, ROOT + path, body)
    assert reply.error == error, reply.body
    assert reply.details.endswith((".", '"'))
    assert says.lower() in reply.details.lower()
    assert snapshot(service) == before
    return reply


@pytest.fixture(scope="module")
def made(shared: Service) -> dict[str, Any]:
    """A project with a block storage and code, and another project."""
    call = shared.operator
    id = make_project(call, "made")
    call("PUT", f"{ROOT}/projects/{id}/code/{CODE_DIGEST}", CODE)
    return {"id": id, "volume": make_volume(call, id), "other": make_project(call, "other")}


@pytest.mark.parametrize(
    "name",
    ["", "ab", "a" * 51, "1ab", "-ab", "a--b", "ab-", "a_b", "a b", "abé", "프로젝트", "a.b", "abc\n", "a/b", None, 1, ["abc"]],
)
def test_a_project_name_that_breaks_the_rule_is_400(shared: Service, name: Any) -> None:
    refuse(shared, BAD, "POST", "/projects", PROJECT | {"projectName": name}, "projectName")


@pytest.mark.parametrize("name", ["abc", "A1-2-b", "a" * 50])
def test_a_project_name_that_keeps_the_rule_is_fine(shared: Service, name: str) -> None:
    assert shared.operator.post(f"{ROOT}/projects", PROJECT | {"projectName": name}).status == 201


@pytest.mark.parametrize("size", [499, 0, -500, 5100, 550, 1 << 62, 500.5, "500", None, True])
def test_a_storage_size_that_breaks_the_rule_is_400(shared: Service, made: dict[str, Any], size: Any) -> None:
    refuse(shared, BAD, "POST", "/projects", PROJECT | {"nasVolumeSize": size}, "nasVolumeSize")
    refuse(shared, BAD, "PATCH", f"/projects/{made['id']}/nas", {"nasVolumeSize": size}, "nasVolumeSize")


@pytest.mark.parametrize("field", ["projectName", "nasVolumeSize"])
def test_a_missing_field_of_a_project_is_400(shared: Service, field: str) -> None:
    refuse(shared, BAD, "POST", "/projects", {k: v for k, v in PROJECT.items() if k != field}, field)


@pytest.mark.parametrize("note", ["x" * 1001, "a\0b", 1])
def test_a_note_that_breaks_the_rule_is_400(shared: Service, made: dict[str, Any], note: Any) -> None:
    refuse(shared, BAD, "POST", "/projects", PROJECT | {"note": note}, "note")
    refuse(shared, BAD, "POST", f"/projects/{made['id']}/runs", RUN | {"note": note}, "note")


def test_a_project_name_exists_once_in_an_account(service: Service) -> None:
    id = make_project(service.operator, "one")
    refuse(service, BAD, "POST", "/projects", PROJECT, "exists already")
    assert make_project(service.account("other"), "one")
    assert service.operator("DELETE", f"{ROOT}/projects/{id}").status == 200
    refuse(service, BAD, "POST", "/projects", PROJECT, "still being deleted")
    with service.database.write() as tx:
        assert projects.finish_delete(tx, id)
    assert make_project(service.operator, "one") != id


def test_a_storage_only_grows(service: Service) -> None:
    call = service.operator
    id = make_project(call, nasVolumeSize=700)
    refuse(service, REFUSED, "PATCH", f"/projects/{id}/nas", {"nasVolumeSize": 600}, "only grow")
    for size in (700, 800):
        assert call("PATCH", f"{ROOT}/projects/{id}/nas", {"nasVolumeSize": size}).json["nasVolumeSize"] == size
    assert call.get(f"{ROOT}/projects/{id}").json["nasVolumeSize"] == 800


def test_a_project_with_live_runs_is_not_deleted_and_they_are_named(service: Service) -> None:
    call = service.operator
    id = make_project(call)
    names = [make_run(call, id) for _ in range(3)]
    move_run(service, call, id, names[1], RunState.PENDING)
    reply = refuse(service, REFUSED, "DELETE", f"/projects/{id}", says="1, 2, 3")
    assert id in reply.details
    for name in names:
        call.post(f"{ROOT}/projects/{id}/runs/{name}/stop")
    move_run(service, call, id, names[1], RunState.CANCELLED)
    for _ in range(2):
        assert call("DELETE", f"{ROOT}/projects/{id}").json["status"] == "DELETING"


def test_a_project_that_is_being_deleted_takes_nothing_and_then_is_gone(service: Service) -> None:
    call = service.operator
    id, path = make_project(call), f"{ROOT}/projects"
    call("DELETE", f"{path}/{id}")
    assert [p["status"] for p in call.get(path).json["projects"]] == ["DELETING"]
    for method, where, body in (
        ("POST", f"/projects/{id}/runs", RUN),
        ("PATCH", f"/projects/{id}/nas", {"nasVolumeSize": 600}),
        ("POST", "/blk-storages", {"blockStorageNm": "a", "projectId": id, "size": 1}),
        ("PUT", f"/projects/{id}/code/{CODE_DIGEST}", CODE),
        ("PUT", f"/projects/{id}/files/a", b"a"),
        ("DELETE", f"/projects/{id}/files/a", None),
    ):
        refuse(service, REFUSED, method, where, body, "DELETING")
    with service.database.write() as tx:
        assert projects.finish_delete(tx, id)
        assert not projects.finish_delete(tx, id)
    assert call.get(path).json == {"projects": [], "totalCount": 0}
    assert call.get(f"{path}/{id}").json["status"] == "DELETED"
    with service.database.write() as tx:
        assert projects.find_closing(tx, 10) == []
    for method, where, body in (
        ("POST", f"/projects/{id}/runs", RUN),
        ("GET", f"/projects/{id}/nas", None),
        ("GET", f"/projects/{id}/runs", None),
        ("GET", f"/projects/{id}/files", None),
        ("DELETE", f"/projects/{id}", None),
    ):
        refuse(service, MISSING, method, where, body)


def test_a_deleted_project_is_forgotten_after_30_days(service: Service) -> None:
    call = service.operator
    id = make_project(call)
    call("DELETE", f"{ROOT}/projects/{id}")
    table = metadata.tables["projects"]
    with service.database.write() as tx:
        assert projects.find_closing(tx, 10) == [id]
        assert projects.finish_delete(tx, id)
        gone_us = tx.execute(sa.select(table.c.deleted_at).where(table.c.id == id)).scalar_one()
    day_us = 86_400_000_000
    for days, status in ((29, 200), (31, 404)):
        with service.database.write() as tx:
            tx.execute(sa.update(table).where(table.c.id == id).values(deleted_at=gone_us - days * day_us))
        assert call.get(f"{ROOT}/projects/{id}").status == status


def test_behaviors_own_project_is_hidden_and_cannot_be_changed(service: Service) -> None:
    call = service.operator
    assert call.get(f"{ROOT}/projects").json["totalCount"] == 0
    shown = call.get(f"{ROOT}/projects?internal=true").json
    assert (shown["totalCount"], shown["projects"][0]["projectName"]) == (1, "_behavior")
    id = shown["projects"][0]["projectId"]
    for path in ("", "/runs", "/runs?status=RUN_STATE_FAILED"):
        refuse(service, MISSING, "GET", f"/projects/{id}{path}")
    assert call.get(f"{ROOT}/projects/{id}?internal=true").json["projectName"] == "_behavior"
    for method, path, body in (
        ("DELETE", "", None), ("PATCH", "/nas", {"nasVolumeSize": 600}), ("POST", "/runs", RUN), ("PUT", "/files/a", b"a"),
    ):  # fmt: skip
        refuse(service, REFUSED, method, f"/projects/{id}{path}", body, "features and tasks")


@pytest.mark.parametrize("field", ["gpuSvrCode", "imagePath", "imageType", "nodeCount", "command"])
@pytest.mark.parametrize("value", [..., None, [], {}])
def test_a_missing_or_mistyped_field_of_a_run_is_400(shared: Service, made: Any, field: str, value: Any) -> None:
    body = {k: v for k, v in (RUN | {field: value}).items() if v is not ...}
    refuse(shared, BAD, "POST", f"/projects/{made['id']}/runs", body, field)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"gpuSvrCode": 2}, "1, 1002"),
        ({"gpuSvrCode": -1}, "the codes are"),
        ({"imageType": "base"}, "imageType"),
        ({"nodeCount": 0}, "takes: 1, 2, 3"),
        ({"nodeCount": 9}, "takes: 1, 2, 3"),
        ({"nodeCount": "1"}, "nodeCount"),
        ({"command": ""}, "needs one"),
        ({"command": "  \n"}, "needs one"),
        ({"command": "x" * 32_769}, "32768"),
        ({"command": "😀" * 25_001}, "100000 bytes"),
        ({"command": "a\0b"}, "NUL"),
        ({"gpuSvrCode": 4}, "notebook"),
        ({"env": {}, "envs": {}}, "two names"),
        ({"envs": {"": "x"}}, "not empty"),
        ({"envs": {"a=b": "x"}}, "'='"),
        ({"envs": {"a\0": "x"}}, "NUL"),
        ({"envs": {"a": "x\0"}}, "NUL"),
        ({"envs": {"NSML_RANK": "0"}}, "itself"),
        ({"env": {"CUDA_VISIBLE_DEVICES": "0"}}, "itself"),
        ({"envs": {"NVIDIA_VISIBLE_DEVICES": "0"}}, "itself"),
        ({"envs": {"a": None}}, "A value of envs is null; give true or false or a number or a text."),
        ({"envs": {"a": []}}, "A value of envs is a list; give true"),
        ({"envs": []}, "envs is a list; give an object or leave it out."),
        ({"envs": {"a": "x" * 100_000}}, "100000 bytes"),
        ({"envs": {f"a{n}": 1 for n in range(1001)}}, "1000"),
        ({"priority": 101}, "-100 to 100"),
        ({"priority": -101}, "-100 to 100"),
        ({"priority": "1"}, "priority"),
        ({"timeoutSeconds": 0}, "timeoutSeconds"),
        ({"timeoutSeconds": 1 << 40}, "timeoutSeconds"),
        ({"outputLimitBytes": 0}, "outputLimitBytes"),
        ({"logLimitBytes": -1}, "logLimitBytes"),
        ({"codeDigest": "abc"}, "SHA-256"),
        ({"codeDigest": "A" * 64}, "SHA-256"),
        ({"blockStorageNoList": [1, 1]}, "twice"),
        ({"blockStorageNoList": ["1"]}, "blockStorageNoList[0] is a text; give a whole number."),
        ({"blockStorageNoList": "1"}, "blockStorageNoList"),
    ],
)
def test_a_run_that_breaks_a_rule_is_400(shared: Service, made: Any, fields: dict[str, Any], says: str) -> None:
    refuse(shared, BAD, "POST", f"/projects/{made['id']}/runs", RUN | fields, says)


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"imagePath": "nowhere:v1"}, REFUSED, "docker: there is no docker here"),
        ({"imagePath": "test-image:v1", "imageType": "CUSTOM"}, REFUSED, "Engines tried"),
        ({"imagePath": "a\0b", "imageType": "CUSTOM"}, REFUSED, "Engines tried"),
        ({"blockStorageNoList": [999_999]}, MISSING, "block storage"),
        ({"blockStorageNoList": [-1]}, MISSING, "block storage"),
        ({"blockStorageNoList": [1 << 62]}, MISSING, "block storage"),
        ({"codeDigest": "0" * 64}, MISSING, "send the code again with `footfall run`"),
    ],
)
def test_a_run_of_what_is_not_there_is_refused(
    shared: Service, made: Any, fields: dict[str, Any], error: tuple[int, str, str], says: str
) -> None:
    refuse(shared, error, "POST", f"/projects/{made['id']}/runs", RUN | fields, says)


def test_a_block_storage_of_another_project_is_not_there(shared: Service, made: dict[str, Any]) -> None:
    body = RUN | {"blockStorageNoList": [made["volume"]]}
    says = f"There is no block storage {made['volume']} in this project."
    refuse(shared, MISSING, "POST", f"/projects/{made['other']}/runs", body, says)


def test_a_run_that_could_never_start_is_406_naming_what_is_short(service_of_dreams: Service) -> None:
    id = make_project(service_of_dreams.operator)
    for code, says in ((7, "1000 cores (there are 8)"), (8, "8 Test GPU GPUs (there are 4)"), (9, "MiB of memory")):
        refuse(service_of_dreams, REFUSED, "POST", f"/projects/{id}/runs", RUN | {"gpuSvrCode": code}, says)
    assert make_run(service_of_dreams.operator, id, gpuSvrCode=1) == "1"


def test_a_run_that_the_limit_of_a_project_never_allows_is_406_naming_it(service_of_few_gpus: Service) -> None:
    id = make_project(service_of_few_gpus.operator)
    body = RUN | {"gpuSvrCode": 8, "nodeCount": 4}
    refuse(service_of_few_gpus, REFUSED, "POST", f"/projects/{id}/runs", body, "4 GPUs (project_max_gpus")
    assert make_run(service_of_few_gpus.operator, id, gpuSvrCode=8) == "1"


def test_refused_runs_leave_no_number_spent(shared: Service, made: dict[str, Any]) -> None:
    call = shared.operator
    id = make_project(call, "dense")
    number = make_volume(call, id)
    assert make_run(call, id, blockStorageNoList=[number]) == "1"
    for _ in range(3):
        assert ask_run(call, id, blockStorageNoList=[number]).status == 406
        assert ask_run(call, id, codeDigest="0" * 64).status == 404
    assert make_run(call, id) == "2"
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: ask_run(call, id, priority=0 if n % 2 else 1000), range(32)))
    assert sorted(int(r.json["runName"]) for r in replies if r.status == 201) == list(range(3, 19))
    call.post(f"{ROOT}/projects/{id}/runs/5/stop")
    assert call("DELETE", f"{ROOT}/projects/{id}/runs/5").status == 200
    assert make_run(call, id) == "19"
    refuse(shared, MISSING, "GET", f"/projects/{id}/runs/5")
    assert call.get(f"{ROOT}/projects/{id}").json["runCount"] == 18


@pytest.mark.parametrize("name", ["0", "01", "-1", "x", "1.0", "٣", "9" * 30, "2"])
def test_a_run_that_is_not_there_is_404(shared: Service, made: dict[str, Any], name: str) -> None:
    from urllib.parse import quote

    for method, path in (("GET", ""), ("GET", "/nodes"), ("POST", "/stop"), ("POST", "/restart"), ("DELETE", "")):
        refuse(shared, MISSING, method, f"/projects/{made['other']}/runs/{quote(name)}{path}", says="run")


def test_stop_and_delete_go_by_the_state(service: Service) -> None:
    call = service.operator
    id = make_project(call)
    ends = {RunState.COMPLETED: {}, RunState.FAILED: {"reason": "lost"}}
    for end, columns in ends.items():
        name = make_run(call, id)
        path = f"/projects/{id}/runs/{name}"
        refuse(service, REFUSED, "DELETE", path, says="registered")
        move_run(service, call, id, name, RunState.PENDING, RunState.IN_PROGRESS)
        refuse(service, REFUSED, "DELETE", path, says="in_progress")
        for _ in range(2):
            shown = call.post(f"{ROOT}{path}/stop")
            assert (shown.status, shown.json["status"]) == (200, "RUN_STATE_IN_PROGRESS")
            assert "stopped" in shown.json["message"]
        move_run(service, call, id, name, end, **columns)
        refuse(service, REFUSED, "POST", path + "/stop", says="ended already")
        assert call("DELETE", ROOT + path).json["status"] == f"RUN_STATE_{end.name}"
        refuse(service, MISSING, "DELETE", path)
    name = make_run(call, id)
    for _ in range(3):
        stopped = call.post(f"{ROOT}/projects/{id}/runs/{name}/stop")
        assert (stopped.status, stopped.json["status"]) == (200, "RUN_STATE_CANCELLED")


def test_a_restarted_run_is_the_same_but_for_its_number_and_who_asked(service: Service) -> None:
    call = service.operator
    colleague = service.user(call, "colleague", nsml="MANAGER")
    id = make_project(call)
    call("PUT", f"{ROOT}/projects/{id}/code/{CODE_DIGEST}", CODE)
    number = make_volume(call, id)
    first = ask_run(
        call, id, nodeCount=2, envs={"a": 1.5, "API_KEY": "hidden"}, codeDigest=CODE_DIGEST, priority=7, note="n",
        blockStorageNoList=[number], timeoutSeconds=60, outputLimitBytes=5, logLimitBytes=6,
    )  # fmt: skip
    assert first.status == 201, first.body
    path = f"/projects/{id}/runs/1"
    refuse(service, REFUSED, "POST", f"{path}/restart", says="run " + id)
    call.post(f"{ROOT}{path}/stop")
    again = colleague.post(f"{ROOT}{path}/restart", x_idempotency_key="k")
    assert (again.status, again.headers["location"]) == (201, f"{ROOT}/projects/{id}/runs/2")
    changing = {"runName", "creator", "createTime", "updateTime"}
    assert {k: v for k, v in again.json.items() if k not in changing} == {
        k: v for k, v in first.json.items() if k not in changing
    }
    assert again.json["creator"] == "ncp-user-1000002"
    assert secret_of(service, again) == {"API_KEY": "hidden"}
    assert colleague.post(f"{ROOT}{path}/restart", x_idempotency_key="k").body == again.body


def secret_of(service: Service, reply: Reply) -> Any:
    import json

    with service.database.read() as connection:
        runs = metadata.tables["runs"]
        row = connection.execute(
            sa.select(runs.c.id, runs.c.sealed).where(
                runs.c.project_id == reply.json["projectId"], runs.c.number == int(reply.json["runName"])
            )
        ).one()
    return None if row.sealed is None else json.loads(service.context.secrets.open(row.sealed, row.id))


SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "s-1-value", "token": "s-2-value", "HF_TOKEN_2": "s-3-value", "DbPassword": "s-4-value",
    "my_credentials": "s-5-value", "API_KEY": "s-6-value", "MY_ACCESS_KEY": "s-7-value", "declared": "s-8-value",
    "GPG_PASSPHRASE": "s-9-value", "DB_PWD": "s-10-value", "SSH_PRIVATE_KEY": "s-11-value", "SMTP-AUTH": "s-12-value",
    "SENTRY_DSN": "s-13-value", "STRIPE_KEY": "s-14-value", "apiKey": "s-15-value", "MYSQL_PASS": "s-16-value",
    "DATABASE_URL": "postgresql+psycopg://me:s-17-value@db.example.com/shop", "CACHE": "redis://:s-18-value@cache:6379/0",
}  # fmt: skip


def test_row_16_secret_values_are_masked_everywhere_and_encrypted(service: Service) -> None:
    call = service.operator
    id = make_project(call)
    plain = {
        "lr": 0.1, "DEBUG": True, "PATHS": "/a", "AUTHOR": "kim", "COMPASS": "north", "KEY_COUNT": 3, "MONKEY": "b",
        "KEYBOARD": "us", "URL": "https://example.com:8443/a@b", "MAIL": "kim@example.com", "BRANCH": "git@example.com:a/b",
    }  # fmt: skip
    made = ask_run(call, id, envs=SECRETS | plain, secretEnvs=["declared", "absent"])
    replies = [made] + [
        call.get(f"{ROOT}{path}") for path in (f"/projects/{id}/runs/1", "/projects/runs", f"/projects/{id}/runs/1/nodes")
    ]
    assert made.json["envs"] == dict.fromkeys(SECRETS, "****") | plain
    for value in SECRETS.values():
        assert all(value.encode() not in reply.body for reply in replies)
        for file in service.settings.data_dir.glob("footfall.db*"):
            assert value.encode() not in file.read_bytes()
    assert secret_of(service, made) == SECRETS
    with service.database.read() as connection:
        spec = connection.execute(sa.select(metadata.tables["runs"].c.spec)).scalar_one()
    assert all(value not in spec for value in SECRETS.values())
    assert '"lr":"0.1"' in spec
    assert '"DEBUG":"true"' in spec


@pytest.mark.parametrize(
    "ep",
    [
        "", "private-ncr.ntruss.com", ".private-ncr.ntruss.com", "a.b.c.private-ncr.ntruss.com", "evil.com",
        "x.private-ncr.ntruss.com.evil.com", "x.private-ncr.ntruss.com:443", "u@x.private-ncr.ntruss.com",
        "https://x.private-ncr.ntruss.com", "x.private-ncr.ntruss.com/a", "x/y.private-ncr.ntruss.com", "169.254.169.254",
        "[::1]", "0x7f.1", "localhost", "x_y.private-ncr.ntruss.com", "-x.private-ncr.ntruss.com", "é.private-ncr.ntruss.com",
        "x.private-ncr.ntruss.com\n", "x .private-ncr.ntruss.com",
    ],
)  # fmt: skip
def test_row_13_only_hosts_of_ncp_and_the_operators_can_be_repositories(shared: Service, ep: str) -> None:
    from urllib.parse import quote

    body = {"privateEp": ep, "accessKey": "a", "secretKey": "s"}
    refuse(shared, BAD, "POST", "/images/secret", body, "privateEp")
    refuse(shared, BAD, "DELETE", f"/images/secret?privateEp={quote(ep)}", says="privateEp")


def test_the_21st_repository_of_an_account_is_406(service: Service) -> None:
    call = service.operator
    for number in range(20):
        body = {"privateEp": f"r{number}.private-ncr.ntruss.com", "accessKey": "a", "secretKey": "s"}
        assert call.post(f"{ROOT}/images/secret", body).status == 201
    body["privateEp"] = "more.private-ncr.ntruss.com"
    refuse(service, REFUSED, "POST", "/images/secret", body, "image repositories of an account is 20")
    assert call("DELETE", f"{ROOT}/images/secret?privateEp=r0.private-ncr.ntruss.com").status == 200
    assert call.post(f"{ROOT}/images/secret", body).status == 201


def test_a_repository_is_stored_masked_sealed_and_once(service: Service) -> None:
    call = service.operator
    body = {"privateEp": EP.upper(), "accessKey": "access", "secretKey": "0123456789-secret-wxyz"}
    made = call.post(f"{ROOT}/images/secret", body)
    assert made.status == 201
    assert (made.json["privateEp"], made.json["secretKey"]) == (EP, "****wxyz")
    refuse(service, BAD, "POST", "/images/secret", body, "An image repository named")
    listed = call.get(f"{ROOT}/images/secret").json
    assert listed == {"dockerCredentials": [made.json], "totalSize": 1, "totalCount": 1}
    for file in service.settings.data_dir.glob("footfall.db*"):
        assert b"0123456789-secret" not in file.read_bytes()
    short = call.post(f"{ROOT}/images/secret", body | {"privateEp": "b.private-ncr.ntruss.com", "secretKey": "abcd"})
    assert short.json["secretKey"] == "****"
    refuse(service, BAD, "DELETE", "/images/secret", says="missing")
    assert call("DELETE", f"{ROOT}/images/secret?PRIVATEEP={EP}").json == made.json
    refuse(service, MISSING, "DELETE", f"/images/secret?privateEp={EP}")


@pytest.mark.parametrize("field", ["privateEp", "accessKey", "secretKey"])
@pytest.mark.parametrize("value", [..., "", "a\nb", 1])
def test_a_repository_with_a_wrong_field_is_400(shared: Service, field: str, value: Any) -> None:
    body = {"privateEp": "q.private-ncr.ntruss.com", "accessKey": "a", "secretKey": "s"} | {field: value}
    refuse(shared, BAD, "POST", "/images/secret", {k: v for k, v in body.items() if v is not ...}, field)


@pytest.mark.parametrize("title", ["", "1a", "-a", "a--b", "a b", "a_b", "é", "a" * 101, None])
def test_a_title_that_breaks_the_rule_is_400(shared: Service, title: Any) -> None:
    refuse(shared, BAD, "POST", "/auth-keys", {"title": title, "key": KEY}, "title")


def test_a_key_is_named_by_title_and_name(service: Service) -> None:
    call = service.operator
    one, two = (call.post(f"{ROOT}/auth-keys", {"title": "same", "key": KEY}).json for _ in range(2))
    assert len(one["name"]) == 33
    assert one["name"] != two["name"]
    assert len(one["fingerprint"].split(":")) == 16
    assert one["fingerprintSha256"].startswith("SHA256:")
    assert call.get(f"{ROOT}/auth-keys").json == {"keyList": [two, one], "totalCount": 2}
    refuse(service, MISSING, "DELETE", f"/auth-keys/title/other/name/{one['name']}")
    assert call("DELETE", f"{ROOT}/auth-keys/title/same/name/{one['name']}").json == one
    refuse(service, MISSING, "DELETE", f"/auth-keys/title/same/name/{one['name']}")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"blockStorageNm": ""}, "blockStorageNm"), ({"blockStorageNm": "a b"}, "blockStorageNm"),
        ({"blockStorageNm": "a" * 51}, "blockStorageNm"), ({"blockStorageNm": None}, "blockStorageNm"),
        ({"size": 0}, "size"), ({"size": 100_001}, "size"), ({"size": "1"}, "size"), ({"projectId": None}, "projectId"),
    ],
)  # fmt: skip
def test_a_block_storage_that_breaks_a_rule_is_400(shared: Service, made: Any, fields: Any, says: str) -> None:
    body = {"blockStorageNm": "a", "projectId": made["id"], "size": 1} | fields
    refuse(shared, BAD, "POST", "/blk-storages", body, says)


def test_a_block_storage_needs_a_project_of_the_account(shared: Service) -> None:
    foreign = make_project(shared.account("foreigner"))
    for id in ("none", foreign):
        body = {"blockStorageNm": "a", "projectId": id, "size": 1}
        refuse(shared, MISSING, "POST", "/blk-storages", body, "project")
    for number in ("0", "x", "999999", "9" * 30):
        refuse(shared, MISSING, "DELETE", f"/blk-storages/{number}", says="block storage")


def archive(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def put_code(call: Caller, id: str, content: bytes, digest: str = "") -> Reply:
    return call("PUT", f"{ROOT}/projects/{id}/code/{digest or sha256(content).hexdigest()}", content)


def test_code_is_kept_once_by_its_digest(service: Service) -> None:
    call = service.operator
    id = make_project(call)
    content = archive("a.py", b"print(1)")
    digest = sha256(content).hexdigest()
    for _ in range(2):
        assert put_code(call, id, content).json == {"projectId": id, "codeDigest": digest, "sizeBytes": len(content)}
    kept = list((service.settings.data_dir / "projects" / id / "code").iterdir())
    assert [(path.name, path.read_bytes()) for path in kept] == [(f"{digest}.tar.gz", content)]
    assert not list((service.settings.data_dir / "projects" / id / "drafts").iterdir())
    assert ask_run(call, id, codeDigest=digest).json["codeDigest"] == digest
    other = make_project(call, "other")
    assert ask_run(call, other, codeDigest=digest).error == MISSING


def test_code_that_is_not_what_it_says_is_400_and_leaves_nothing(service_of_little_code: Service) -> None:
    service = service_of_little_code
    call = service.operator
    id = make_project(call)
    good = archive("a.py", b"print(1)")
    plain, large = b"no gzip", gzip.compress(bytes(range(256)) * 8, 0)
    for digest, content, error in (
        ("0" * 64, good, BAD), (sha256(plain).hexdigest(), plain, BAD), (sha256(b"").hexdigest(), b"", BAD),
        ("xyz", good, BAD), (sha256(good).hexdigest().upper(), good, BAD),
        (sha256(large).hexdigest(), large, (413, "430", "Request Entity Too Large")),
    ):  # fmt: skip
        before = snapshot(service)
        assert put_code(call, id, content, digest).error == error
        assert snapshot(service) == before
    assert not [path for path in (service.settings.data_dir / "projects" / id).rglob("*") if path.is_file()]
    assert put_code(call, id, good).status == 200
