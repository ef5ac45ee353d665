"""Create and delete custom attributes. Their run is the job ``make_custom_attributes``.

Its parameters (``RunSpec.job``)::

    profile_id            the custom attributes' own id
    feature_artefact, encoder_artefact
    keywords              the keywords, in the order of the request
    bucket, path          where the result goes; reserved in the database until the run ends
    buckets               what ``ownership.claim_bucket`` says of that bucket

Its result: ``line_count``, ``unknown_keywords``, ``object`` and ``sha256`` of what it wrote. Source: the contract, 3.5, 9-16.
"""

from footfall.behavior import fields, ownership, results
from footfall.behavior.context import Apply, Workbench, job_spec
from footfall.behavior.tasks import artefact_of, check_completed
from footfall.compute import runs
from footfall.db import behavior
from footfall.db.access.accounts import system_project
from footfall.db.behavior import FEATURES
from footfall.db.connection import Connection
from footfall.db.profiles import CUSTOM_ATTRIBUTES
from footfall.errors import AlreadyExistsError, InvalidFieldError
from footfall.records import Caller, CustomAttributes, new_id

MAX_KEYWORD_SET = 1000


def create_custom_attributes(
    bench: Workbench, caller: Caller, *, name: str, feature_id: str, keyword_set: str, bucket: str, path: str
) -> Apply[CustomAttributes]:
    """Check new custom attributes; the answer makes them and their run, and reserves the result's place.

    Raises:
        InvalidFieldError, NotFoundError, WrongStateError, AlreadyExistsError, StoreUnavailableError.
    """
    name = fields.normalize_name(name)
    keywords = read_keywords(keyword_set)
    fields.check_name_length(name)
    fields.check_path(path, "result_file_path", may_be_empty=True)
    account_id = caller.account_id
    with bench.database.read() as connection:
        feature = FEATURES.get(connection, account_id, feature_id)
        check_completed("feature", feature.id, feature.name, feature.run)
        encoder = behavior.get_encoder(connection, account_id, str(feature.encoder_id))
        if CUSTOM_ATTRIBUTES.has_name(connection, account_id, name):
            raise AlreadyExistsError("custom attribute", name)
    key = results.choose_key(bench, account_id, bucket, path)

    def apply(tx: Connection) -> CustomAttributes:
        FEATURES.lock(tx, account_id, feature_id)
        id = new_id()
        job = {
            "profile_id": id,
            "feature_artefact": artefact_of(feature.run),
            "encoder_artefact": encoder.artefact,
            "keywords": keywords,
            "bucket": bucket,
            "path": key,
            "buckets": [ownership.claim_bucket(bench.settings, tx, account_id, bucket, "result_bucket")],
        }
        run = runs.create_run(
            tx,
            account_id=account_id,
            project_id=system_project(tx, account_id),
            spec=job_spec(bench.settings, "make_custom_attributes", job),
            kind="custom_attribute",
        )
        CUSTOM_ATTRIBUTES.insert(
            tx,
            account_id,
            id=id,
            name=name,
            run_id=run.id,
            feature_id=feature_id,
            keyword_set="\n".join(keywords),
            result_bucket=bucket,
            result_file_path=key,
            limit=bench.settings.max_resources,
        )
        behavior.reserve_result(tx, bucket, key, run.id)
        return CUSTOM_ATTRIBUTES.get(tx, account_id, id)

    return apply


def delete_custom_attributes(caller: Caller, id: str) -> Apply[CustomAttributes]:
    """Delete custom attributes that have ended or were never started; their result object stays."""
    return results.delete_maker(caller, CUSTOM_ATTRIBUTES, "custom attribute", id)


def read_keywords(keyword_set: str) -> list[str]:
    """Return the keywords of a set, one a line, each once; blank lines do not count, nor more blanks than one between words.

    Raises:
        InvalidFieldError: rule ``range``, ``missing`` or ``pattern``: it is too long, holds none, or holds a control character.
    """
    field = "keyword_set"
    if len(keyword_set) > MAX_KEYWORD_SET:
        raise InvalidFieldError(
            field,
            keyword_set,
            "range",
            f"{field} has {len(keyword_set)} characters; use at most {MAX_KEYWORD_SET:,} in all, line breaks included.",
        )
    lines = dict.fromkeys(" ".join(line.split()) for line in keyword_set.split("\n"))
    found = [line for line in lines if line]
    if not found:
        raise InvalidFieldError(field, keyword_set, "missing", f"{field} holds no keyword; give one a line.")
    for keyword in found:
        bad = next((character for character in keyword if not character.isprintable() and character != "\u200d"), None)
        if bad is not None:
            raise InvalidFieldError(
                field,
                keyword_set,
                "pattern",
                f"{field} holds a control or invisible character (U+{ord(bad):04X}); give visible text, one keyword a line.",
            )
    return found
