"""Create and delete a feature. The run of a feature is the job ``make_feature``.

Its parameters (``RunSpec.job``)::

    feature_id, account_id, name
    bucket, path          the data set: an object, or a directory of objects
    buckets               what ``ownership.claim_bucket`` says of each bucket that is read or written
    source_options        null, or what ``source_options.check_options`` returns: format, columns, observed_until
    encoder               null: the job chooses; "new"; or the candidate to use
    encoders              candidates {id, name, artefact, n_users}, newest first; filled in when its turn comes
    max_tokens_per_user   0 means all
    personal_data         refuse, warn or off
    quota_left_bytes      null: no limit; filled in when its turn comes

Its result: ``user_count``, ``token_count``, ``disk_usage``, ``artefact``, ``coverage`` and
``encoder`` {id, name, artefact, n_users, size_bytes, fitted}.
"""

import json
from typing import Any

from footfall.behavior import datasets, dependents, encoders, fields, ownership
from footfall.behavior.context import Apply, Workbench, job_spec
from footfall.compute import runs
from footfall.db import behavior
from footfall.db.access.accounts import system_project
from footfall.db.behavior import FEATURES
from footfall.db.connection import Connection
from footfall.errors import AlreadyExistsError
from footfall.layout import artefact_dir
from footfall.records import Caller, Feature, new_id

TURN_KEY = "feature:{}"


def create_feature(
    bench: Workbench,
    caller: Caller,
    *,
    name: str,
    bucket: str,
    path: str,
    encoder: str | None = None,
    source_options: dict[str, Any] | None = None,
) -> Apply[Feature]:
    """Check a new feature; the answer makes it and its run.

    Raises:
        InvalidFieldError, NotFoundError, AlreadyExistsError, StoreUnavailableError.
    """
    name = fields.normalize_name(name)
    fields.check_name_length(name)
    fields.check_path(path, "source_file_path")
    with bench.database.read() as connection:
        chosen = encoders.choose(connection, caller.account_id, encoder)
        if FEATURES.has_name(connection, caller.account_id, name):
            raise AlreadyExistsError("feature", name)
    store = datasets.open_bucket(bench, caller.account_id, bucket, "source_bucket")
    objects = datasets.find_objects(store, bucket, path, "source_file_path")
    is_log = source_options is not None and source_options.get("format") != "sequence"
    if (
        bench.settings.personal_data == "refuse" and not is_log
    ):  # the job looks at the texts of a log, not at its numbers
        datasets.refuse_personal_data(store, objects, "source_file_path")

    def apply(tx: Connection) -> Feature:
        id = new_id()
        job = {
            "feature_id": id,
            "account_id": caller.account_id,
            "name": name,
            "bucket": bucket,
            "path": path,
            "buckets": [ownership.claim_bucket(bench.settings, tx, caller.account_id, bucket, "source_bucket")],
            "source_options": source_options,
            "encoder": chosen,
            "encoders": [],
            "max_tokens_per_user": bench.settings.max_tokens_per_user,
            "personal_data": bench.settings.personal_data,
            "quota_left_bytes": None,
        }
        run = runs.create_run(
            tx,
            account_id=caller.account_id,
            project_id=system_project(tx, caller.account_id),
            spec=job_spec(bench.settings, "make_feature", job),
            kind="feature",
            turn_key=TURN_KEY.format(caller.account_id),
        )
        FEATURES.insert(
            tx,
            caller.account_id,
            id=id,
            name=name,
            run_id=run.id,
            source_bucket=bucket,
            source_file_path=path,
            source_options=None if source_options is None else json.dumps(source_options, sort_keys=True),
            limit=bench.settings.max_resources,
        )
        return FEATURES.get(tx, caller.account_id, id)

    return apply


def delete_feature(caller: Caller, id: str) -> Apply[Feature]:
    """Delete a feature that has ended or was never started, and that nothing unfinished uses."""

    def apply(tx: Connection) -> Feature:
        FEATURES.lock(tx, caller.account_id, id)
        feature = FEATURES.get(tx, caller.account_id, id)
        used_by = behavior.live_users_of_feature(tx, id)
        dependents.clear_for_delete(tx, "feature", id, feature.run, used_by, by=caller.access_key)
        FEATURES.hide(tx, caller.account_id, id)
        behavior.entomb(tx, [artefact_dir("feature", id, n) for n in range(feature.run.attempt + 1)])
        behavior.entomb(tx, behavior.collect_encoders(tx, caller.account_id))
        return feature

    return apply
