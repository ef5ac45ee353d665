"""What a job has: its parameters, the stores, a scratch directory, and a pipe to its runner.

The runner gives the path of a private file in ``FOOTFALL_JOB`` and a pipe in ``FOOTFALL_REPORT_FD``; what they hold:
``contract/nodes.py``. Knows no SQL and nothing of runs.
"""

import errno
import gc
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from footfall.contract.jobs import Job, JobStruct
from footfall.contract.nodes import JobFile, JobReport, Refusal
from footfall.errors import (
    BucketNotFoundError,
    DataError,
    FootfallError,
    InvalidFieldError,
    ObjectNotFoundError,
    StoreDeniedError,
    StoreError,
    StoreFullError,
)
from footfall.modeling.numba_start import load_compiler
from footfall.states import FailureReason
from footfall.stores.buckets import Buckets, open_store
from footfall.stores.names import StoreLocation
from footfall.stores.store import ObjectChangedError

P = TypeVar("P", bound=Job)
PROGRESS_S = 0.1


class ResultExistsError(FootfallError):
    """Other content is where the result should go; nothing was overwritten."""

    code = "result_exists"


class JobContext(Generic[P]):
    """What one job works with. ``scratch`` is an empty directory that is removed with the job."""

    def __init__(self, parameters: type[P], file: JobFile, report: Callable[[JobReport], None], scratch: Path) -> None:
        self.parameters = parameters.from_json(file["job"])
        self.attempt = file["attempt"]
        self.buckets = Buckets(StoreLocation(**file["buckets"]))
        self.internal = open_store(StoreLocation(**file["internal"]))
        self.scratch = scratch
        self._report = report
        self._stage = ""
        self._next_report = 0.0
        self._lock = threading.Lock()

    def progress(self, stage: str, done: int, total: int) -> None:
        """Report how far a stage is; cheap to call often, from any thread."""
        now = time.monotonic()
        with self._lock:
            if stage == self._stage and now < self._next_report and done < total:
                return
            if stage != self._stage:
                self.log(f"{stage} ({total:,})" if total else stage)
            self._stage, self._next_report = stage, now + PROGRESS_S
            self._report({"progress": {"stage": stage, "done": int(done), "total": int(total)}})

    def log(self, line: str) -> None:
        """Write a line with the time of day to the run's log."""
        sys.stdout.write(f"{time.strftime('%H:%M:%S', time.gmtime())} {line}\n")
        sys.stdout.flush()


def run_job(parameters: type[P], main: Callable[[JobContext[P]], JobStruct]) -> None:
    """Run a job's ``main`` and report its result, or why there is none; ends the process.

    The outermost frame of the jobs: whatever goes wrong becomes a reason, a name of the contract if it has one, and a sentence.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    fd = int(os.environ["FOOTFALL_REPORT_FD"])
    lock = threading.Lock()

    def report(message: JobReport) -> None:
        with lock:
            os.write(fd, json.dumps(message).encode() + b"\n")

    with open(os.environ["FOOTFALL_JOB"], encoding="utf-8") as file:
        context = JobContext(parameters, json.load(file), report, Path.cwd())
    load_compiler()
    gc.freeze()  # what was imported stays, so no collection need visit it
    try:
        result = main(context)
    except Exception as error:  # noqa: BLE001 - the outermost frame of the jobs
        refusal = explain(error)
        context.log(refusal["details"])
        if refusal["reason"] == FailureReason.COMMAND_FAILED:
            traceback.print_exc()
        report({"refusal": refusal})
        sys.exit(1)
    report({"result": result.to_json()})
    sys.exit(0)


def explain(error: Exception) -> Refusal:
    """Return what went wrong in a job."""
    if isinstance(error, DataError):
        return _refusal(FailureReason.BAD_INPUT, str(error), error.name)
    if is_no_space(error):
        return _refusal(FailureReason.NO_SPACE, f"No space was left ({error}). Free some and try again.")
    if isinstance(error, StoreError) and error.operation == "write" and not isinstance(error, StoreDeniedError):
        return _refusal(FailureReason.STORE_WRITE, str(error))
    arrow = sys.modules.get("pyarrow")  # a job that has not loaded it has no error of it
    if arrow is not None and isinstance(error, arrow.ArrowInvalid | arrow.ArrowCapacityError):
        sentence = f"The data cannot be read ({error}). If values are very long, shorten them; else write the files again."
        return _refusal(FailureReason.BAD_INPUT, sentence, "UNEXPECTED_TXT_FORMAT")
    for kind, reason, name in _REASONS:
        if isinstance(error, kind):
            return _refusal(reason, str(error), name)
    return _refusal(FailureReason.COMMAND_FAILED, f"Something of ours broke ({type(error).__name__}: {error}); the log has more.")


_REASONS: tuple[tuple[type[Exception], FailureReason, str | None], ...] = (
    (ResultExistsError, FailureReason.RESULT_EXISTS, None),
    (BucketNotFoundError, FailureReason.STORE_DENIED, None),
    (InvalidFieldError, FailureReason.STORE_DENIED, None),  # the key of a result that the store cannot hold
    (ObjectNotFoundError, FailureReason.BAD_INPUT, "NOT_EXIST_FILE"),
    (ObjectChangedError, FailureReason.INPUT_CHANGED, None),
    (StoreDeniedError, FailureReason.STORE_DENIED, None),
    (StoreError, FailureReason.STORE_READ, None),
    (MemoryError, FailureReason.OUT_OF_MEMORY, None),
)


def is_no_space(error: BaseException) -> bool:
    """Whether a full disk or quota is behind an error; libraries wrap it in errors of their own that hold it as text only."""
    if isinstance(error, StoreFullError):
        return True
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    if any(os.strerror(number) in str(error) for number in (errno.ENOSPC, errno.EDQUOT)):
        return True
    return error.__cause__ is not None and is_no_space(error.__cause__)


def _refusal(reason: FailureReason, details: str, name: str | None = None) -> Refusal:
    return {"reason": reason.value, "details": details[:4000], "name": name}
