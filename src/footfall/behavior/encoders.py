"""Which encoder a feature uses, what a new one is called, and which features fit together."""

import unicodedata
from collections.abc import Collection, Sequence
from typing import Literal

from footfall.behavior.fields import MAX_NAME_LENGTH
from footfall.contract.jobs import EncoderCandidate
from footfall.db import behavior
from footfall.db.engine.engine import Connection
from footfall.errors import IncompatibleError, NotFoundError
from footfall.records import Encoder, Feature

MAX_NAMED = 3


def choose(connection: Connection, account_id: str, name_or_id: str | None) -> EncoderCandidate | Literal["new"] | None:
    """Return the ``encoder`` of a feature's job: None (the job chooses), ``"new"``, or the candidate of this id or name.

    Raises:
        NotFoundError: the account has no such encoder.
    """
    if name_or_id is None:
        return None
    if name_or_id == "new":
        return "new"
    encoder = behavior.find_encoder(connection, account_id, unicodedata.normalize("NFC", name_or_id))
    if encoder is None:
        raise NotFoundError("encoder", name_or_id)
    return candidate(encoder)


def free_name(preferred: str, taken: Collection[str]) -> str:
    """Return the name of a new encoder: that of the feature that fitted it, with a number behind if an encoder has it."""
    name, number = preferred, 1
    while name in taken:
        number += 1
        suffix = f"-{number}"
        name = preferred[: MAX_NAME_LENGTH - len(suffix)] + suffix
    return name


def candidate(encoder: Encoder) -> EncoderCandidate:
    """Return what a job must know of an encoder that it may use."""
    return EncoderCandidate(id=encoder.id, name=encoder.name, artefact=encoder.artefact, n_users=encoder.n_users)


def check_compatible(connection: Connection, account_id: str, features: Sequence[Feature]) -> None:
    """Refuse features that were not encoded by one encoder.

    Raises:
        IncompatibleError: naming two of them and their encoders, and what would do.
    """
    first = features[0]
    for other in features[1:]:
        what = f"the feature {first.name!r}"
        check_same(connection, account_id, what, str(first.encoder_id), str(first.encoder_name), other)


def check_same(connection: Connection, account_id: str, what: str, encoder_id: str, encoder_name: str, feature: Feature) -> None:
    """Refuse a feature of another encoder than ``encoder_id``, which belongs to ``what``.

    Raises:
        IncompatibleError: naming both, and what would do.
    """
    if feature.encoder_id != encoder_id:
        fit = behavior.features_of_encoder(connection, account_id, encoder_id, MAX_NAMED)
        take = f"take a feature of that encoder ({', '.join(map(repr, fit))}), or " if fit else ""
        raise IncompatibleError(
            f"{what[0].upper()}{what[1:]} was made by the encoder {encoder_name!r} ({encoder_id}), the feature "
            f"{feature.name!r} by the encoder {feature.encoder_name!r} ({feature.encoder_id}); {take}make the feature anew "
            f'with "encoder": "{encoder_id}".'
        )
