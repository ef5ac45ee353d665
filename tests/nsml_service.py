"""Projects, runs and what belongs to them, made over HTTP for the tests of ``/nsml/v1``."""

from typing import Any

from service import Caller, Service

ROOT = "/nsml/v1"


def make_project(caller: Caller, name: str = "vision", **fields: Any) -> str:
    """Return the id of a new project."""
    reply = caller.post(f"{ROOT}/projects", {"projectName": name, "nasVolumeSize": 500, **fields})
    assert reply.status == 201, reply.body
    return str(reply.json["projectId"])


def make_nsml(service: Service, caller: Caller) -> dict[str, str]:
    """Return the path parameters that name one of everything of an account in ``/nsml/v1``."""
    return {"projectId": make_project(caller)}
