"""Which encoder a feature uses, and which features fit together."""

from collections.abc import Sequence
from typing import Any

from footfall.db import behavior
from footfall.db.connection import Connection
from footfall.errors import IncompatibleError, NotFoundError
from footfall.records import Encoder, Feature

NEW = "new"


def choose(connection: Connection, account_id: str, name: str | None) -> Any:
    """Return the ``encoder`` of a feature's job: None (the job chooses), ``"new"``, or the candidate of this name.

    Raises:
        NotFoundError: the account has no encoder of this name.
    """
    if name is None or name == NEW:
        return name
    found = behavior.find_encoder(connection, account_id, name)
    if found is None:
        raise NotFoundError("encoder", name)
    return candidate(found)


def candidate(encoder: Encoder) -> dict[str, Any]:
    """Return what a job must know of an encoder that it may use."""
    return {"id": encoder.id, "name": encoder.name, "artefact": encoder.artefact, "n_users": encoder.n_users}


def check_compatible(features: Sequence[Feature]) -> None:
    """Refuse features that were not encoded by one encoder.

    Raises:
        IncompatibleError: naming two of them and their encoders.
    """
    for other in features[1:]:
        check_same(features[0].encoder_id, f"the feature {features[0].name!r}", features[0].encoder_name, other)


def check_same(encoder_id: str | None, what: str, encoder_name: str | None, feature: Feature) -> None:
    """Refuse a feature of another encoder than ``encoder_id``, which belongs to ``what``.

    Raises:
        IncompatibleError: naming both.
    """
    if feature.encoder_id != encoder_id:
        raise IncompatibleError(
            f"{what[0].upper()}{what[1:]} was made by the encoder {encoder_name!r}, the feature {feature.name!r} by the encoder "
            f'{feature.encoder_name!r}; make the feature anew with "encoder": {encoder_name!r}.'
        )
