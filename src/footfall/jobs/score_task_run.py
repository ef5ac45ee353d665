"""Score every user of a feature with a task, and publish the result where it was asked for, once.

Source: the contract, 9-6, 9-15.
"""

from footfall.contract.jobs import PublishedResult, ScoreTaskRun
from footfall.jobs.context import JobContext, run_job
from footfall.jobs.inputs import fetch_artefact
from footfall.jobs.outputs import publish_result
from footfall.modeling.scoring.score import score_feature


def main(context: JobContext[ScoreTaskRun]) -> PublishedResult:
    """Do the job; return its result."""
    job = context.parameters
    path = context.scratch / "scores.tsv"
    n_lines = score_feature(
        fetch_artefact(context.internal, job.task_artefact, context.scratch),
        fetch_artefact(context.internal, job.feature_artefact, context.scratch),
        path,
        progress=context.progress,
    )
    object, sha256 = publish_result(context, job.run_id, path)
    return PublishedResult(line_count=n_lines, object=object, sha256=sha256)


if __name__ == "__main__":
    run_job(ScoreTaskRun, main)
