"""Create and delete custom attributes, which the job ``make_custom_attributes`` makes. Source: the contract, 3.5, 9-16."""

from footfall.behavior import fields, ownership, resources, results
from footfall.behavior.context import Apply, BehaviorContext
from footfall.contract.jobs import MakeCustomAttributes
from footfall.db import behavior
from footfall.db.behavior import FEATURES
from footfall.db.engine.engine import Connection
from footfall.db.profiles import CUSTOM_ATTRIBUTES
from footfall.errors import InvalidFieldError
from footfall.records import Caller, CustomAttributes, new_id

MAX_KEYWORD_SET = 1000


def create_custom_attributes(
    context: BehaviorContext, caller: Caller, *, name: str, feature_id: str, keyword_set: str, bucket: str, path: str
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
    with context.database.read() as connection:
        feature = FEATURES.get(connection, account_id, feature_id)
        resources.check_completed("feature", feature)
        encoder = behavior.get_encoder(connection, account_id, str(feature.encoder_id))
        resources.check_name_is_free(connection, account_id, CUSTOM_ATTRIBUTES, name)
    key = results.choose_key(context, account_id, bucket, path)

    def apply(tx: Connection) -> CustomAttributes:
        FEATURES.lock(tx, account_id, feature_id)
        id = new_id()
        job = MakeCustomAttributes(
            profile_id=id,
            feature_artefact=resources.artefact_of(feature.run),
            encoder_artefact=encoder.artefact,
            keywords=keywords,
            bucket=bucket,
            path=key,
            buckets=[ownership.claim_bucket(context.settings, tx, account_id, bucket, "result_bucket")],
        )
        return resources.make(
            context,
            tx,
            account_id,
            CUSTOM_ATTRIBUTES,
            job,
            id=id,
            name=name,
            feature_id=feature_id,
            keyword_set="\n".join(keywords),
            result_bucket=bucket,
            result_file_path=key,
        )

    return apply


def delete_custom_attributes(caller: Caller, id: str) -> Apply[CustomAttributes]:
    """Delete custom attributes that have ended or were never started; their result object stays."""
    return resources.delete(caller, CUSTOM_ATTRIBUTES, MakeCustomAttributes, id)


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
    keywords = [line for line in lines if line]
    if not keywords:
        raise InvalidFieldError(field, keyword_set, "missing", f"{field} holds no keyword; give one a line.")
    for keyword in keywords:
        bad = next((character for character in keyword if not character.isprintable() and character != "\u200d"), None)
        if bad is not None:
            raise InvalidFieldError(
                field,
                keyword_set,
                "pattern",
                f"{field} holds a control or invisible character (U+{ord(bad):04X}); give visible text, one keyword a line.",
            )
    return keywords
