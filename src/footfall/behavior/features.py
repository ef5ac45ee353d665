"""Create and delete a feature, which the job ``make_feature`` makes."""

import json

from footfall.behavior import datasets, encoders, fields, ownership, resources
from footfall.behavior.context import Apply, BehaviorContext
from footfall.contract.jobs import MakeFeature, SourceOptions
from footfall.db import behavior
from footfall.db.behavior import FEATURES
from footfall.db.engine.engine import Connection
from footfall.records import Caller, Feature, new_id

TURN_KEY = "feature:{}"


def create_feature(
    context: BehaviorContext,
    caller: Caller,
    *,
    name: str,
    bucket: str,
    path: str,
    encoder: str | None = None,
    source_options: SourceOptions | None = None,
) -> Apply[Feature]:
    """Check a new feature; the answer makes it and its run.

    Raises:
        InvalidFieldError, NotFoundError, AlreadyExistsError, StoreUnavailableError.
    """
    name = resources.check_name(name)
    fields.check_path(path, "source_file_path")
    with context.database.read() as connection:
        requested = encoders.choose(connection, caller.account_id, encoder)
        resources.check_name_is_free(connection, caller.account_id, FEATURES, name)
    store = datasets.open_bucket(context, caller.account_id, bucket, "source_bucket")
    objects = datasets.find_objects(store, bucket, path, "source_file_path")
    allowed = datasets.allowed_kinds(context, bucket)
    is_log = source_options is not None and source_options.format != "sequence"
    # The job looks at the texts of a log, not at its numbers.
    if context.settings.personal_data == "refuse" and not is_log:
        datasets.refuse_personal_data(store, objects, "source_file_path", frozenset(allowed))

    def apply(tx: Connection) -> Feature:
        id = new_id()
        job = MakeFeature(
            feature_id=id,
            account_id=caller.account_id,
            name=name,
            bucket=bucket,
            path=path,
            buckets=[ownership.claim_bucket(context.settings, tx, caller.account_id, bucket, "source_bucket")],
            source_options=source_options,
            encoder=requested,
            max_tokens_per_user=context.settings.max_tokens_per_user,
            personal_data=context.settings.personal_data,
            personal_data_allowed=allowed,
        )
        return resources.make(
            context,
            tx,
            caller.account_id,
            FEATURES,
            job,
            id=id,
            name=name,
            turn_key=TURN_KEY.format(caller.account_id),
            source_bucket=bucket,
            source_file_path=path,
            source_options=None if source_options is None else json.dumps(source_options.to_json(), sort_keys=True),
        )

    return apply


def delete_feature(caller: Caller, id: str) -> Apply[Feature]:
    """Delete a feature that has ended or was never started, and that nothing unfinished uses."""
    return resources.delete(caller, FEATURES, MakeFeature, id, behavior.live_users_of_feature)
