"""Compare every user of a feature with keywords, and publish the result where it was asked for, once.

Parameters and result: see ``behavior/custom_attributes.py``. Source: the contract, 9-6, 9-16, 9-24.
"""

from typing import Any

from footfall.jobs.context import JobContext, run_job
from footfall.jobs.inputs import fetch_artefact
from footfall.jobs.outputs import publish_result
from footfall.modeling.scoring.keywords import match_keywords

MAX_NAMED = 100


def main(context: JobContext) -> dict[str, Any]:
    """Do the job; return its result."""
    job = context.parameters
    path = context.scratch / "similarities.tsv"
    meeting = match_keywords(
        fetch_artefact(context.internal, job["encoder_artefact"], context.scratch),
        fetch_artefact(context.internal, job["feature_artefact"], context.scratch),
        job["keywords"],
        path,
        progress=context.progress,
    )
    if meeting.unknown:
        context.log(f"warning: the encoder does not know {', '.join(map(repr, meeting.unknown))}; left out")
    published = publish_result(context, "custom_attribute", job["profile_id"], path)
    return {"line_count": meeting.line_count, "unknown_keywords": list(meeting.unknown[:MAX_NAMED]), **published}


if __name__ == "__main__":
    run_job(main)
