"""Score every user of a feature with a task, and publish the result where it was asked for, once.

Parameters and result: see ``behavior/task_runs.py``. Source: the contract, 9-6, 9-15.
"""

from typing import Any

from footfall.jobs.context import JobContext, run_job
from footfall.jobs.inputs import fetch_artefact
from footfall.jobs.outputs import publish_result
from footfall.modeling.scoring.score import score_feature


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
    return {"line_count": n_lines, **publish_result(context, "task_run", job["run_id"], path)}


if __name__ == "__main__":
    run_job(main)
