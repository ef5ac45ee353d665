"""Make a feature: choose or fit an encoder, encode every user, put both where the server finds them.

The encoder is published before the users are encoded, and stays unknown if that fails.

Source: the contract, 9-13, 9-14, 9-18, 9-21.
"""

from dataclasses import dataclass

import msgspec
import numpy as np
from msgspec import structs

from footfall.contract.found import FoundData
from footfall.contract.jobs import EncoderCandidate, MakeFeature, MakeFeatureResult, UsedEncoder
from footfall.errors import DataError
from footfall.jobs.context import JobContext, run_job
from footfall.jobs.inputs import fetch_artefact, open_sources, put_artefact
from footfall.jobs.outputs import keep_artefact
from footfall.layout import FOUND, artefact_dir
from footfall.modeling.encoding.dense import find_missing
from footfall.modeling.encoding.encode import make_feature
from footfall.modeling.encoding.encoder import (
    Encoder,
    cover_categories,
    cover_numbers,
    cover_sample,
    fit_sample,
    load_encoder,
    take_sample,
)
from footfall.modeling.encoding.sample import Sample
from footfall.modeling.events.formats.files import find_format
from footfall.modeling.events.log import EventLog, read_log
from footfall.modeling.events.options import LogOptions
from footfall.modeling.reading.histories import Schema
from footfall.modeling.reading.source import PersonalData, Source

SEED = 20251121
MIN_COVERAGE = 0.8
MIN_CATEGORIES = 0.5
MIN_NUMBERS = 0.5
MIN_USERS_SHARE = 0.1
"""An encoder is taken again when it knows these shares of the behaviors and of the values of each category, when so many numbers
of each column lie within those that it was fitted on, and when it saw this share of the number of users."""


@dataclass(frozen=True)
class _Choice:
    encoder: Encoder
    facts: UsedEncoder


def main(context: JobContext[MakeFeature]) -> MakeFeatureResult:
    """Do the job; return its result."""
    job = context.parameters
    sources = open_sources(context.buckets, job.bucket, job.path, context.scratch, context.log, job.personal_data_allowed)
    mode: PersonalData = job.personal_data
    data = _open_data(context, sources, mode)
    if isinstance(job.encoder, EncoderCandidate):
        choice = _load(context, job.encoder)
    else:
        # Refused before anything is learned from it, and then not looked for again.
        first_mode: PersonalData = "refuse" if mode == "refuse" else "off"
        sample = take_sample(data, seed=SEED, progress=context.progress, personal_data=first_mode)
        choice = _choose_encoder(context, sample)
        mode = "warn" if mode == "warn" else "off"
    _log_missing(context, choice.encoder, data)
    directory = context.scratch / "feature"
    summary = make_feature(
        data,
        choice.encoder,
        directory,
        max_tokens_per_user=job.max_tokens_per_user or None,
        personal_data=mode,
        progress=context.progress,
    )
    found = _describe_data(data)
    (directory / FOUND).write_bytes(msgspec.json.encode(found))
    disk_usage = summary.disk_usage + (directory / FOUND).stat().st_size
    context.log(f"the encoder {choice.facts.name!r} knows {summary.coverage:.1%} of the behaviors")
    for place in summary.personal_data_lines:
        context.log(f"warning: {place}")
    return MakeFeatureResult(
        artefact=keep_artefact(context, job.feature_id, directory, disk_usage),
        encoder=choice.facts,
        coverage=round(summary.coverage, 6),
        disk_usage=disk_usage,
        user_count=summary.user_count,
        token_count=summary.token_count,
        empty_users=summary.empty_users,
        truncated_users=summary.truncated_users,
        truncated_tokens=summary.truncated_tokens,
        personal_data=summary.personal_data,
        personal_data_lines=list(summary.personal_data_lines),
        found=found,
    )


def _describe_data(data: list[Source] | EventLog) -> FoundData:
    """Return what was found in the data set, for people."""
    if not isinstance(data, EventLog):
        return FoundData("sequence")
    until = str(np.datetime64(data.until_us, "us").astype("datetime64[s]")) if data.schema.has_time else None
    return FoundData(data.format, list(data.found), list(data.warnings), data.n_events, until)


def _open_data(context: JobContext[MakeFeature], sources: list[Source], mode: PersonalData) -> list[Source] | EventLog:
    """Return the sequence files as they are; an event log read into scratch files."""
    requested = context.parameters.source_options
    options = LogOptions.from_json(None if requested is None else requested.to_json())
    format = options.format
    if format == "auto":
        first = next((source for source in sources if source.size_bytes), sources[0])
        format = find_format(first, has_columns=options.has_columns)
    if format == "sequence":
        if options.observed_until is not None:
            raise DataError(
                "UNEXPECTED_TXT_FORMAT",
                "`observed_until` needs times, and a sequence file has none. Leave it out, or say the `format` of the log.",
                path=sources[0].name,
            )
        return sources
    directory = context.scratch / "log"
    directory.mkdir()
    context.log(f"the data set is an event log ({format})")
    return read_log(
        sources, format, options, directory, salt=SEED, personal_data=mode, progress=context.progress, log=context.log
    )


def _log_missing(context: JobContext[MakeFeature], encoder: Encoder, data: list[Source] | EventLog) -> None:
    schema = data.schema if isinstance(data, EventLog) else Schema()
    missing = find_missing(encoder.schema, schema)
    if missing:
        context.log(
            f"warning: the encoder knows {', '.join(missing)} of events, which this data set does not have; they count as "
            "missing for all of its users"
        )
    unused = find_missing(schema, encoder.schema)
    if unused:
        context.log(f"warning: the encoder knows nothing of {', '.join(unused)}; what the data set says of them is not used")


def _choose_encoder(context: JobContext[MakeFeature], sample: Sample) -> _Choice:
    job = context.parameters
    if job.encoder is None:
        for candidate in job.encoders:
            if candidate.n_users < MIN_USERS_SHARE * sample.n_users:
                continue
            try:
                choice = _load(context, candidate)
            except DataError as error:  # an encoder of an earlier release is no reason to fail
                context.log(f"encoder {candidate.name!r} is passed over: {error}")
                continue
            coverage = cover_sample(choice.encoder, sample)
            context.log(f"encoder {candidate.name!r} knows {coverage:.1%} of the behaviors of a sample")
            unknown = [name for name, share in cover_categories(choice.encoder, sample).items() if share < MIN_CATEGORIES]
            if unknown:
                context.log(f"encoder {candidate.name!r} knows few of the values of {', '.join(unknown)}")
            strange = [name for name, share in cover_numbers(choice.encoder, sample).items() if share < MIN_NUMBERS]
            if strange:
                context.log(f"encoder {candidate.name!r} was fitted on numbers of another size of {', '.join(strange)}")
            if coverage >= MIN_COVERAGE and not unknown and not strange and _has_schema_of(choice.encoder, sample):
                return choice
    return _fit(context, sample)


def _has_schema_of(encoder: Encoder, sample: Sample) -> bool:
    """Whether an encoder knows of events exactly what the data set has; another one would ignore some of it, or lack some."""
    facts = sample.histories.facts
    return encoder.schema == (Schema() if facts is None else facts.schema)


def _load(context: JobContext[MakeFeature], candidate: EncoderCandidate) -> _Choice:
    encoder = load_encoder(fetch_artefact(context.internal, candidate.artefact, context.scratch))
    return _Choice(encoder, UsedEncoder(**structs.asdict(candidate), size_bytes=0, fitted=False))


def _fit(context: JobContext[MakeFeature], sample: Sample) -> _Choice:
    job = context.parameters
    encoder = fit_sample(sample, seed=SEED, progress=context.progress)
    directory = context.scratch / "encoder"
    encoder.save(directory)
    artefact = artefact_dir("encoder", job.feature_id, context.attempt)
    size_bytes = put_artefact(context.internal, artefact, directory, context.progress)
    facts = UsedEncoder(
        id=job.feature_id,  # named by its feature, so that what a failed attempt left can be found
        name=job.name,
        artefact=artefact,
        n_users=encoder.n_users,
        size_bytes=size_bytes,
        fitted=True,
    )
    return _Choice(encoder, facts)


if __name__ == "__main__":
    run_job(MakeFeature, main)
