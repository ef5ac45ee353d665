"""Query strings of the API: fields, limits and descriptions."""

from typing import Annotated, Any, Literal

import msgspec

from footfall.contract.nsml import OURS
from footfall.contract.runs import RunStatus, RunType

MAX_OBJECTS = 1000
MAX_FILES = 1000
MAX_JOB_LOG_BYTES = 1 << 20
MAX_LOG_BYTES, LOG_PAGE_BYTES = 8 << 20, 1 << 20
MAX_TAIL = 1_000_000
MAX_GREP = 1024
MAX_POINTS = 100_000
MAX_KEYS = 1_000
_MAX_INDEX = (1 << 63) - 1
_MAX_CODE = (1 << 31) - 1
_MAX_SECONDS = 10**10
_MAX_OFFSET = 1 << 53
"""Up to here every reader of JSON and every JavaScript agrees on an integer."""
_Switch = Literal["true", "false"]


def _meta(description: str, **limits: Any) -> msgspec.Meta:
    return msgspec.Meta(description=description, **limits)


def _ours(description: str, **limits: Any) -> msgspec.Meta:
    return _meta(description, extra_json_schema=OURS, **limits)


class ResourcePage(msgspec.Struct):
    """A page of a list of ``/api/v1``."""

    index: Annotated[int, _meta("Offset of the first row.", ge=0, le=_MAX_INDEX)] = 0
    limit: Annotated[int, _meta("How many rows.", ge=1, le=100)] = 20


class JobLogQuery(msgspec.Struct):
    """A piece of the log of a job."""

    offset: Annotated[int, _meta("First byte.", ge=0, le=_MAX_INDEX)] = 0
    limit: Annotated[int, _meta("How many bytes.", ge=1, le=MAX_JOB_LOG_BYTES)] = MAX_JOB_LOG_BYTES


class ObjectsQuery(msgspec.Struct):
    """A page of the objects of a bucket."""

    prefix: Annotated[str, _meta("Only keys that begin so.")] = ""
    after: Annotated[str, _meta("Only keys behind this one.")] = ""
    limit: Annotated[int, _meta("How many.", ge=1, le=MAX_OBJECTS)] = MAX_OBJECTS


class Page(msgspec.Struct, rename="camel"):
    """A page of a list of ``/nsml/v1``."""

    page: Annotated[int, _meta("Page, from 1; 0 is read as 1.", ge=0)] = 1
    page_size: Annotated[int, _meta("How many on a page.", ge=1, le=100)] = 10


class ProjectQuery(msgspec.Struct, rename="camel"):
    """Which projects are seen."""

    internal: Annotated[_Switch, _ours("Also the project that holds the runs of features and tasks.")] = "false"


class ProjectsQuery(Page, rename="camel"):
    """A page of projects."""

    internal: Annotated[_Switch, _ours("Also the project that holds the runs of features and tasks.")] = "false"


class RunsQuery(Page, rename="camel"):
    """A page of runs, of all or of some."""

    status: Annotated[RunStatus, _ours("Only runs in this state.")] | None = None
    run_type: Annotated[RunType, _ours("Only runs of this type.")] | None = None
    details: Annotated[_Switch, _ours("Also show command, note, product, times, reason and exit code of each.")] = "false"
    command: Annotated[str, _ours("Only runs whose command holds this text.", max_length=MAX_GREP)] = ""
    note: Annotated[str, _ours("Only runs whose note holds this text.", max_length=MAX_GREP)] = ""
    gpu_svr_code: Annotated[int, _ours("Only runs of this product.", ge=0, le=_MAX_CODE)] | None = None
    creator: Annotated[str, _ours("Only runs of this creator, as they show it: ncp-user-1.", max_length=40)] = ""
    reason: Annotated[str, _ours("Only runs that failed for this reason, one word.", max_length=40)] = ""
    min_seconds: (
        Annotated[int, _ours("Only runs that took at least so long since they started.", ge=0, le=_MAX_SECONDS)] | None
    ) = None
    max_seconds: Annotated[int, _ours("Only runs that took at most so long.", ge=0, le=_MAX_SECONDS)] | None = None


class FilesQuery(msgspec.Struct):
    """A page of the files of a project's storage."""

    path: Annotated[str, _ours("Only files below this directory.")] = ""
    after: Annotated[str, _ours("Only files behind this path.")] = ""
    limit: Annotated[int, _ours("How many.", ge=1, le=MAX_FILES)] = MAX_FILES


class RegistryQuery(msgspec.Struct, rename="camel"):
    """Which image repository."""

    private_ep: Annotated[str, _meta("Host of the image repository.")]


class LogQuery(msgspec.Struct):
    """A piece of the log of a node, or its stream."""

    node: Annotated[int, _ours("Rank of the node.", ge=0)] = 0
    offset: Annotated[int, _ours("First byte, counted through all attempts.", ge=0, le=_MAX_OFFSET)] | None = None
    tail: Annotated[int, _ours("Instead of offset: begin with so many of the last lines.", ge=0, le=MAX_TAIL)] | None = None
    since: (
        Annotated[str, _ours("Instead of offset: begin with what was written since; seconds since 1970 or a UTC time.")] | None
    ) = None
    limit: Annotated[int, _ours("Most bytes of the answer.", ge=1, le=MAX_LOG_BYTES)] = LOG_PAGE_BYTES
    grep: Annotated[str, _ours("Only lines that hold this text.", max_length=MAX_GREP)] = ""
    follow: Annotated[_Switch, _ours("Stream until the run has ended.")] = "false"


class MetricsQuery(msgspec.Struct, rename="camel"):
    """Which curves of a run, and how fine."""

    keys: Annotated[
        str, _ours("Only these keys, with commas between; write `\\,` for a comma within a key, and `\\\\` for a backslash.")
    ] = ""
    max_points: Annotated[
        int,
        _ours(
            "Thin each curve to so many points, keeping minima and maxima; to fewer where all curves would have over 1,000,000.",
            ge=4,
            le=MAX_POINTS,
        ),
    ] = 1000
