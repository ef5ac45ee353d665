"""The variables that the command of a node sees: none of the server's but where programs and texts are found.

Source: the in-node contract, D1 and D4 rows 1 to 3 and 8: the user's variables win over everything but the names that begin
with ``NSML_`` and the two that name GPUs; RANK, WORLD_SIZE and LOCAL_RANK count processes and belong to torchrun.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from footfall.contract.nodes import NodeSpec
    from footfall.runner.launch import Launch

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STUDY = "default"
"""The grouping between project and run that programs of the platform know and we do not have."""


class Endpoints:
    """Where a command reaches its runner; the paths cannot be guessed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.metrics = f"/{os.urandom(16).hex()}/metrics"
        self.metadata = f"/{os.urandom(16).hex()}"
        self.secret = os.urandom(24).hex()

    def variables(self) -> dict[str, str]:
        """Return the variables that hold them for a command."""
        base = f"http://127.0.0.1:{self.port}"
        return {
            "NSML_METRIC_API": base + self.metrics,
            "NSML_RUN_METADATA_API": base + self.metadata,
            "NSML_RUN_SECRET": self.secret,
        }


def command_environment(spec: NodeSpec, scratch: str) -> dict[str, str]:
    """Return the whole environment of one of our own commands.

    Spinning threads cost many times their worth beside a busy neighbour, so OpenMP waits passively unless the run sets it.
    """
    base = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": scratch,
        "TMPDIR": scratch,
        "NUMBA_NUM_THREADS": str(spec["n_cores"]),
        **_defaults(spec),
    }
    own = {
        **_markers(spec),
        "NSML_RUN": spec["run_id"],
        "NSML_SESSION": str(spec["attempt"]),
        "NSML_RANK": str(spec["rank"]),
        "NSML_WORLD_SIZE": str(spec["n_nodes"]),
    }
    return base | dict(spec["environment"]) | own | _job_cache(spec)


def workload_environment(
    launch: Launch,
    endpoints: Endpoints,
    *,
    path: str,
    packages: str,
    shell: str,
    image_variables: Mapping[str, str],
    home: str,
    temporary: str,
    hosts: Sequence[str],
    port: int,
) -> dict[str, str]:
    """Return the whole environment of a user's command.

    Args:
        path: directories of programs that the image adds, or an empty text.
        packages: where the command's own Python packages are found, besides where its own PYTHONPATH leads; or an empty text.
        shell: the image's.
        image_variables: what the image sets; everything else wins over it.
        hosts: the address of each node, by rank.
        port: of the nodes' rendezvous.
    """
    spec = launch.spec
    base = {
        "PATH": f"{path}:{_SYSTEM_PATH}" if path else _SYSTEM_PATH,
        "HOME": home,
        "TMPDIR": temporary,
        "USER": "user",
        "LOGNAME": "user",
        "SHELL": shell,
        **_defaults(spec),
        **_launcher_variables(spec, hosts, port),
    }
    assert launch.workload is not None
    project_dir = launch.workload["project_dir"]
    everywhere = launch.isolation.get("environment", {}) if launch.isolation is not None else {}
    everywhere = {name: value.replace("$NSML_PRJ_DIR", project_dir) for name, value in everywhere.items()}
    requested = everywhere | dict(spec["environment"]) | launch.secrets
    if packages:
        requested["PYTHONPATH"] = ":".join(filter(None, (requested.get("PYTHONPATH"), packages)))
    return (
        {**image_variables, **base}
        | requested
        | _platform_variables(launch, hosts)
        | endpoints.variables()
        | _gpus(spec)
        | _markers(spec)
    )


def _defaults(spec: NodeSpec) -> dict[str, str]:
    return {
        "LANG": "C.UTF-8",
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "OMP_NUM_THREADS": str(spec["n_cores"]),
        "PYTHONUNBUFFERED": "1",
    }


def _markers(spec: NodeSpec) -> dict[str, str]:
    return {"FOOTFALL_RUN_ID": spec["run_id"], "FOOTFALL_RUN_MARKER": spec["marker"]}


def _launcher_variables(spec: NodeSpec, hosts: Sequence[str], port: int) -> dict[str, str]:
    """Return what today's launchers read, and torch's own names of the same.

    torchrun takes two nodes of one host name for one, unless each says its address.
    """
    n_processes = str(max(1, spec["n_gpus"]))
    values = {
        "MASTER_ADDR": hosts[0],
        "MASTER_PORT": str(port),
        "NODE_RANK": str(spec["rank"]),
        "NNODES": str(spec["n_nodes"]),
        "NPROC_PER_NODE": n_processes,
    }
    own = {"PET_LOCAL_ADDR": hosts[spec["rank"]]} if len(hosts) > 1 else {}
    return values | {f"PET_{name}": value for name, value in values.items()} | own


def _platform_variables(launch: Launch, hosts: Sequence[str]) -> dict[str, str]:
    spec, work = launch.spec, launch.workload
    assert work is not None
    volumes = {volume["number"]: volume["path"] for volume in work["volumes"]}
    values = {
        "NSML_PROJECT": work["project_name"],
        "NSML_STUDY": STUDY,
        "NSML_RUN": work["run_name"],
        "NSML_RUN_NAME": f"{work['project_name']}/{STUDY}/{work['run_name']}",
        "NSML_SESSION": str(spec["attempt"]),
        "NSML_WORLD_SIZE": str(spec["n_nodes"]),
        "NSML_RANK": str(spec["rank"]),
        "NSML_GPU_COUNT": str(spec["n_gpus"]),
        "NSML_PRJ_DIR": work["project_dir"],
        "NSML_OUTPUT_DIR": spec["output_dir"],
        "NSML_BLOCK_STORAGE_DIR": volumes_dir(volumes),
    }
    values |= {f"NSML_HOST_RANK{rank}": host for rank, host in enumerate(hosts)}
    values |= {f"NSML_BLOCK_STORAGE_DIR_{number}": path for number, path in volumes.items() if len(volumes) > 1}
    if work["authorized_keys"]:
        values["NSML_AUTHORIZED_KEYS"] = work["authorized_keys"]
    return {name: value for name, value in values.items() if value or name != "NSML_BLOCK_STORAGE_DIR"}


def volumes_dir(volumes: Mapping[int, str]) -> str:
    """Return the directory of a run's only block storage, the one that holds several, or an empty text."""
    if len(volumes) < 2:
        return next(iter(volumes.values()), "")
    return os.path.commonpath(list(volumes.values()))


def _gpus(spec: NodeSpec) -> dict[str, str]:
    """Name the node's GPUs to programs; a node without any sees none, whatever the machine has."""
    ids = ",".join(spec["share"]["gpus"])
    return {"CUDA_VISIBLE_DEVICES": ids, "NVIDIA_VISIBLE_DEVICES": ids or "void"}


def _job_cache(spec: NodeSpec) -> dict[str, str]:
    """Where numba keeps what it compiled when the installation cannot be written: in the data directory, so that it lasts."""
    code = os.path.join(os.path.dirname(os.path.dirname(__file__)), "modeling")
    if not spec["is_job"] or os.access(code, os.W_OK):
        return {}
    return {"NUMBA_CACHE_DIR": os.path.join(os.path.dirname(spec["wake"]), "cache", "numba")}
