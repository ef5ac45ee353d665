"""Keep a job's artefact inside the service, or publish its result in a user's bucket, once, whatever attempts there were.

The name and SHA-256 of the result are recorded before it is published, so that a later attempt knows its own work; other
content is never overwritten. Source: the contract, 9-6.
"""

import hashlib
import json
from pathlib import Path
from typing import TypeVar

from footfall.contract.jobs import MakeFeature, MakeShoppingIntent, PublishingJob, TrainTask
from footfall.errors import ObjectNotFoundError, StoreFullError
from footfall.jobs.context import JobContext, ResultExistsError
from footfall.jobs.inputs import put_artefact
from footfall.layout import artefact_dir
from footfall.stores.store import Store

P = TypeVar("P", bound=PublishingJob)
K = TypeVar("K", MakeFeature, TrainTask, MakeShoppingIntent)


def keep_artefact(context: JobContext[K], id: str, directory: Path, size_bytes: int) -> str:
    """Move the files of a directory, of ``size_bytes`` in all, into the internal store; return their key.

    Args:
        id: of the resource that the job makes.

    Raises:
        StoreFullError: they would pass the account's disk quota.
    """
    job = context.parameters
    if job.quota_left_bytes is not None and size_bytes > job.quota_left_bytes:
        raise StoreFullError(
            f"This takes {size_bytes:,} bytes and the account's disk quota has {job.quota_left_bytes:,} left. "
            "Delete what is no longer needed and try again.",
            operation="write",
        )
    artefact = artefact_dir(job.kind, id, context.attempt)
    put_artefact(context.internal, artefact, directory, context.progress)
    return artefact


def publish_result(context: JobContext[P], id: str, path: Path) -> tuple[str, str]:
    """Put a file where ``bucket`` and ``path`` of the job's parameters say.

    Args:
        id: of the resource that the job makes.

    Returns:
        The object, and the SHA-256 of what is there: this file or that of an earlier attempt.

    Raises:
        ResultExistsError: something else is there.
    """
    bucket, key = context.parameters.bucket, context.parameters.path
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    record = f"{artefact_dir(context.parameters.kind, id, 0)}/result.json"
    known = {sha256, *_read_record(context.internal, record)}
    context.internal.write(record, json.dumps({"object": key, "sha256": sorted(known)}).encode())
    size_bytes = path.stat().st_size
    context.progress("publish", 0, size_bytes)
    published = _publish(context.buckets.open(bucket), key, path, sha256, known)
    context.progress("publish", size_bytes, size_bytes)
    return f"{bucket}/{key}", published


def _read_record(internal: Store, key: str) -> list[str]:
    try:
        return list(json.loads(internal.read_bytes(key))["sha256"])
    except ObjectNotFoundError:
        return []


def _publish(store: Store, key: str, path: Path, sha256: str, known: set[str]) -> str:
    try:
        store.write(key, path, overwrite=False)
    except FileExistsError as error:
        digest = hashlib.sha256()
        for chunk in store.read(key):
            digest.update(chunk)
        if digest.hexdigest() not in known:
            raise ResultExistsError(
                f"Another object is at {key}; it was not overwritten. Remove it, or ask for another name."
            ) from error
        return digest.hexdigest()
    return sha256
