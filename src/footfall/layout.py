"""The keys of the internal store and the file names of a run. Pure: knows names, not stores.

The internal store is one that no bucket name reaches. The attempt is part of each key, so that a runner that comes back
from the dead cannot speak for the next attempt.

::

    runs/{id}/{attempt}/nodes/{rank}/   spec.json private.json start started.json progress.json beat
                                        log.txt log.index runner.log scratch/ status.json
                                        address.json isolation.json metrics.dat metrics.keys metrics.json
                                        rescheduled.json enter.sock short-path
    runs/{id}/output/{rank}/            the artifacts of a user's command, kept through all attempts
    projects/{id}/nas/  projects/{id}/code/{sha256}.tar.gz  volumes/{no}/    below the data directory
    engine-images/{id}/  root/ config.json      engine-images/{id}.lock  {id}.draft    below the data directory
    features|tasks|encoders|shopping_intents/{id}/{attempt}/…
    task_runs|custom_attributes/{id}/0/result.json      what was published, until the run ends
"""

SPEC = "spec.json"
PRIVATE = "private.json"
START_MARKER = "start"
STATUS = "status.json"
STARTED = "started.json"
PROGRESS = "progress.json"
BEAT = "beat"
LOG = "log.txt"
LOG_INDEX = "log.index"
SCRATCH = "scratch"
RUNNER_LOG = "runner.log"
ADDRESS = "address.json"
WAY_OUT = "way-out"
ISOLATION = "isolation.json"
METRICS = "metrics.dat"
METRIC_KEYS = "metrics.keys"
METRIC_SUMMARY = "metrics.json"
RESCHEDULED = "rescheduled.json"
EXEC_SOCKET = "enter.sock"
SHORT_PATH = "short-path"
"""Holds the path of a link to the scratch directory whose own path is too long for sockets below it."""
PROFILE = "profile.tsv"
REPORT = "report.json"
FOUND = "found.json"

METRIC_POINT = "<IIddd"
"""A record of ``metrics.dat``, as ``struct`` writes it: key id, flags, step, time, value."""
METRIC_POINT_FIELDS = (("key", "<u4"), ("flags", "<u4"), ("step", "<f8"), ("at", "<f8"), ("value", "<f8"))
"""The same, as numpy reads it."""
METRIC_HAS_STEP, METRIC_IS_NON_FINITE, METRIC_IS_RESET = 1, 2, 4
METRIC_NO_KEY = 0xFFFF_FFFF
LOG_INDEX_ENTRY = "<QQ"
"""An entry of ``log.index``: unix seconds, byte offset in the attempt's log."""

ENGINE_IMAGES = "engine-images"
"""The directory of the unpacked images of container engines. A user of one holds a shared lock on its lock file."""

LAUNCH_FD = 3
"""The file descriptor on which an executor hands a runner its launch: nothing of it is ever a file."""
LISTENER_FD = 4
"""The listening socket on loopback that becomes the endpoints of a user's run."""


def run_dir(run_id: str) -> str:
    """Return the prefix of everything of a run."""
    return f"runs/{run_id}"


def node_dir(run_id: str, attempt: int, rank: int) -> str:
    """Return the prefix of one node of one attempt of a run."""
    return f"runs/{run_id}/{attempt}/nodes/{rank}"


def output_dir(run_id: str, rank: int) -> str:
    """Return the directory of the artifacts of one node of a run."""
    return f"runs/{run_id}/output/{rank}"


def project_dir(project_id: str) -> str:
    """Return the directory of everything of a project but its runs."""
    return f"projects/{project_id}"


def nas_dir(project_id: str) -> str:
    """Return the directory of a project's storage."""
    return f"projects/{project_id}/nas"


def code_path(project_id: str, digest: str) -> str:
    """Return the file of a code archive."""
    return f"projects/{project_id}/code/{digest}.tar.gz"


def volume_dir(number: int) -> str:
    """Return the directory of a block storage."""
    return f"volumes/{number}"


def artefact_dir(kind: str, id: str, attempt: int) -> str:
    """Return the prefix of what an attempt makes for a resource, e.g. ``features/{id}/0``."""
    return f"{kind}s/{id}/{attempt}"
