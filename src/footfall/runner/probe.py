"""Find out how commands can be kept apart on this machine, by starting one at each level and looking at what it can do.

Reads a request of the server as JSON from standard input and writes the answer to standard output. The commands are set
up and started by the same code and with the same arguments as a run's.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import sys
import tempfile
import time

from footfall.runner.errors import LaunchError
from footfall.runner.files import NodeFiles
from footfall.runner.launch import Launch
from footfall.runner.process import tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from footfall.contract.nodes import IsolationSpec, LaunchContent, NodeSpec, ProbeAnswer, ProbeRequest, WorkloadSpec

TIMEOUT_S = 20.0
_SCRIPT = """
while read -r name value; do case $name in Uid:|CapEff:|NoNewPrivs:) echo "$name" $value;; esac; done < /proc/self/status
read -r text < "$PROBE_SECRET" && echo "Secret: seen"
echo x > "$NSML_OUTPUT_DIR/x" && echo "Output: written"
echo "Value: $PROBE_VALUE"
"""


def probe() -> int:
    """Answer one question of the server; return the exit code."""
    request: ProbeRequest = json.load(sys.stdin)
    why: list[str] = []
    for level in request["levels"]:
        for details in _candidates(level, request):
            trouble = _try(details, request["root"])
            if trouble is None:
                return _answer(details, why)
            why.append(f"{level}: {trouble}")
    return _answer({**request["common"], "level": "none"}, why)


def _answer(details: IsolationSpec, why: list[str]) -> int:
    from footfall.runner.sandbox.cgroup import find_base

    details = {**details, "why": " ".join(why), "pids_cgroup": find_base()}
    content: ProbeAnswer = {"level": details["level"], "why": details["why"], "details": details}
    sys.stdout.write(json.dumps(content))
    return 0


def _candidates(level: str, request: ProbeRequest) -> list[IsolationSpec]:
    common: IsolationSpec = {**request["common"], "level": level}
    if level == "bubblewrap":
        return [{**common, "bwrap": path} for path in request["bubblewraps"]] or [common]
    return [common]


def _try(details: IsolationSpec, root: str) -> str | None:
    """Return why a level does not work, or None when it does."""
    if details["level"] == "plain":
        return None
    if details["level"] == "bubblewrap" and not details["bwrap"]:
        return "there is no program bwrap."
    if details["level"] == "bubblewrap" and details["uid"] is not None and not details["setpriv"]:
        return "there is no program setpriv (Debian: util-linux)."
    if details["level"] == "landlock":
        from footfall.runner.sandbox.landlock import NEEDED_ABI, find_abi

        if find_abi() < NEEDED_ABI:
            return f"the kernel offers version {find_abi()} of Landlock, {NEEDED_ABI} is needed."
    directory = tempfile.mkdtemp(prefix="probe-", dir=root)
    os.chmod(directory, 0o711)
    try:
        return _run(details, directory)
    except (OSError, LaunchError) as error:
        return f"{error}."
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(details: IsolationSpec, directory: str) -> str | None:
    from footfall.runner.user_command import UserCommand

    secret = os.path.join(directory, "secret")
    with open(secret, "w", encoding="utf-8") as file:
        file.write("secret\n")
    os.chmod(secret, 0o600)
    node, project = os.path.join(directory, "node"), os.path.join(directory, "project")
    files = NodeFiles(node, 1 << 20)
    os.mkdir(node, 0o711)
    for path in (files.scratch, project):
        os.mkdir(path, 0o700)
    command = UserCommand(Launch(_launch(details, directory, project, secret)), files)
    try:
        command.prepare(time.sleep)
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        pid = command.start(write_end, ["127.0.0.1"], 0)
        os.close(write_end)
        output = _read_all(read_end, pid)
        _, status = os.waitpid(pid, 0)
    finally:
        command.release()
    return _judge(output, status, details["uid"])


def _launch(details: IsolationSpec, directory: str, project: str, secret: str) -> LaunchContent:
    work: WorkloadSpec = {
        "script": _SCRIPT, "image": {"name": "host", "kind": "host", "path": ""}, "project_id": "", "project_name": "probe",
        "run_name": "0", "project_dir": project, "volumes": [], "code": "", "code_digest": "", "code_limit_bytes": 0,
        "max_processes": 4096, "output_limit_bytes": 1 << 30, "scratch_limit_bytes": 1 << 30,
        "log_limit_action": "drop", "start_timeout_s": TIMEOUT_S,
        "network": "host", "authorized_keys": "",
    }  # fmt: skip
    spec: NodeSpec = {
        "workload": work, "is_job": False, "job": None, "command": (), "n_nodes": 1, "n_cores": 1, "n_gpus": 0, "gpu_model": "",
        "memory_mib": 1024, "environment": {"PROBE_SECRET": secret, "LD_PROBE": "1"}, "run_id": "probe",
        "marker": "probe.0", "attempt": 0, "rank": 0, "port": 0, "share": {"cores": [], "cpus": [], "gpus": []}, "wake": "",
        "output_dir": os.path.join(directory, "output"), "timeout_s": TIMEOUT_S, "grace_s": 0.0, "max_attempts": 1,
        "log_limit_bytes": 1 << 20,
    }  # fmt: skip
    return {"spec": spec, "secrets": {"PROBE_VALUE": "it's here"}, "isolation": details, "metric_port": 0}


def _read_all(read_end: int, pid: int) -> str:
    output = b""
    deadline = time.monotonic() + TIMEOUT_S
    try:
        while select.select([read_end], [], [], max(0.0, deadline - time.monotonic()))[0]:
            data = os.read(read_end, 1 << 16)
            if not data:
                return output.decode("utf-8", "replace")
            output += data
    finally:
        os.close(read_end)
    tree.signal_all([pid], tree.SIGKILL)
    return "it did not end in time"


def _judge(output: str, status: int, uid: int | None) -> str | None:
    lines = dict(line.split(": ", 1) for line in output.splitlines() if ": " in line)
    expected_uid = os.geteuid() if uid is None else uid
    if status:
        return f"a command could not be started ({' '.join(output.split())[-300:] or _as_user(uid)})."
    if lines.get("Uid", "").split()[:1] != [str(expected_uid)]:
        return f"a command ran as another user than {expected_uid}."
    if lines.get("CapEff", "").strip("0") or lines.get("NoNewPrivs") != "1":
        return "a command kept rights."
    if "Secret" in lines:
        return "a command could read the server's files."
    if lines.get("Output") != "written" or lines.get("Value") != "it's here":
        return f"a command could not write its own files ({_as_user(uid)})."
    return None


def _as_user(uid: int | None) -> str:
    return "as ourselves" if uid is None else f"as user {uid}, who must be able to pass through every directory above it"
