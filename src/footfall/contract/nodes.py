"""What passes between the server, the runner of a node, and the job that it may run: the layout of their JSON.

Typed dictionaries, so that a runner, which must start within milliseconds, needs this file for its type check only. The
executor writes the launch, of which ``spec.json`` is a part; the runner, or its job through a pipe, writes everything else.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict


class Progress(TypedDict):
    """How far a stage of a job is."""

    stage: str
    done: int
    total: int


class Refusal(TypedDict):
    """Why a command was not started, or why a job gave up: a ``FailureReason``, a sentence, a name of the contract."""

    reason: str
    details: str
    name: str | None


class JobReport(TypedDict, total=False):
    """A line that a job writes into its pipe: one of these."""

    progress: Progress
    refusal: Refusal
    result: dict[str, Any]


class JobFile(TypedDict):
    """The private file of a job: its parameters (``contract/jobs.py``) and where the stores are, keys included."""

    job: dict[str, Any]
    attempt: int
    buckets: dict[str, Any]
    internal: dict[str, Any]


class ImageSpec(TypedDict):
    """The image of a command; see ``records.Image``."""

    name: str
    kind: str
    path: str


class VolumeSpec(TypedDict):
    """A block storage and its directory on the host."""

    number: int
    path: str


class WorkloadSpec(TypedDict):
    """A command of a user; see ``records.Workload``."""

    script: str | None
    image: ImageSpec
    project_id: str
    project_name: str
    run_name: str
    project_dir: str
    volumes: Sequence[VolumeSpec]
    code_digest: str
    code: str
    code_limit_bytes: int
    output_limit_bytes: int
    scratch_limit_bytes: int
    max_processes: int
    log_limit_action: str
    start_timeout_s: float
    network: str
    authorized_keys: str


class ShareSpec(TypedDict):
    """What a node was given: cores as the executor counts them and as the machine does, and ids of GPUs."""

    cores: Sequence[int]
    cpus: Sequence[int]
    gpus: Sequence[str]


class NodeSpec(TypedDict):
    """``spec.json``: what one node of one attempt executes; see ``records.RunSpec``. ``workload`` is None for a job of ours.

    ``marker`` is in the environment of all processes of the attempt; ``wake`` is the pipe on which the server waits.
    """

    run_id: str
    attempt: int
    rank: int
    marker: str
    wake: str
    is_job: bool
    share: ShareSpec
    port: int | None
    output_dir: str
    command: Sequence[str]
    n_nodes: int
    n_cores: int
    memory_mib: int
    n_gpus: int
    gpu_model: str
    environment: Mapping[str, str]
    job: Mapping[str, Any] | None
    timeout_s: float | None
    grace_s: float
    max_attempts: int
    log_limit_bytes: int
    workload: WorkloadSpec | None


class EngineAccess(TypedDict):
    """``programs``: the path of each container engine that works, by name; ``environment``: the variables of these programs."""

    programs: dict[str, str]
    environment: dict[str, str]


class WayOutSpec(TypedDict):
    """How runs with a network of their own reach others: by which program, which networks they never reach, which they do."""

    program: str
    denied: list[str]
    allowed: list[str]


class IsolationSpec(TypedDict):
    """How commands are isolated on this machine, as the runner's probe found out.

    ``uid``: the user that commands become, None for the server's own; ``tools``: programs of the host that a sandbox needs.
    """

    level: str
    why: str
    refusal: str
    uid: int | None
    prefix: str
    base_prefix: str
    hidden: list[str]
    setpriv: str
    tools: dict[str, str]
    bwrap: str
    pids_cgroup: str
    environment: NotRequired[dict[str, str]]
    """Variables of every command."""
    data: NotRequired[list[str]]
    """Directories of the machine that every command may read."""
    engines: NotRequired[EngineAccess]
    """Only where the image is one of an engine."""
    way_out: NotRequired[WayOutSpec]
    """Where one can be made."""


class ProbeRequest(TypedDict):
    """What the server asks a runner's probe: which levels of isolation to try, below which directory, with which programs."""

    levels: list[str]
    root: str
    bubblewraps: list[str]
    common: IsolationSpec
    way_out: WayOutSpec


class ProbeAnswer(TypedDict):
    """The best level that works, and why no better one does; why no run's own network can have a way out, empty if it can."""

    level: str
    why: str
    no_way_out: str
    details: IsolationSpec


class LaunchContent(TypedDict):
    """What a runner gets on a descriptor. ``isolation`` and ``metric_port`` are of users' commands."""

    spec: NodeSpec
    secrets: dict[str, str]
    isolation: IsolationSpec | None
    metric_port: int | None


class Started(TypedDict):
    """``started.json``: when the command started, in seconds since 1970, and what could not be enforced."""

    started_at: float
    message: str | None


class Rescheduled(TypedDict):
    """``rescheduled.json``: whether the command asks for another attempt."""

    rescheduled: bool


class NodeAddress(TypedDict):
    """``address.json``: where the nodes of a run find this one; ``is_ready``: its command could start."""

    host: str
    port: int
    pid: int
    is_ready: bool


class FinalStatus(TypedDict):
    """``status.json``: how a node ended. ``exit_code``: -n for signal n, None when the command never ended by itself.

    ``reason`` is a ``FailureReason`` or ``stopped``; None: it completed.
    """

    exit_code: int | None
    reason: str | None
    name: str | None
    details: str | None
    result: NotRequired[dict[str, Any] | None]
    started_at: float | None
    ended_at: NotRequired[float]
    rescheduled: NotRequired[bool]
    message: NotRequired[str | None]
    dropped_points: NotRequired[int]


class ExecRequest(TypedDict):
    """What a client of the exec server asks for: a program, none for a shell, and the terminal it is to get."""

    argv: list[str]
    rows: int
    columns: int
    term: str


class ExecReply(TypedDict, total=False):
    """What it is answered: ``started`` or ``error``, and at the end the exit code."""

    started: bool
    error: str
    exit_code: int


def shell_exit_code(exit_code: int) -> int:
    """Return an exit code as shells show it: 128 + n for signal n."""
    return exit_code if exit_code >= 0 else 128 - exit_code
