"""A client written for CLOVA NSML, with nothing but Python's own library: docs/howto/nsml-clients.md runs it.

    FOOTFALL_ENDPOINT=… FOOTFALL_ACCESS_KEY=… FOOTFALL_SECRET_KEY=… FOOTFALL_API_KEY=… python examples/nsml_client.py

It knows the documented operations alone, and asks for the image by the name that the documentation shows.
"""

import base64
import hashlib
import hmac
import json
import os
import time
import urllib.request
from typing import Any

ENDPOINT = os.environ["FOOTFALL_ENDPOINT"]
IMAGE = os.environ.get("IMAGE", "nvcr.io/nvidia/tensorflow:21.02-tf1-py3")


def ask(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Send one signed request and return the JSON of its answer."""
    target, stamp, key = f"/nsml/v1{path}", str(int(time.time() * 1000)), os.environ["FOOTFALL_ACCESS_KEY"]
    text = f"{method} {target}\n{stamp}\n{key}".encode()
    digest = hmac.new(os.environ["FOOTFALL_SECRET_KEY"].encode(), text, hashlib.sha256).digest()
    headers = {
        "x-ncp-apigw-timestamp": stamp,
        "x-ncp-iam-access-key": key,
        "x-ncp-apigw-signature-v2": base64.b64encode(digest).decode(),
        "x-ncp-apigw-api-key": os.environ["FOOTFALL_API_KEY"],
        "Content-Type": "application/json",
    }
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(ENDPOINT + target, content, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or b"null")


def main() -> None:
    """Make a project, run a command in it, wait for its end, and delete the project."""
    ask("POST", "/projects", {"projectName": "project", "nasVolumeSize": 500, "note": "description"})
    listed = ask("GET", "/projects?page=0&pagesize=1")["projects"]
    project = listed[0]["projectId"]
    request = {
        "command": "echo learning rate $ir, weight decay $(printenv weight-decay)",
        "env": {"ir": 0.01, "weight-decay": 0.001},
        "gpuSvrCode": 1,
        "imagePath": IMAGE,
        "imageType": "BASE",
        "nodeCount": 1,
    }
    ask("POST", f"/projects/{project}/runs", request)
    while True:
        run = ask("GET", f"/projects/{project}/runs/1")
        if run["status"] not in ("RUN_STATE_REGISTERED", "RUN_STATE_PENDING", "RUN_STATE_IN_PROGRESS"):
            break
        time.sleep(0.2)
    print(json.dumps({name: run[name] for name in ("runName", "projectName", "status", "imagePath", "envs")}, indent=2))
    nodes = ask("GET", f"/projects/{project}/runs/1/nodes")["nodes"]
    print("exit codes of its nodes:", [node["exitCode"] for node in nodes])
    ask("DELETE", f"/projects/{project}")


if __name__ == "__main__":
    main()
