"""What passes between the server, the runner of a node, and the job that it may run: the layout of their JSON.

Typed dictionaries, so that a runner, which must start within milliseconds, needs this file for its type check only. Who writes
what: ``spec.json`` and the launch the executor, everything else the runner or, through its pipe, the job.
"""

from typing import Any, TypedDict


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
