"""The answers of the service, as typed structs. Knows no HTTP.

``id`` and ``name`` are the same for every kind; ``wire`` keeps the answer as it came, with the documented field names.
Times are aware UTC datetimes, though the wire names no zone.

Source: ``docs/reference/api.md``.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from footfall.errors import ServiceError

FINAL_STATUSES = ("completed", "failed")


class Progress(msgspec.Struct, frozen=True):
    """How far a job is: ``done`` of ``total`` within a stage; ``total`` is None where it is unknown."""

    stage: str = ""
    done: int | float = 0
    total: int | float | None = None


class Record(msgspec.Struct, kw_only=True):
    """What all answers share: ``wire``, and times that are aware although the wire names no zone."""

    created_at: datetime | None = None
    wire: dict[str, Any] = msgspec.field(default_factory=dict, name="-")

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, datetime) and value.tzinfo is None:
                setattr(self, name, value.replace(tzinfo=UTC))


class Resource(Record, kw_only=True):
    """What features, tasks, task runs and profiles share."""

    id: str
    name: str
    status: str = "registered"
    completed_at: datetime | None = None
    fail_message: str | None = None
    fail_details: str | None = None
    progress: Progress | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, status={self.status!r}, id={self.id!r})"

    @property
    def is_final(self) -> bool:
        """Whether it ended."""
        return self.status in FINAL_STATUSES


class Feature(Resource, kw_only=True):
    """A set of encoded users. What is not known yet is None."""

    id: str = msgspec.field(name="feature_id")
    name: str = msgspec.field(name="feature_name")
    source_bucket: str
    source_file_path: str
    user_count: int | None = None
    token_count: int | None = None
    disk_usage: int | None = None
    encoder: str | None = None
    coverage: float | None = None
    format: str | None = None
    columns: dict[str, Any] | None = None
    observed_until: str | None = None
    found: dict[str, Any] | None = None
    """What was found in its data set: ``format``, ``columns`` with their roles, ``warnings``; None in lists."""


class Task(Resource, kw_only=True):
    """A model trained on labelled users."""

    id: str = msgspec.field(name="task_id")
    name: str = msgspec.field(name="task_name")
    train_feature_id: str
    train_feature_name: str | None = None
    train_bucket: str
    train_file_path: str
    test_feature_id: str | None = None
    test_feature_name: str | None = None
    test_bucket: str | None = None
    test_file_path: str | None = None
    AUROC: str | None = None
    line_count: int | None = None
    disk_usage: int | None = None
    warnings: list[dict[str, str]] | None = None
    """Of its report, the gravest first: ``code`` and ``text``."""

    @property
    def auroc(self) -> float | None:
        """The documented ``AUROC``, a text on the wire, as a number."""
        return None if self.AUROC is None else float(self.AUROC)


class TaskRun(Resource, kw_only=True):
    """A task applied to every user of a feature; the scores are at ``result_bucket``/``result_file_path``."""

    id: str = msgspec.field(name="run_id")
    name: str = msgspec.field(name="run_name")
    task_id: str
    task_name: str | None = None
    feature_id: str
    feature_name: str | None = None
    result_bucket: str
    result_file_path: str
    line_count: int | None = None


class ShoppingIntent(Resource, kw_only=True):
    """What the users whom a task found have in common; ``client.shopping_intents.table`` reads it."""

    id: str = msgspec.field(name="profile_id")
    name: str = msgspec.field(name="profile_name")
    task_id: str
    task_name: str | None = None
    line_count: int | None = None
    disk_usage: int | None = None

    @property
    def kind(self) -> str:
        """The word for it."""
        return "shopping intent"

    @property
    def subject(self) -> str:
        """The name of its task."""
        return self.task_name or self.task_id


class CustomAttributes(Resource, kw_only=True):
    """How alike every user of a feature is to keywords; the result is at ``result_bucket``/``result_file_path``."""

    id: str = msgspec.field(name="profile_id")
    name: str = msgspec.field(name="profile_name")
    feature_id: str
    feature_name: str | None = None
    keyword_set: str
    result_bucket: str
    result_file_path: str
    line_count: int | None = None
    unknown_keywords: list[str] | None = None

    @property
    def kind(self) -> str:
        """The word for it."""
        return "custom attributes"

    @property
    def subject(self) -> str:
        """Its keywords, separated by commas."""
        return self.keyword_set


class Encoder(Record, kw_only=True):
    """What was fitted on the users of one feature and encodes others."""

    id: str = msgspec.field(name="encoder_id")
    name: str = msgspec.field(name="encoder_name")
    n_users: int | None = msgspec.field(default=None, name="user_count")
    n_features: int | None = msgspec.field(default=None, name="feature_count")


class ObjectSummary(Record, kw_only=True):
    """An object of a bucket; ``created_at`` is when it was last written."""

    key: str
    size_bytes: int
    e_tag: str | None = None
    created_at: datetime | None = msgspec.field(default=None, name="modified_at")


class Account(Record, kw_only=True):
    """An owner of features, tasks and buckets; its first user and keys only in the answer that made it."""

    id: str = msgspec.field(name="account_id")
    name: str = msgspec.field(name="account_name")
    is_operator: bool = False
    user_id: str | None = None
    user_name: str | None = None
    access_key: str | None = None
    secret_key: str | None = None

    def __repr__(self) -> str:
        return f"Account({self.id!r}, name={self.name!r}, is_operator={self.is_operator})"


class User(Record, kw_only=True):
    """A person or program of an account, with a role for each service."""

    id: str = msgspec.field(name="user_id")
    name: str = msgspec.field(name="user_name")
    roles: dict[str, str] = {}


class AccessKey(Record, kw_only=True):
    """An access key; ``secret_key`` only in the answer that made it."""

    id: str = msgspec.field(name="access_key")
    user_id: str
    is_active: bool = True
    secret_key: str | None = None

    def __repr__(self) -> str:
        return f"AccessKey({self.id!r}, user_id={self.user_id!r}, is_active={self.is_active})"


class ApiKey(Record, kw_only=True):
    """An API key; its texts only in the answer that made them."""

    id: str = msgspec.field(name="api_key_id")
    name: str
    is_enabled: bool = True
    primary_key: str | None = None
    secondary_key: str | None = None

    def __repr__(self) -> str:
        return f"ApiKey({self.id!r}, name={self.name!r}, is_enabled={self.is_enabled})"


class Bucket(Record, kw_only=True):
    """A bucket, and the accounts that it is granted to."""

    name: str
    account_id: str | None = None
    granted_to: list[str] = []


R = TypeVar("R", bound=msgspec.Struct)


def reply(kind: type[R], answer: Any) -> R:
    """Return the JSON of an answer as a struct; fields that the struct lacks stay in ``wire``.

    Raises:
        ServiceError: a field is missing or of another kind, as with a server of another version.
    """
    try:
        result = msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise ServiceError(
            200, "", "UNEXPECTED_ANSWER", f"The answer of the service is not as documented: {error}. Compare versions."
        ) from error
    if isinstance(result, Record) and isinstance(answer, Mapping):
        result.wire = dict(answer)
    return result
