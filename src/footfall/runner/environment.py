"""The variables that the command of a node sees: none of the server's but where programs and texts are found."""

import os
from typing import Any


def node_environment(spec: dict[str, Any], scratch: str) -> dict[str, str]:
    """Return the whole environment of a node's command.

    Spinning threads cost many times their worth beside a busy neighbour, so OpenMP waits passively unless the run says else.
    """
    cores = str(spec["n_cores"])
    base = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": scratch,
        "TMPDIR": scratch,
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "OMP_NUM_THREADS": cores,
        "NUMBA_NUM_THREADS": cores,
        "PYTHONUNBUFFERED": "1",
    }
    ours = {
        "FOOTFALL_RUN_ID": spec["run_id"],
        "FOOTFALL_RUN_MARKER": spec["marker"],
        "NSML_RUN": spec["run_id"],
        "NSML_SESSION": str(spec["attempt"]),
        "NSML_RANK": str(spec["rank"]),
        "NSML_WORLD_SIZE": str(spec["n_nodes"]),
    }
    return base | dict(spec["environment"]) | ours | _cache_of_jobs(spec)


def _cache_of_jobs(spec: dict[str, Any]) -> dict[str, str]:
    """Where numba keeps what it compiled when the installation cannot be written: in the data directory, so that it lasts."""
    code = os.path.join(os.path.dirname(os.path.dirname(__file__)), "modeling")
    if not spec["is_job"] or os.access(code, os.W_OK):
        return {}
    return {"NUMBA_CACHE_DIR": os.path.join(os.path.dirname(spec["wake"]), "cache", "numba")}
