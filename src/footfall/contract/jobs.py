"""What the server asks of a job and what the job answers: written by ``behavior/``, read by ``jobs/``, and the other way round.

The parameters are ``RunSpec.job``, the result is ``Run.result``; both are kept as JSON with the keys of the fields, so a field
keeps its name for as long as there are rows that hold it. A reader takes no notice of keys that it does not know. What jobs of
an earlier release did not say has a default.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

import msgspec

from footfall.contract.found import FoundData
from footfall.contract.nclue import SourceColumns, TaskWarning

PersonalDataMode = Literal["refuse", "warn", "off"]
T = TypeVar("T", bound="JobStruct")


class JobStruct(msgspec.Struct, kw_only=True):
    """Parameters or a result as JSON."""

    @classmethod
    def from_json(cls: type[T], content: Mapping[str, Any] | None) -> T:
        """Return what stored JSON says."""
        return msgspec.convert(content or {}, cls)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON that is stored."""
        content: dict[str, Any] = msgspec.to_builtins(self)
        return content


class BucketClaim(JobStruct, kw_only=True):
    """A bucket that a job reads or writes, as it was when the job was asked for; checked again when its turn comes."""

    name: str
    account_id: str
    created_at: str


class Job(JobStruct, kw_only=True):
    """Parameters of a job. ``module`` is its file in ``jobs/``, ``kind`` that of the resource which it makes."""

    module: ClassVar[str]
    kind: ClassVar[str]
    buckets: list[BucketClaim] = []


class SourceOptions(JobStruct, omit_defaults=True, kw_only=True):
    """How the data set of a feature is to be read; None: found out from its content."""

    format: str | None = None
    columns: SourceColumns | None = None
    observed_until: str | None = None


class EncoderCandidate(JobStruct, kw_only=True):
    """What a job must know of an encoder that it may use."""

    id: str
    name: str
    artefact: str
    n_users: int


class MakeFeature(Job, kw_only=True):
    """``bucket`` and ``path``: the data set, an object or a directory of objects."""

    module = "make_feature"
    kind = "feature"
    feature_id: str
    account_id: str
    name: str
    bucket: str
    path: str
    source_options: SourceOptions | None = None
    encoder: EncoderCandidate | Literal["new"] | None
    """None: the job chooses among ``encoders``."""
    encoders: list[EncoderCandidate] = []
    """Newest first; filled in when its turn comes."""
    max_tokens_per_user: int
    """0: all."""
    personal_data: PersonalDataMode
    personal_data_allowed: list[str] = []
    """Kinds that may be in the bucket, in the words of ``personal_data.py``."""
    quota_left_bytes: int | None = None
    """None: no limit; filled in when its turn comes."""


class UsedEncoder(EncoderCandidate, kw_only=True):
    """The encoder of a feature. ``fitted``: the job made it, so that the server is to insert it."""

    size_bytes: int
    fitted: bool


class ArtefactResult(JobStruct, kw_only=True):
    """What every job says that makes something in the internal store: its key, and its bytes."""

    artefact: str
    disk_usage: int


class MakeFeatureResult(ArtefactResult, kw_only=True):
    """What was found out about a feature; see ``modeling.encoding.encode.FeatureSummary``."""

    encoder: UsedEncoder
    coverage: float
    user_count: int | None = None
    token_count: int | None = None
    empty_users: int | None = None
    truncated_users: int | None = None
    truncated_tokens: int | None = None
    personal_data: dict[str, int] = {}
    personal_data_lines: list[str] = []
    found: FoundData | None = None


class TaskInput(JobStruct, kw_only=True):
    """Encoded users, what is known of their encoding, and where their labels are."""

    feature_artefact: str
    encoder_id: str | None
    bucket: str
    path: str
    encoder_artefact: str | None = None
    """None: asked for by a release that made no reports."""
    coverage: float | None = None
    personal_data_allowed: list[str] = []


class TrainTask(Job, kw_only=True):
    """``test`` is None: the job holds a fifth of the labels back."""

    module = "train_task"
    kind = "task"
    task_id: str
    train: TaskInput
    test: TaskInput | None
    min_labels_per_class: int
    personal_data: PersonalDataMode
    quota_left_bytes: int | None = None
    """None: no limit; filled in when its turn comes."""


class TrainTaskResult(ArtefactResult, kw_only=True):
    """What was found out about a task. ``report`` is the name of its report; tasks of earlier releases had none.

    The fields behind it are those of ``modeling.learning.task.TrainedTask.summary``. ``line_count`` is not the job's: the
    database knows it and adds it.
    """

    auroc: str | None = msgspec.field(name="AUROC", default=None)
    """With four decimals."""
    report: str | None = None
    log_loss: float | None = None
    calibration_error: float | None = None
    lift: Any = None
    test: str | None = None
    train_labels: dict[str, int] = {}
    test_labels: dict[str, int] = {}
    unknown_train_users: int = 0
    unknown_test_users: int = 0
    sampled: bool = False
    views: dict[str, Any] = {}
    auroc_out_of_fold: float | None = msgspec.field(name="AUROC_out_of_fold", default=None)
    calibrated: bool = False
    prior: float | None = None
    warnings: list[TaskWarning] | None = None
    line_count: int | msgspec.UnsetType = msgspec.UNSET


class PublishingJob(Job, kw_only=True):
    """A job whose result goes to ``path`` in a user's ``bucket``; reserved in the database until the run ends."""

    bucket: str
    path: str


class PublishedResult(JobStruct, kw_only=True):
    """What was written: ``bucket/key`` and its SHA-256."""

    line_count: int | None = None
    object: str | None = None
    sha256: str | None = None


class ScoreTaskRun(PublishingJob, kw_only=True):
    """``run_id`` is the task run's own id."""

    module = "score_task_run"
    kind = "task_run"
    run_id: str
    task_artefact: str
    feature_artefact: str


class MakeShoppingIntent(Job, kw_only=True):
    """``profile_id`` is the shopping intent's own id; the other ids are to find the other tasks by."""

    module = "make_shopping_intent"
    kind = "shopping_intent"
    profile_id: str
    task_id: str = ""
    feature_id: str = ""
    task_artefact: str
    """The task whose target is described."""
    feature_artefact: str
    """The task's train feature, whose users are scored and counted."""
    encoder_artefact: str
    """Knows the texts of their behaviors."""
    others: list["CompletedTask"] = []
    """Completed tasks of the same feature; filled in when its turn comes."""
    quota_left_bytes: int | None = None
    """None: no limit; filled in when its turn comes."""


class CompletedTask(JobStruct, kw_only=True):
    """A task that users are scored with."""

    name: str
    artefact: str


class MakeShoppingIntentResult(ArtefactResult, kw_only=True):
    """What was found out about a shopping intent."""

    line_count: int | None = None


class MakeCustomAttributes(PublishingJob, kw_only=True):
    """``profile_id`` is the custom attributes' own id; ``keywords`` are in the order of the request."""

    module = "make_custom_attributes"
    kind = "custom_attribute"
    profile_id: str
    feature_artefact: str
    encoder_artefact: str
    keywords: list[str]


class MakeCustomAttributesResult(PublishedResult, kw_only=True):
    """``unknown_keywords``: the first of those that the encoder does not know."""

    unknown_keywords: list[str] | None = None
