"""What the behavior wing does at two moments of a run's life; the reconciler calls it and knows nothing of features."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from footfall.behavior import encoders, ownership
from footfall.config import Settings
from footfall.db import behavior, profiles
from footfall.db.connection import Connection
from footfall.layout import artefact_dir
from footfall.records import Run, RunSpec
from footfall.states import RunState

MAX_ATTRIBUTES = 100
"""How many other tasks a shopping intent looks at: the newest."""


class BehaviorHooks:
    """The two moments: just before a run is submitted, and in the transaction that ends it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ended: Mapping[str, Callable[[Connection, Run], None]] = {
            "feature": self._feature_ended,
            "task": self._task_ended,
            "task_run": self._task_run_ended,
            "shopping_intent": self._shopping_intent_ended,
            "custom_attribute": self._custom_attributes_ended,
        }

    def complete_spec(self, tx: Connection, run: Run) -> RunSpec:
        """Return the spec of a run with what can be known only when its turn has come.

        Raises:
            DataError: its account may no longer use a bucket that it reads or writes.
        """
        ownership.check_claims(self._settings, tx, run)
        if run.spec.job is None or run.kind not in ("feature", "task", "shopping_intent"):
            return run.spec
        late: dict[str, Any] = {"quota_left_bytes": self._quota_left(tx, run.account_id)}
        if run.kind == "feature" and run.spec.job["encoder"] is None:
            late["encoders"] = [encoders.candidate(e) for e in behavior.list_encoders(tx, run.account_id)]
        if run.kind == "shopping_intent":
            late["others"] = _other_tasks(tx, run.account_id, run.spec.job)
        return replace(run.spec, job={**run.spec.job, **late})

    def run_ended(self, tx: Connection, run: Run) -> None:
        """Take over what a run found out, and leave what it made in vain to be swept."""
        ended = self._ended.get(run.kind)
        if ended is not None and run.spec.job is not None:
            ended(tx, run)

    def _quota_left(self, tx: Connection, account_id: str) -> int | None:
        if not self._settings.disk_quota_mib:
            return None
        return max(0, (self._settings.disk_quota_mib << 20) - behavior.used_bytes(tx, account_id))

    def _feature_ended(self, tx: Connection, run: Run) -> None:
        id = str((run.spec.job or {})["feature_id"])
        is_completed = run.state is RunState.COMPLETED
        if run.result is not None and is_completed:
            self._take_feature(tx, run, id, run.result)
        behavior.entomb(tx, _in_vain("feature", id, run))
        # An encoder is named by the feature that fits it, so that what a failed attempt left is known here.
        behavior.entomb(tx, _in_vain("encoder", id, run))
        behavior.entomb(tx, behavior.collect_encoders(tx, run.account_id, but_run_id=run.id))

    def _take_feature(self, tx: Connection, run: Run, id: str, result: Mapping[str, Any]) -> None:
        encoder = result["encoder"]
        if encoder["fitted"]:
            behavior.insert_encoder(
                tx,
                run.account_id,
                id=encoder["id"],
                name=encoders.free_name(encoder["name"], behavior.encoder_names(tx, run.account_id)),
                feature_id=id,
                artefact=encoder["artefact"],
                n_users=encoder["n_users"],
                size_bytes=encoder["size_bytes"],
            )
        behavior.set_feature_result(
            tx, id, encoder_id=encoder["id"], coverage=result["coverage"], disk_usage=result["disk_usage"]
        )

    def _task_ended(self, tx: Connection, run: Run) -> None:
        id = str((run.spec.job or {})["task_id"])
        if run.result is not None and run.state is RunState.COMPLETED:
            behavior.set_task_result(tx, id, disk_usage=run.result["disk_usage"])
        behavior.entomb(tx, _in_vain("task", id, run))

    def _task_run_ended(self, tx: Connection, run: Run) -> None:
        behavior.release_result(tx, run.id)
        # What its attempts told each other of the object that they wrote.
        behavior.entomb(tx, [artefact_dir("task_run", str((run.spec.job or {})["run_id"]), 0)])

    def _shopping_intent_ended(self, tx: Connection, run: Run) -> None:
        id = str((run.spec.job or {})["profile_id"])
        if run.result is not None and run.state is RunState.COMPLETED:
            profiles.set_shopping_intent_result(tx, id, disk_usage=run.result["disk_usage"])
        behavior.entomb(tx, _in_vain("shopping_intent", id, run))

    def _custom_attributes_ended(self, tx: Connection, run: Run) -> None:
        behavior.release_result(tx, run.id)
        behavior.entomb(tx, [artefact_dir("custom_attribute", str((run.spec.job or {})["profile_id"]), 0)])


def _other_tasks(tx: Connection, account_id: str, job: Mapping[str, Any]) -> list[dict[str, str]]:
    found = profiles.list_other_tasks(tx, account_id, job["feature_id"], job["task_id"], MAX_ATTRIBUTES)
    return [{"name": name, "artefact": str(json.loads(result)["artefact"])} for name, result in found]


def _in_vain(kind: str, id: str, run: Run) -> list[str]:
    """Return the artefacts of attempts that did not complete."""
    n_attempts = run.attempt if run.state is RunState.COMPLETED else run.attempt + 1
    return [artefact_dir(kind, id, attempt) for attempt in range(n_attempts)]
