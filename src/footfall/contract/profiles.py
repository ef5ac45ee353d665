"""The shapes of ``/api/v1/profile``, in snake_case, as NCLUE documents them. Fields marked ``x-ours`` are not documented.

What they are filled with: ``profile_wire.py``.
"""

from typing import Annotated

import msgspec

from footfall.contract.nclue import OURS, FailDetails, ListPage, Name, Path, Progress, Stamp, Status

KEYWORDS = msgspec.Meta(
    description="Keywords, one a line, all of them wanted (AND); at most 1,000 characters in all.",
    extra_json_schema={"minLength": 1, "maxLength": 1000},
)
UNKNOWN = msgspec.Meta(
    description="Words that the encoder does not know and that were left out; at most 100.", extra_json_schema=OURS
)


class NewShoppingIntent(msgspec.Struct):
    """What POST /profile/shopping-intents takes."""

    name: Name
    task_id: str


class NewCustomAttributes(msgspec.Struct):
    """What POST /profile/custom-attributes takes."""

    name: Name
    feature_id: str
    keyword_set: Annotated[str, KEYWORDS]
    result_bucket: str
    result_file_path: Path


class ShoppingIntentMade(msgspec.Struct):
    """What POST /profile/shopping-intents answers."""

    profile_id: str
    profile_name: str
    task_id: str
    task_name: str
    created_at: Stamp


class CustomAttributesMade(msgspec.Struct):
    """What POST /profile/custom-attributes answers; ``keyword_set`` has commas for line breaks, as documented."""

    profile_id: str
    profile_name: str
    feature_id: str
    feature_name: str
    keyword_set: str
    created_at: Stamp
    result_bucket: str
    result_file_path: str


class ShoppingIntentBody(msgspec.Struct, kw_only=True):
    """A shopping intent: what the users whom a task found have in common."""

    profile_id: str
    profile_name: str
    task_id: str
    task_name: str
    status: Status
    created_at: Stamp
    completed_at: Stamp | None
    line_count: int | None
    disk_usage: int | None
    fail_message: str | None
    fail_details: FailDetails
    progress: Progress = None


class CustomAttributesBody(msgspec.Struct, kw_only=True):
    """Custom attributes: how alike every user of a feature is to keywords."""

    profile_id: str
    profile_name: str
    feature_id: str
    feature_name: str
    keyword_set: str
    status: Status
    created_at: Stamp
    completed_at: Stamp | None
    result_bucket: str
    result_file_path: str
    line_count: int | None
    fail_message: str | None
    fail_details: FailDetails
    unknown_keywords: Annotated[list[str] | None, UNKNOWN]
    progress: Progress = None


class ShoppingIntentList(ListPage):
    """A page of shopping intents, newest first."""

    profiles: list[ShoppingIntentBody]


class CustomAttributesList(ListPage):
    """A page of custom attributes, newest first."""

    profiles: list[CustomAttributesBody]


class ProfileId(msgspec.Struct):
    """Which profile it was."""

    profile_id: str


class ProfileCancelled(ProfileId):
    """Which profile it was, and what it shows now: ``failed``, or what it was while its job is being stopped."""

    status: Status
