"""Compare every user of a feature with keywords, and publish the result where it was asked for, once.

Source: the contract, 9-6, 9-16, 9-24.
"""

from footfall.contract.jobs import MakeCustomAttributes, MakeCustomAttributesResult
from footfall.jobs.context import JobContext, run_job
from footfall.jobs.inputs import fetch_artefact
from footfall.jobs.outputs import publish_result
from footfall.modeling.scoring.keywords import match_keywords

MAX_NAMED = 100


def main(context: JobContext[MakeCustomAttributes]) -> MakeCustomAttributesResult:
    """Do the job; return its result."""
    job = context.parameters
    path = context.scratch / "similarities.tsv"
    matches = match_keywords(
        fetch_artefact(context.internal, job.encoder_artefact, context.scratch),
        fetch_artefact(context.internal, job.feature_artefact, context.scratch),
        job.keywords,
        path,
        progress=context.progress,
    )
    if matches.unknown:
        context.log(f"warning: the encoder does not know {', '.join(map(repr, matches.unknown))}; left out")
    object, sha256 = publish_result(context, job.profile_id, path)
    return MakeCustomAttributesResult(
        line_count=matches.line_count, object=object, sha256=sha256, unknown_keywords=list(matches.unknown[:MAX_NAMED])
    )


if __name__ == "__main__":
    run_job(MakeCustomAttributes, main)
