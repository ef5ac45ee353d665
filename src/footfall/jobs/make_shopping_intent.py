"""Describe what the users have in common whom a task selects, and keep that inside the service.

Source: the contract, 9-17.
"""

from footfall.contract.jobs import MakeShoppingIntent, MakeShoppingIntentResult
from footfall.errors import ObjectNotFoundError
from footfall.jobs.context import JobContext, run_job
from footfall.jobs.inputs import fetch_artefact
from footfall.jobs.outputs import keep_artefact
from footfall.layout import PROFILE
from footfall.modeling.scoring.audience import OtherTask, describe_audience
from footfall.modeling.scoring.score import load_scorer


def main(context: JobContext[MakeShoppingIntent]) -> MakeShoppingIntentResult:
    """Do the job; return its result."""
    job = context.parameters
    directory = context.scratch / "profile"
    directory.mkdir()
    path = directory / PROFILE
    audience = describe_audience(
        fetch_artefact(context.internal, job.task_artefact, context.scratch),
        fetch_artefact(context.internal, job.feature_artefact, context.scratch),
        fetch_artefact(context.internal, job.encoder_artefact, context.scratch),
        _load_others(context),
        path,
        progress=context.progress,
    )
    context.log(
        f"{audience.target_users:,} of {audience.line_count:,} users are the target; "
        f"{audience.n_behaviors} behaviors are over-represented among them"
    )
    size_bytes = path.stat().st_size
    artefact = keep_artefact(context, job.profile_id, directory, size_bytes)
    return MakeShoppingIntentResult(line_count=audience.line_count, disk_usage=size_bytes, artefact=artefact)


def _load_others(context: JobContext[MakeShoppingIntent]) -> list[OtherTask]:
    others = []
    for other in context.parameters.others:
        try:
            directory = fetch_artefact(context.internal, other.artefact, context.scratch)
            others.append(OtherTask(other.name, load_scorer(directory)))
        except (ObjectNotFoundError, FileNotFoundError):
            context.log(f"the task {other.name!r} was deleted meanwhile; left out")
    return others


if __name__ == "__main__":
    run_job(MakeShoppingIntent, main)
