"""Projects, runs and what belongs to them, made over HTTP for the tests of ``/nsml/v1``."""

import gzip
from hashlib import sha256
from typing import Any

from footfall.db import run_pages, runs
from footfall.db.run_pages import RunRow
from footfall.states import RunState
from service import Caller, Reply, Service

ROOT = "/nsml/v1"
RUN = {"command": "python a.py", "gpuSvrCode": 1, "imagePath": "host", "imageType": "BASE", "nodeCount": 1}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c somebody@somewhere"
CODE = gzip.compress(b"", mtime=0)
CODE_DIGEST = sha256(CODE).hexdigest()
EP = "registry.kr.private-ncr.ntruss.com"


def make_project(caller: Caller, name: str = "vision", **fields: Any) -> str:
    """Return the id of a new project."""
    reply = caller.post(f"{ROOT}/projects", {"projectName": name, "nasVolumeSize": 500, **fields})
    assert reply.status == 201, reply.body
    return str(reply.json["projectId"])


def make_run(caller: Caller, project_id: str, **fields: Any) -> str:
    """Return the name of a new run."""
    reply = ask_run(caller, project_id, **fields)
    assert reply.status == 201, reply.body
    return str(reply.json["runName"])


def ask_run(caller: Caller, project_id: str, **fields: Any) -> Reply:
    """Ask for a run of two words that takes one core; a field that is ``...`` is left out."""
    body = {name: value for name, value in (RUN | fields).items() if value is not ...}
    return caller.post(f"{ROOT}/projects/{project_id}/runs", body)


def make_volume(caller: Caller, project_id: str, name: str = "cache") -> int:
    """Return the number of a new block storage."""
    reply = caller.post(f"{ROOT}/blk-storages", {"blockStorageNm": name, "projectId": project_id, "size": 10})
    assert reply.status == 201, reply.body
    return int(reply.json["blockStorageNo"])


def row_of(service: Service, caller: Caller, project_id: str, name: str | int) -> RunRow:
    """Return a run as the database has it."""
    with service.database.read() as connection:
        return run_pages.get(connection, caller.account_id, project_id, int(name))


def move_run(service: Service, caller: Caller, project_id: str, name: str | int, *states: RunState, **columns: Any) -> None:
    """Walk a run through states, as the reconciler does; columns go with the last."""
    id = row_of(service, caller, project_id, name).id
    with service.database.write() as tx:
        for number, state in enumerate(states, 1):
            run = runs.get(tx, id)
            assert runs.advance(tx, id, run.state, state, **(columns if number == len(states) else {}))


def make_nsml(service: Service, caller: Caller) -> dict[str, str]:
    """Return the path parameters that name one of everything of an account in ``/nsml/v1``."""
    project_id = make_project(caller)
    caller("PUT", f"{ROOT}/projects/{project_id}/code/{CODE_DIGEST}", CODE)
    caller("PUT", f"{ROOT}/projects/{project_id}/files/a.txt", b"mine")
    key = caller.post(f"{ROOT}/auth-keys", {"title": "laptop", "key": KEY}).json
    caller.post(f"{ROOT}/images/secret", {"privateEp": EP, "accessKey": "a", "secretKey": "0123456789abcdef"})
    return {
        "projectId": project_id,
        "runName": make_run(caller, project_id),
        "title": key["title"],
        "keyName": key["name"],
        "privateEp": EP,
        "blockStorageNo": str(make_volume(caller, project_id)),
        "sha256": CODE_DIGEST,
        "path": "a.txt",
        "node": "0",
    }
