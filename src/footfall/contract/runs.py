"""The shapes of runs and their nodes in ``/nsml/v1``, in camelCase. ``OURS`` marks what CLOVA NSML does not document."""

from typing import Annotated, Any, Literal

import msgspec

from footfall.contract.nsml import OURS, Note, OurStamp, Stamp

RunStatus = Literal[
    "RUN_STATE_REGISTERED",
    "RUN_STATE_PENDING",
    "RUN_STATE_IN_PROGRESS",
    "RUN_STATE_COMPLETED",
    "RUN_STATE_FAILED",
    "RUN_STATE_CANCELLED",
]
RunType = Literal["NOTEBOOK", "TRAIN"]
NodeState = Literal["NODE_STATE_PENDING", "NODE_STATE_RUNNING", "NODE_STATE_ENDED", "NODE_STATE_LOST"]
ImageType = Literal["BASE", "CUSTOM"]
Value = str | int | float | bool
Variables = dict[str, Value]
MAX_ARTIFACTS = 10_000
"""How many artifacts of a run are listed."""

GIT_COMMIT = r"[0-9a-f]{40}([0-9a-f]{24})?"
_OUR = msgspec.Meta(extra_json_schema=OURS)


def _ours(description: str, **schema: Any) -> msgspec.Meta:
    return msgspec.Meta(description=description, extra_json_schema=OURS | schema)


class CurveBody(msgspec.Struct, rename="camel"):
    """The curve of one key of one node."""

    key: str
    node: int
    point_count: Annotated[int, msgspec.Meta(description="Points before they were thinned.")]
    points: Annotated[
        list[tuple[float, float, float]], msgspec.Meta(description="Step, value, unix seconds; in order of arrival.")
    ]


class SummaryBody(msgspec.Struct, rename="camel"):
    """What is known of a key over all nodes."""

    last: float | None
    min: float | None
    max: float | None
    count: int
    non_finite: Annotated[int, msgspec.Meta(description="Values that were NaN or infinite; they are on no curve.")]
    last_non_finite_step: float | None


class MetricsBody(msgspec.Struct, rename="camel"):
    """The metrics of a run."""

    series: list[CurveBody]
    summary: Annotated[
        dict[str, SummaryBody],
        msgspec.Meta(
            description="By key. Of more than 64 MiB of points, those count too that a reset of another node hides; "
            "the curves leave them out."
        ),
    ]
    dropped_points: Annotated[int, msgspec.Meta(description="Points that could not be kept: the disk was full.")]


class ArtifactBody(msgspec.Struct, rename="camel"):
    """A file that a node left in its output directory."""

    node: int
    path: str
    size_bytes: int
    modified_at: Stamp


class LeftOutBody(msgspec.Struct, rename="camel"):
    """What a node left that is not listed; in its path control characters are escaped."""

    node: int
    path: str
    reason: Annotated[str, msgspec.Meta(description="Why, in a few words.")]


class ArtifactList(msgspec.Struct, rename="camel"):
    """The artifacts of a run by node and path; a link within the output directory is listed as what it leads to."""

    artifacts: list[ArtifactBody]
    total_count: Annotated[int, msgspec.Meta(description=f"How many are listed: {MAX_ARTIFACTS:,} at most.")]
    unlisted_count: Annotated[int, msgspec.Meta(description="Names that are not UTF-8 or have control characters.")]
    left_out: Annotated[
        list[LeftOutBody], msgspec.Meta(description="What is there and cannot be fetched: 1,000 of a node at most.")
    ]


class NewRun(msgspec.Struct, rename="camel"):
    """What POST runs takes."""

    gpu_svr_code: Annotated[int, msgspec.Meta(description="Code of a server product.")]
    image_path: Annotated[str, msgspec.Meta(description="Path of a base or custom image.")]
    image_type: ImageType
    node_count: Annotated[int, msgspec.Meta(description="One of the product's nodeCounts.")]
    command: Annotated[
        str | None,
        msgspec.Meta(
            description="For a TRAIN product, at most 32,768 characters; left out for a DEV product.",
            extra_json_schema={"maxLength": 32_768},
        ),
    ] = None
    envs: Annotated[
        Variables | None,
        msgspec.Meta(description="Environment of the nodes. Values whose names sound secret are masked and encrypted."),
    ] = None
    env: Annotated[Variables | None, msgspec.Meta(description="The same as envs, as the sample has it; give one.")] = None
    note: Note = None
    block_storage_no_list: Annotated[
        list[int] | None, msgspec.Meta(description="Block storages of the project; one run at a time has one.")
    ] = None
    secret_envs: Annotated[list[str] | None, _ours("Names of envs to mask besides those that sound secret.")] = None
    code_digest: Annotated[str | None, _ours("SHA-256 of a code archive of the project.")] = None
    git_commit: Annotated[
        str | None,
        msgspec.Meta(
            description="The git commit of the code, in hexadecimal; NSML_GIT_COMMIT of the nodes.",
            extra_json_schema=OURS | {"pattern": GIT_COMMIT},
        ),
    ] = None
    git_modified: Annotated[
        bool | None, _ours("Whether the code differs from that commit; NSML_GIT_MODIFIED of the nodes: true or false.")
    ] = None
    timeout_seconds: Annotated[int | None, _ours("Wall-clock limit; a limit of the server holds too.", minimum=1)] = None
    priority: Annotated[int | None, _ours("Order among the runs of the project, higher first.", minimum=-100, maximum=100)] = None
    output_limit_bytes: Annotated[int | None, _ours("Limit of the output directory, below the server's.")] = None
    log_limit_bytes: Annotated[int | None, _ours("Limit of a node's log, below the server's.")] = None


class RunChanges(msgspec.Struct, rename="camel", frozen=True):
    """What a restarted run is asked for with instead; what is left out is as before."""

    gpu_svr_code: Annotated[int | None, _ours("Code of a server product.")] = None
    image_path: Annotated[str | None, _ours("Path of an image; imageType goes with it.")] = None
    image_type: Annotated[ImageType | None, _OUR] = None
    node_count: Annotated[int | None, _OUR] = None
    command: Annotated[str | None, _OUR] = None
    envs: Annotated[Variables | None, _ours("Variables besides those of before, or instead of some.")] = None
    secret_envs: Annotated[list[str] | None, _ours("Names of envs to mask, besides those of before.")] = None
    note: Annotated[str | None, _OUR] = None
    code_digest: Annotated[str | None, _ours("Another code archive; gitCommit and gitModified go with it.")] = None
    git_commit: Annotated[str | None, _OUR] = None
    git_modified: Annotated[bool | None, _OUR] = None
    priority: Annotated[int | None, _OUR] = None
    timeout_seconds: Annotated[int | None, _OUR] = None


class RunRequest(msgspec.Struct, rename="camel", frozen=True):
    """What a run was asked for with, as it is stored and shown: ``NewRun`` with the product's name, secret values masked."""

    command: str
    envs: Variables
    note: str
    image_type: ImageType
    image_path: str
    gpu_svr_code: int
    eng_full_name: str
    node_count: int
    block_storage_no_list: list[int]
    code_digest: str | None = None
    git_commit: str | None = None
    git_modified: bool | None = None
    timeout_seconds: int | None = None
    output_limit_bytes: int | None = None
    log_limit_bytes: int | None = None


_DETAIL = "Only with details=true."


class RunItem(msgspec.Struct, rename="camel"):
    """A run of a list."""

    run_name: str
    run_type: RunType
    project_id: str
    project_name: str
    status: RunStatus
    creator: str
    create_time: Stamp
    update_time: Stamp
    command: Annotated[str, _ours(_DETAIL)] | msgspec.UnsetType = msgspec.UNSET
    note: Annotated[str, _ours(_DETAIL)] | msgspec.UnsetType = msgspec.UNSET
    eng_full_name: Annotated[str, _ours(f"Name of the product. {_DETAIL}")] | msgspec.UnsetType = msgspec.UNSET
    gpu_svr_code: Annotated[int, _ours(_DETAIL)] | msgspec.UnsetType = msgspec.UNSET
    node_count: Annotated[int, _ours(_DETAIL)] | msgspec.UnsetType = msgspec.UNSET
    start_time: Annotated[str | None, _ours(f"UTC. {_DETAIL}")] | msgspec.UnsetType = msgspec.UNSET
    end_time: Annotated[str | None, _ours(f"UTC. {_DETAIL}")] | msgspec.UnsetType = msgspec.UNSET
    exit_code: Annotated[int | None, _ours(_DETAIL)] | msgspec.UnsetType = msgspec.UNSET
    reason: Annotated[str | None, _ours(f"Why it failed, one word. {_DETAIL}")] | msgspec.UnsetType = msgspec.UNSET
    message: Annotated[str, _ours(f"Why it is where it is. {_DETAIL}")] | msgspec.UnsetType = msgspec.UNSET
    git_commit: Annotated[str | None, _ours(_DETAIL)] | msgspec.UnsetType = msgspec.UNSET


class RunList(msgspec.Struct, rename="camel"):
    """A page of runs, newest first."""

    run_list: list[RunItem]
    total_count: int


class RunBody(msgspec.Struct, rename="camel"):
    """A run."""

    run_name: Annotated[str, msgspec.Meta(description="Its number in the project.")]
    project_id: str
    project_name: str
    status: RunStatus
    creator: str
    eng_full_name: Annotated[str, msgspec.Meta(description="Name of the server product.")]
    gpu_svr_code: int
    image_type: ImageType
    image_path: str
    command: str
    is_bare_metal: Annotated[bool, msgspec.Meta(description="Always false.")]
    envs: Annotated[Variables, msgspec.Meta(description="As given; secret values are ****.")]
    note: str
    run_type: Annotated[RunType, _OUR]
    node_count: Annotated[int, _OUR]
    block_storage_no_list: Annotated[list[int], _OUR]
    create_time: OurStamp
    update_time: OurStamp
    start_time: OurStamp | None
    end_time: OurStamp | None
    exit_code: Annotated[
        int | None, _ours("Of the first node in time that ended with another than 0, else 0; 128 + n for a signal.")
    ]
    reason: Annotated[str | None, _ours("Why it failed, one word.")]
    message: Annotated[str, _ours("Why it is where it is, one sentence.")]
    attempts: Annotated[int, _ours("How often it was started.")]
    code_digest: Annotated[str | None, _OUR]
    git_commit: Annotated[str | None, _ours("Commit of its code, as far as it was said.")]
    git_modified: Annotated[bool | None, _ours("Whether its code differs from that commit.")]
    data_removed_at: Annotated[str | None, _ours("When its logs, metrics and artifacts were removed, UTC.")]
    priority: Annotated[int, _OUR]
    timeout_seconds: Annotated[int | None, _OUR]
    output_limit_bytes: Annotated[int | None, _OUR]
    log_limit_bytes: Annotated[int | None, _OUR]
    isolation: Annotated[str | None, _ours("How its commands are kept apart: bubblewrap, landlock or plain.")]
    metrics: Annotated[dict[str, SummaryBody] | None, _ours("What is known of each key over all nodes, once it has ended.")]


class NodeBody(msgspec.Struct, rename="camel"):
    """A node of a run."""

    node_id: str
    project_id: str
    project_name: str
    run_name: str
    state: NodeState
    resource_type: Annotated[str, msgspec.Meta(description="Name of the server product.")]
    container_image: str
    rank: int
    exit_code: Annotated[int | None, msgspec.Meta(description="Null while it runs.")]
    host: Annotated[str | None, msgspec.Meta(description="Where SSH answers; null when there is no such access.")]
    port: Annotated[int | None, _ours("Where SSH answers; null as host.")]
    start_time: OurStamp | None
    end_time: OurStamp | None
    gpu_ids: Annotated[list[str], _OUR]


class NodeList(msgspec.Struct, rename="camel"):
    """A page of the nodes of a run, by rank."""

    nodes: list[NodeBody]
    total_count: int
