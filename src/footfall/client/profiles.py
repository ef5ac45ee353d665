"""The client's operations on profiles: shopping intents and custom attributes."""

import builtins
import heapq
import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from footfall.client.frames import read_frame
from footfall.client.replies import CustomAttributes as Attributes
from footfall.client.replies import ShoppingIntent
from footfall.client.resources import Resources, object_path
from footfall.client.transport import Transport
from footfall.contract.profiles import NewCustomAttributes, NewShoppingIntent
from footfall.errors import InputError, ServiceError

if TYPE_CHECKING:
    import polars

Profile = ShoppingIntent | Attributes
_PROFILE = "/api/v1/profile"
INTENT_COLUMNS = {
    "section": "String",
    "name": "String",
    "target_share": "Float64",
    "base_share": "Float64",
    "lift": "Float64",
    "users": "Int64",
}
SIMILARITY_COLUMNS = {"user_id": "String", "similarity": "Float64"}


class ShoppingIntents(Resources[ShoppingIntent]):
    """What the users whom a task found have in common, against all users of its train feature.

    Example:
        >>> task = client.tasks.find("buys tea")
        >>> intent = client.wait(client.shopping_intents.create("tea drinkers", task.id))
        >>> client.shopping_intents.table(intent.id).columns
        ['section', 'name', 'target_share', 'base_share', 'lift', 'users']
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, ShoppingIntent, f"{_PROFILE}/shopping-intents", "profiles")

    def create(self, name: str, task_id: str) -> ShoppingIntent:
        """Describe the tenth of the users with the highest scores."""
        return self._create(NewShoppingIntent(name, task_id))

    def download(self, id: str) -> bytes:
        """Return the table of a completed one: TSV with a header, see ``table``."""
        answer = self._transport.call("GET", f"{_PROFILE}/shopping-intents-download/{quote(id, safe='')}")
        return self._transport.read(answer)

    def table(self, id: str) -> "polars.DataFrame":
        """Return the table of a completed one.

        Columns: ``section`` (``behavior`` or ``attribute``), ``name``, ``target_share`` and ``base_share`` (0 to 1),
        ``lift`` (their quotient) and ``users`` (of the target).
        """
        return read_frame(self.download(id), INTENT_COLUMNS, has_header=True)


class CustomAttributes(Resources[Attributes]):
    """How alike every user of a feature is to keywords.

    Example:
        >>> shoppers = client.features.find("shoppers")
        >>> like = client.custom_attributes.create("shoe people", shoppers.id, ["shoes"], "shop", "shoes.tsv")
        >>> like = client.wait(like)
        >>> client.custom_attributes.similarities(like).columns
        ['user_id', 'similarity']
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, Attributes, f"{_PROFILE}/custom-attributes", "profiles")

    def create(
        self, name: str, feature_id: str, keywords: Iterable[str], result_bucket: str, result_file_path: str
    ) -> Attributes:
        """Compare every user of a feature with keywords, all of them wanted, into a TSV object."""
        if isinstance(keywords, str):
            raise InputError(f"keywords is one text; give a list of texts, as [{keywords!r}].")
        return self._create(NewCustomAttributes(name, feature_id, "\n".join(keywords), result_bucket, result_file_path))

    def similarities(self, attributes: Attributes) -> "polars.DataFrame":
        """Return the result of completed ones: ``user_id`` (text) and ``similarity`` (0 to 1), in the feature's order.

        Raises:
            InputError: they are not completed.
        """
        if attributes.status != "completed":
            raise InputError(f"The profile {attributes.name!r} is {attributes.status}; wait() until it is completed.")
        answer = self._transport.call("GET", object_path(attributes.result_bucket, attributes.result_file_path))
        return read_frame(self._transport.read(answer), SIMILARITY_COLUMNS)


class Profiles:
    """Profiles of both kinds.

    Example:
        >>> [(profile.kind, profile.name) for profile in client.profiles.list()]
        [('custom attributes', 'shoe people'), ('shopping intent', 'tea drinkers')]
        >>> client.profiles.find("tea drinkers").status
        'completed'
    """

    def __init__(self, intents: ShoppingIntents, attributes: CustomAttributes) -> None:
        self._intents, self._attributes = intents, attributes

    def list(self, limit: int | None = None) -> Iterator[Profile]:
        """Yield those of both kinds, newest first."""
        both: tuple[Iterator[Profile], ...] = (self._intents.list(limit), self._attributes.list(limit))
        yield from itertools.islice(heapq.merge(*both, key=_age, reverse=True), limit)

    def get(self, id: str) -> Profile:
        """Return one, with its status and progress as they are now."""
        try:
            return self._intents.get(id)
        except ServiceError as error:
            if error.status != 404:
                raise
        return self._attributes.get(id)

    def find(self, name_or_id: str) -> Profile:
        """Return the one with this id, or else with this name.

        Raises:
            InputError: there is none, or one of each kind has this name.
        """
        matches: builtins.list[Profile] = []
        for kind in (self._intents, self._attributes):
            try:
                matches.append(kind.find(name_or_id))
            except InputError:
                continue
        if not matches:
            raise InputError(f"There is no profile with the id or name {name_or_id!r}; list them to see which there are.")
        if len(matches) > 1:
            ids = " and ".join(f"{profile.kind} {profile.id}" for profile in matches)
            raise InputError(f"Two profiles are called {name_or_id!r}; give an id: {ids}.")
        return matches[0]

    def delete(self, id: str) -> None:
        """Delete one that is not running."""
        self._kind_of(id).delete(id)

    def cancel(self, id: str) -> None:
        """Stop one that has not ended; it becomes ``failed`` with ``CANCELLED``."""
        self._kind_of(id).cancel(id)

    def _kind_of(self, id: str) -> ShoppingIntents | CustomAttributes:
        return self._intents if isinstance(self.get(id), ShoppingIntent) else self._attributes


def _age(profile: Profile) -> tuple[bool, object]:
    return profile.created_at is not None, profile.created_at
