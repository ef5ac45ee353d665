"""Every key we write to the internal store, and the files of a run. Pure: knows names, not stores.

The internal store is one that no bucket name reaches. The attempt is part of each key, so that a runner that comes back
from the dead cannot speak for the next attempt.

::

    runs/{id}/{attempt}/nodes/{rank}/   spec.json private.json start started.json progress.json beat
                                        log.txt log.index runner.log scratch/ status.json
    features|tasks|encoders/{id}/{attempt}/…
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


def run_dir(run_id: str) -> str:
    """Return the prefix of everything of a run."""
    return f"runs/{run_id}"


def node_dir(run_id: str, attempt: int, rank: int) -> str:
    """Return the prefix of one node of one attempt of a run."""
    return f"runs/{run_id}/{attempt}/nodes/{rank}"


def artefact_dir(kind: str, id: str, attempt: int) -> str:
    """Return the prefix of what an attempt makes for a resource, e.g. ``features/{id}/0``."""
    return f"{kind}s/{id}/{attempt}"
