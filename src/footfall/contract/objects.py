"""The shapes of ``/data/v1``: objects in buckets, all ours."""

import msgspec

from footfall.contract.nclue import Stamp


class ObjectBody(msgspec.Struct):
    """An object of a bucket."""

    key: str
    size_bytes: int
    e_tag: str | None
    modified_at: Stamp


class ObjectList(msgspec.Struct):
    """Objects by key; ``next_after`` is the ``after`` of the next page, null on the last.

    ``n_skipped`` keys of another client were passed over among those that were looked at, as they are no paths (``a//b``).
    """

    bucket: str
    objects: list[ObjectBody]
    next_after: str | None
    n_skipped: int = 0


class ObjectPut(msgspec.Struct):
    """An object that is now there, whole."""

    bucket: str
    key: str
    size_bytes: int
    e_tag: str | None
    modified_at: Stamp
    sha256: str


class ObjectGone(msgspec.Struct):
    """An object that is not there any more."""

    bucket: str
    key: str
