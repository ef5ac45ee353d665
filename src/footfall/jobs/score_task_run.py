"""Score every user of a feature with a task, and publish the result where it was asked for, once.

Parameters and result: see ``behavior/task_runs.py``. The name and SHA-256 of the result are recorded before it is
published, so that a later attempt knows its own work; other content is never overwritten. Source: the contract, 9-6,
9-15.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from footfall.errors import ObjectNotFoundError
from footfall.jobs.context import JobContext, ResultExistsError, run_job
from footfall.jobs.inputs import fetch_artefact
from footfall.layout import artefact_dir
from footfall.modeling.score import score_feature
from footfall.store import Store


def main(context: JobContext) -> dict[str, Any]:
    """Do the job; return its result."""
    job = context.parameters
    path = context.scratch / "scores.tsv"
    n_lines = score_feature(
        fetch_artefact(context.internal, job["task_artefact"], context.scratch),
        fetch_artefact(context.internal, job["feature_artefact"], context.scratch),
        path,
        progress=context.progress,
    )
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    record = f"{artefact_dir('task_run', job['run_id'], 0)}/result.json"
    known = {sha256, *_read_record(context.internal, record)}
    context.internal.write(record, json.dumps({"object": job["path"], "sha256": sorted(known)}).encode())
    size_bytes = path.stat().st_size
    context.progress("publish", 0, size_bytes)
    published = _publish(context.buckets.open(job["bucket"]), job["path"], path, sha256, known)
    context.progress("publish", size_bytes, size_bytes)
    return {"line_count": n_lines, "object": f"{job['bucket']}/{job['path']}", "sha256": published}


def _read_record(internal: Store, key: str) -> list[str]:
    try:
        return list(json.loads(internal.read_bytes(key))["sha256"])
    except ObjectNotFoundError:
        return []


def _publish(store: Store, key: str, path: Path, sha256: str, known: set[str]) -> str:
    """Put the result; return the SHA-256 of what is there, which is this one or an earlier attempt's."""
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


if __name__ == "__main__":
    run_job(main)
