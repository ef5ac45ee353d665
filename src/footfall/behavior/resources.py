"""Make, cancel and delete a resource, whatever its kind: a name of the account's, made by the run of a job."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from footfall.behavior import fields
from footfall.behavior.context import Apply, BehaviorContext, job_spec
from footfall.behavior.hooks import BehaviorHooks
from footfall.compute import runs
from footfall.contract.jobs import ArtefactResult, Job, MakeFeatureResult, PublishingJob
from footfall.db import behavior
from footfall.db import runs as run_rows
from footfall.db.access.accounts import system_project
from footfall.db.engine.engine import Connection
from footfall.db.resources import Resources
from footfall.errors import AlreadyExistsError, InUseError, WrongStateError
from footfall.layout import artefact_dir
from footfall.records import Caller, Feature, RunStatus, Task
from footfall.states import RunState


class _MadeByRun(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def run(self) -> RunStatus: ...


R = TypeVar("R", bound=_MadeByRun)


def check_name(name: str) -> str:
    """Return the name of a new resource in the form in which names are compared.

    Raises:
        InvalidFieldError: rule ``name`` or ``too_long``.
    """
    name = fields.normalize_name(name)
    fields.check_name_length(name)
    return name


def check_name_is_free(tx: Connection, account_id: str, kind: Resources[R], name: str) -> None:
    """Refuse a name that a resource of this kind has.

    Raises:
        AlreadyExistsError: it has.
    """
    if kind.has_name(tx, account_id, name):
        raise AlreadyExistsError(kind.kind, name)


def make(
    context: BehaviorContext,
    tx: Connection,
    account_id: str,
    kind: Resources[R],
    job: Job,
    *,
    id: str,
    name: str,
    turn_key: str | None = None,
    **columns: Any,
) -> R:
    """Insert a resource and the run of the job that makes it, and reserve the place of the job's result.

    Args:
        turn_key: see ``compute.runs.create_run``.
        columns: of the resource's row, besides those that all kinds have.

    Raises:
        AlreadyExistsError: the name, or the place of the result, is taken.
        QuotaExceededError: the account has as many of this kind as it may.
    """
    run = runs.create_run(
        tx,
        account_id=account_id,
        project_id=system_project(tx, account_id),
        spec=job_spec(context.settings, job),
        kind=job.kind,
        turn_key=turn_key,
    )
    kind.insert(tx, account_id, id=id, name=name, run_id=run.id, limit=context.settings.max_resources, **columns)
    if isinstance(job, PublishingJob):
        behavior.reserve_result(tx, job.bucket, job.path, run.id)
    return kind.get(tx, account_id, id)


def delete(
    caller: Caller,
    kind: Resources[R],
    job: type[Job],
    id: str,
    find_users: Callable[[Connection, str], Sequence[str]] | None = None,
) -> Apply[R]:
    """Delete a resource that has ended or was never started, and that nothing unfinished uses.

    What its job published stays; what it put into the internal store goes.

    Args:
        job: makes resources of this kind.
        find_users: returns what is unfinished and uses the resource; None: nothing ever does.
    """

    def apply(tx: Connection) -> R:
        kind.lock(tx, caller.account_id, id)
        resource = kind.get(tx, caller.account_id, id)
        _end_or_refuse(tx, kind.kind, resource, find_users(tx, id) if find_users else (), by=caller.access_key)
        if issubclass(job, PublishingJob):
            behavior.release_result(tx, resource.run.run_id)
        kind.hide(tx, caller.account_id, id)
        if not issubclass(job, PublishingJob):
            behavior.mark_for_deletion(tx, [artefact_dir(job.kind, id, n) for n in range(resource.run.attempt + 1)])
        if find_users is not None:  # it may have been the last that used an encoder
            behavior.mark_for_deletion(tx, behavior.collect_encoders(tx, caller.account_id))
        return resource

    return apply


def cancel(context: BehaviorContext, caller: Caller, kind: Resources[R], id: str) -> Apply[R]:
    """Stop the run that makes a resource, which stays and shows ``CANCELLED``; raises WrongStateError when it has ended."""

    def apply(tx: Connection) -> R:
        resource = kind.get(tx, caller.account_id, id)
        runs.cancel_run(tx, resource.run.run_id, caller.access_key)
        run = run_rows.get(tx, resource.run.run_id)
        if run.state.is_final:  # it had never started, so the reconciler will not see it end
            BehaviorHooks(context.settings).run_ended(tx, run)
        return kind.get(tx, caller.account_id, id)

    return apply


def check_completed(kind: str, resource: Feature | Task) -> None:
    """Refuse to build on something that is not completed.

    Raises:
        WrongStateError: allowed is only ``completed``.
    """
    status = resource.run
    if status.state is not RunState.COMPLETED:
        state = "failed" if status.state.is_final else "not finished"
        raise WrongStateError(
            kind,
            resource.id,
            status.state,
            ("completed",),
            f"The {kind} {resource.name!r} is {state}; wait until it is completed, or use another.",
        )


def artefact_of(status: RunStatus) -> str:
    """Return the key of what a completed run made."""
    return ArtefactResult.from_json(status.result).artefact


def feature_result(feature: Feature) -> MakeFeatureResult:
    """Return what was found out about a completed feature."""
    return MakeFeatureResult.from_json(feature.run.result)


def _end_or_refuse(tx: Connection, kind: str, resource: _MadeByRun, users: Sequence[str], *, by: str) -> None:
    """Cancel the run of a resource that waits for its first attempt; refuse one that runs, or that something uses.

    Raises:
        InUseError: it runs, or started this very moment, or ``users`` names something.
    """
    status = resource.run
    if users:
        raise InUseError(kind, resource.id, users)
    if status.state.is_final:
        return
    is_registered = status.state is RunState.REGISTERED and status.attempt == 0
    if is_registered and runs.cancel_registered(tx, status.run_id, by):
        return
    raise InUseError(kind, resource.id, ["its own job, which has started"])
