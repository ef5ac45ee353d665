"""Find out how commands can be kept apart on this machine, by starting one at each level and looking at what it can do.

Reads a request of the server as JSON from standard input and writes the answer to standard output. The commands are set
up and started by the same code and with the same arguments as a run's. Each makes the attempts of ``attempts.py``, whose victim
is this process; a level at which one of them ends otherwise than the page on isolation promises does not work.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import sys
import tempfile
import time

from footfall.runner.errors import LaunchError
from footfall.runner.files import NodeFiles
from footfall.runner.launch import Launch
from footfall.runner.probing import attempts
from footfall.runner.process import tree
from footfall.runner.process.spawn import fork_python

TYPE_CHECKING = False
if TYPE_CHECKING:
    from footfall.contract.nodes import (
        IsolationSpec,
        LaunchContent,
        NodeSpec,
        ProbeAnswer,
        ProbeRequest,
        WayOutSpec,
        WorkloadSpec,
    )

TIMEOUT_S = 20.0
_SCRIPT = """
while read -r name value; do case $name in Uid:|CapEff:|NoNewPrivs:) echo "$name" $value;; esac; done < /proc/self/status
read -r text < "$PROBE_SECRET" && echo "Secret: seen"
echo x > "$NSML_OUTPUT_DIR/x" && echo "Output: written"
echo "Value: $PROBE_VALUE"
for python in "$PROBE_PYTHON" /usr/bin/python3 /usr/local/bin/python3; do
    [ -x "$python" ] && "$python" -I -S -c "$PROBE_ATTEMPTS" && echo "Attempts: made" && break
done
:
"""
_CREATE_NEW, _REMOVE = 0o3666, 0  # IPC_CREAT | IPC_EXCL | read and write for all; IPC_RMID


def probe() -> int:
    """Answer one question of the server; return the exit code."""
    request: ProbeRequest = json.load(sys.stdin)
    why: list[str] = []
    for level in request["levels"]:
        for details in _candidates(level, request):
            trouble, note = _try(details, request["root"])
            if trouble is None:
                return _answer(details, [*why, *filter(None, [note])], _try_way_out(request["way_out"], request["root"]))
            why.append(f"{level}: {trouble}")
    return _answer({**request["common"], "level": "none"}, why, "commands are not kept apart here.")


def _answer(details: IsolationSpec, why: list[str], no_way_out: str) -> int:
    from footfall.runner.sandbox.cgroup import find_base

    details = {**details, "why": " ".join(why), "pids_cgroup": find_base()}
    content: ProbeAnswer = {"level": details["level"], "why": details["why"], "no_way_out": no_way_out, "details": details}
    sys.stdout.write(json.dumps(content))
    return 0


def _candidates(level: str, request: ProbeRequest) -> list[IsolationSpec]:
    common: IsolationSpec = {**request["common"], "level": level}
    if level == "bubblewrap":
        return [{**common, "bwrap": path} for path in request["bubblewraps"]] or [common]
    return [common]


def _try(details: IsolationSpec, root: str) -> tuple[str | None, str]:
    """Return why a level does not work, or None when it does, and a sentence on what could not be tried."""
    if details["level"] == "plain":
        return None, ""
    if details["level"] == "bubblewrap" and not details["bwrap"]:
        return "there is no program bwrap.", ""
    if details["level"] == "bubblewrap" and details["uid"] is not None and not details["setpriv"]:
        return "there is no program setpriv (Debian: util-linux).", ""
    if details["level"] == "landlock":
        from footfall.runner.sandbox.landlock import NEEDED_ABI, find_abi

        if find_abi() < NEEDED_ABI:
            return f"the kernel offers version {find_abi()} of Landlock, {NEEDED_ABI} is needed.", ""
    directory = tempfile.mkdtemp(prefix="probe-", dir=root)
    os.chmod(directory, 0o711)
    try:
        return _run(details, directory)
    except (OSError, LaunchError) as error:
        return f"{error}.", ""
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _try_way_out(spec: WayOutSpec, root: str) -> str:
    """Return why no network with a way out can be made, or an empty text; a child makes one."""
    if not spec["program"]:
        return "there is no program slirp4netns (Debian: slirp4netns)."
    from footfall.runner.sandbox import way_out

    directory = tempfile.mkdtemp(prefix="probe-", dir=root)
    read_end, write_end = os.pipe2(os.O_CLOEXEC)

    def make() -> None:
        try:
            way_out.make(spec, os.path.join(directory, "pipe"))
            os.write(write_end, b"made")
        except (OSError, LaunchError) as error:
            os.write(write_end, str(error).encode("utf-8", "replace")[:2000])

    try:
        pid = fork_python(make, (write_end,))
        os.close(write_end)
        said = _read_all(read_end, pid)
        os.waitpid(pid, 0)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return "" if said == "made" else said or "a child that tried it ended."


def _run(details: IsolationSpec, directory: str) -> tuple[str | None, str]:
    from footfall.runner.user_command import UserCommand

    secret = os.path.join(directory, "secret")
    with open(secret, "w", encoding="utf-8") as file:
        file.write("secret\n")
    os.chmod(secret, 0o666)  # only the level keeps a command from it
    node, project = os.path.join(directory, "node"), os.path.join(directory, "project")
    files = NodeFiles(node, 1 << 20)
    os.mkdir(node, 0o711)
    for path in (files.scratch, project):
        os.mkdir(path, 0o700)
    with contextlib.ExitStack() as kept:
        environment = {"PROBE_SECRET": secret, "LD_PROBE": "1", **_lay_out(kept)}
        command = UserCommand(Launch(_launch(details, directory, project, environment)), files)
        kept.callback(command.release)
        command.prepare(time.sleep)
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        pid = command.start(write_end, ["127.0.0.1"], 0)
        os.close(write_end)
        output = _read_all(read_end, pid)
        _, status = os.waitpid(pid, 0)
    return _judge(output, status, details["uid"], details["level"])


def _lay_out(kept: contextlib.ExitStack) -> dict[str, str]:
    """Make what commands may not reach, kept as long as ``kept`` is; return the variables by which their attempts find it."""
    import ctypes

    directory = tempfile.mkdtemp(prefix="ff-probe-")  # short: the path of a socket may have 107 bytes
    kept.callback(shutil.rmtree, directory, ignore_errors=True)
    os.chmod(directory, 0o711)
    path, abstract = os.path.join(directory, "s"), f"footfall-probe-{os.getpid()}"
    for address in (path, f"\0{abstract}"):
        listener = kept.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(address)
        listener.listen()
    os.chmod(path, 0o600)
    libc, key = ctypes.CDLL(None), os.getpid() | 1 << 28
    segment = libc.shmget(key, ctypes.c_size_t(4096), _CREATE_NEW)
    kept.callback(libc.shmctl, segment, _REMOVE, None)
    shared = f"/dev/shm/{abstract}"
    if os.access("/dev/shm", os.W_OK):
        os.close(os.open(shared, os.O_CREAT | os.O_EXCL, 0o644))
        kept.callback(os.unlink, shared)
    with open(attempts.__file__, encoding="utf-8") as file:
        program = file.read()
    return {
        "PROBE_PID": str(os.getpid()), "PROBE_SOCKET": path, "PROBE_ABSTRACT": abstract, "PROBE_KEY": str(key),
        "PROBE_SHARED": shared, "PROBE_PYTHON": sys.executable, "PROBE_ATTEMPTS": program,
    }  # fmt: skip


def _launch(details: IsolationSpec, directory: str, project: str, environment: dict[str, str]) -> LaunchContent:
    work: WorkloadSpec = {
        "script": _SCRIPT, "image": {"name": "host", "kind": "host", "path": ""}, "project_id": "", "project_name": "probe",
        "run_name": "0", "project_dir": project, "volumes": [], "code": "", "code_digest": "", "code_limit_bytes": 0,
        "max_processes": 4096, "output_limit_bytes": 1 << 30, "scratch_limit_bytes": 1 << 30,
        "log_limit_action": "drop", "start_timeout_s": TIMEOUT_S,
        "network": "host", "authorized_keys": "",
    }  # fmt: skip
    spec: NodeSpec = {
        "workload": work, "is_job": False, "job": None, "command": (), "n_nodes": 1, "n_cores": 1, "n_gpus": 0, "gpu_model": "",
        "memory_mib": 1024, "environment": environment, "run_id": "probe",
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


def _judge(output: str, status: int, uid: int | None, level: str) -> tuple[str | None, str]:
    trouble = _judge_start(output, status, uid)
    if trouble is not None:
        return trouble, ""
    lines = dict(line.split(": ", 1) for line in output.splitlines() if ": " in line)
    if lines.get("Attempts") != "made":
        return None, f"Not tried, for no Python was found that the command may run: what {level} keeps a command from."
    wrong = []
    for number, (what, ends, _) in enumerate(attempts.ATTEMPTS):
        found, expected = lines.get(f"Attempt {number}", "ended the program"), ends[attempts.LEVELS.index(level)]
        if expected and found not in (expected, attempts.UNTRIED):
            wrong.append(f"{what} ({found}, not {expected})")
    return (f"a command was to try to {'; '.join(wrong)}." if wrong else None), ""


def _judge_start(output: str, status: int, uid: int | None) -> str | None:
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
