"""What the behavior wing does at two moments of a run's life; the reconciler calls it and knows nothing of features."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from footfall.behavior import encoders, ownership
from footfall.config import Settings
from footfall.contract.jobs import (
    ArtefactResult,
    CompletedTask,
    MakeCustomAttributes,
    MakeFeature,
    MakeFeatureResult,
    MakeShoppingIntent,
    ScoreTaskRun,
    TrainTask,
)
from footfall.db import behavior, profiles
from footfall.db.engine.engine import Connection
from footfall.layout import artefact_dir
from footfall.records import Run, RunSpec
from footfall.states import RunState

MAX_ATTRIBUTES = 100
"""How many other tasks a shopping intent compares with: the newest."""


class BehaviorHooks:
    """The two moments: just before a run is submitted, and in the transaction that ends it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ended: Mapping[str, Callable[[Connection, Run], None]] = {
            MakeFeature.kind: self._feature_ended,
            TrainTask.kind: self._task_ended,
            ScoreTaskRun.kind: self._task_run_ended,
            MakeShoppingIntent.kind: self._shopping_intent_ended,
            MakeCustomAttributes.kind: self._custom_attributes_ended,
        }

    def complete_spec(self, tx: Connection, run: Run) -> RunSpec:
        """Return the spec of a run with what can be known only when its turn has come.

        Raises:
            DataError: its account may no longer use a bucket that it reads or writes.
        """
        ownership.check_claims(self._settings, tx, run)
        if run.spec.job is None:
            return run.spec
        job: MakeFeature | TrainTask | MakeShoppingIntent
        if run.kind == MakeFeature.kind:
            job = MakeFeature.from_json(run.spec.job)
            if job.encoder is None:
                job.encoders = [encoders.candidate(encoder) for encoder in behavior.list_encoders(tx, run.account_id)]
        elif run.kind == TrainTask.kind:
            job = TrainTask.from_json(run.spec.job)
        elif run.kind == MakeShoppingIntent.kind:
            job = MakeShoppingIntent.from_json(run.spec.job)
            job.others = _other_tasks(tx, run.account_id, job)
        else:
            return run.spec
        job.quota_left_bytes = self._quota_left(tx, run.account_id)
        return replace(run.spec, job=job.to_json())

    def run_ended(self, tx: Connection, run: Run) -> None:
        """Record the result of a run, and mark what its failed attempts left for deletion."""
        ended = self._ended.get(run.kind)
        if ended is not None and run.spec.job is not None:
            ended(tx, run)

    def _quota_left(self, tx: Connection, account_id: str) -> int | None:
        if not self._settings.disk_quota_mib:
            return None
        return max(0, (self._settings.disk_quota_mib << 20) - behavior.used_bytes(tx, account_id))

    def _feature_ended(self, tx: Connection, run: Run) -> None:
        id = MakeFeature.from_json(run.spec.job).feature_id
        if run.state is RunState.COMPLETED and run.result is not None:
            _record_feature(tx, run, id, MakeFeatureResult.from_json(run.result))
        _delete_failed_attempts(tx, MakeFeature.kind, id, run)
        # An encoder is named by the feature that fits it, so that what a failed attempt left is known here.
        _delete_failed_attempts(tx, "encoder", id, run)
        behavior.mark_for_deletion(tx, behavior.collect_encoders(tx, run.account_id, but_run_id=run.id))

    def _task_ended(self, tx: Connection, run: Run) -> None:
        id = TrainTask.from_json(run.spec.job).task_id
        if run.state is RunState.COMPLETED and run.result is not None:
            behavior.set_task_result(tx, id, disk_usage=ArtefactResult.from_json(run.result).disk_usage)
        _delete_failed_attempts(tx, TrainTask.kind, id, run)

    def _task_run_ended(self, tx: Connection, run: Run) -> None:
        behavior.release_result(tx, run.id)
        # What its attempts recorded for each other of the object that they wrote.
        id = ScoreTaskRun.from_json(run.spec.job).run_id
        behavior.mark_for_deletion(tx, [artefact_dir(ScoreTaskRun.kind, id, 0)])

    def _shopping_intent_ended(self, tx: Connection, run: Run) -> None:
        id = MakeShoppingIntent.from_json(run.spec.job).profile_id
        if run.state is RunState.COMPLETED and run.result is not None:
            profiles.set_shopping_intent_result(tx, id, disk_usage=ArtefactResult.from_json(run.result).disk_usage)
        _delete_failed_attempts(tx, MakeShoppingIntent.kind, id, run)

    def _custom_attributes_ended(self, tx: Connection, run: Run) -> None:
        behavior.release_result(tx, run.id)
        id = MakeCustomAttributes.from_json(run.spec.job).profile_id
        behavior.mark_for_deletion(tx, [artefact_dir(MakeCustomAttributes.kind, id, 0)])


def _record_feature(tx: Connection, run: Run, id: str, result: MakeFeatureResult) -> None:
    encoder = result.encoder
    if encoder.fitted:
        behavior.insert_encoder(
            tx,
            run.account_id,
            id=encoder.id,
            name=encoders.free_name(encoder.name, behavior.encoder_names(tx, run.account_id)),
            feature_id=id,
            artefact=encoder.artefact,
            n_users=encoder.n_users,
            size_bytes=encoder.size_bytes,
        )
    behavior.set_feature_result(tx, id, encoder_id=encoder.id, coverage=result.coverage, disk_usage=result.disk_usage)


def _other_tasks(tx: Connection, account_id: str, job: MakeShoppingIntent) -> list[CompletedTask]:
    rows = profiles.list_other_tasks(tx, account_id, job.feature_id, job.task_id, MAX_ATTRIBUTES)
    return [CompletedTask(name=name, artefact=ArtefactResult.from_json(json.loads(result)).artefact) for name, result in rows]


def _delete_failed_attempts(tx: Connection, kind: str, id: str, run: Run) -> None:
    """Mark the artefacts of attempts that did not complete."""
    n_attempts = run.attempt if run.state is RunState.COMPLETED else run.attempt + 1
    behavior.mark_for_deletion(tx, [artefact_dir(kind, id, attempt) for attempt in range(n_attempts)])
