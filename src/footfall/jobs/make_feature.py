"""Make a feature: choose or fit an encoder, encode every user, put both where the server finds them.

Parameters and result: see ``behavior/features.py``. The encoder is published before the embedding begins, and nobody
hears of it if that fails. Source: the contract, 9-13, 9-14, 9-18, 9-21.
"""

from dataclasses import dataclass
from typing import Any

from footfall.jobs.context import JobContext, run_job
from footfall.jobs.inputs import fetch_artefact, open_sources, put_artefact, require_quota
from footfall.layout import artefact_dir
from footfall.modeling.encoder import Encoder, cover_sample, fit_sample, load_encoder, take_sample
from footfall.modeling.feature import make_feature, summary_dict
from footfall.modeling.sample import Sample
from footfall.modeling.sequences import PersonalData

SEED = 20251121
MIN_COVERAGE = 0.8
MIN_USERS_SHARE = 0.1
"""An encoder is taken again when it knows this share of the behaviors and saw this share of the number of users."""


@dataclass(frozen=True)
class _Choice:
    encoder: Encoder
    facts: dict[str, Any]
    coverage: float


def main(context: JobContext) -> dict[str, Any]:
    """Do the job; return its result."""
    job = context.parameters
    sources = open_sources(context.buckets, job["bucket"], job["path"])
    mode: PersonalData = job["personal_data"]
    first_mode: PersonalData = "refuse" if mode == "refuse" else "off"  # refused before anything is learned from it
    sample = take_sample(sources, seed=SEED, progress=context.progress, personal_data=first_mode)
    choice = _choose_encoder(context, sample)
    directory = context.scratch / "feature"
    summary = make_feature(
        sources,
        choice.encoder,
        directory,
        max_tokens_per_user=job["max_tokens_per_user"] or None,
        personal_data="warn" if mode == "warn" else "off",
        scratch=context.scratch,
        progress=context.progress,
    )
    for place in summary.personal_data_lines:
        context.log(f"warning: {place}")
    require_quota(summary.disk_usage, job["quota_left_bytes"])
    artefact = artefact_dir("feature", job["feature_id"], context.attempt)
    put_artefact(context.internal, artefact, directory, context.progress)
    return {
        **summary_dict(summary),
        "artefact": artefact,
        "coverage": round(choice.coverage, 6),
        "encoder": choice.facts,
    }


def _choose_encoder(context: JobContext, sample: Sample) -> _Choice:
    job = context.parameters
    asked = job["encoder"]
    if isinstance(asked, dict):
        return _load(context, asked, sample)
    if asked is None:
        for candidate in job["encoders"]:
            if candidate["n_users"] < MIN_USERS_SHARE * sample.n_users:
                continue
            choice = _load(context, candidate, sample)
            context.log(f"encoder {candidate['name']!r} knows {choice.coverage:.1%} of the behaviors")
            if choice.coverage >= MIN_COVERAGE:
                return choice
    return _fit(context, sample)


def _load(context: JobContext, candidate: dict[str, Any], sample: Sample) -> _Choice:
    encoder = load_encoder(fetch_artefact(context.internal, candidate["artefact"], context.scratch))
    facts = {key: candidate[key] for key in ("id", "name", "artefact", "n_users")}
    return _Choice(encoder, {**facts, "size_bytes": 0, "fitted": False}, cover_sample(encoder, sample))


def _fit(context: JobContext, sample: Sample) -> _Choice:
    job = context.parameters
    encoder = fit_sample(sample, seed=SEED, progress=context.progress)
    directory = context.scratch / "encoder"
    encoder.save(directory)
    artefact = artefact_dir("encoder", job["feature_id"], context.attempt)
    size_bytes = put_artefact(context.internal, artefact, directory, context.progress)
    facts = {
        "id": job["feature_id"],  # named by its feature, so that what a failed attempt left can be found
        "name": job["name"],
        "artefact": artefact,
        "n_users": encoder.n_users,
        "size_bytes": size_bytes,
        "fitted": True,
    }
    return _Choice(encoder, facts, cover_sample(encoder, sample))


if __name__ == "__main__":
    run_job(main)
