"""What names of columns mean in event logs, however they are spelled: users, times, behaviors, ids, numbers of rows.

Knows names alone. ``user_id``, ``userId``, ``USERID``, ``userid`` and ``user_id:token`` are one name: a typed suffix goes, and
letters and digits alone are compared. A field of an object is called by its path (``properties.page``), and by its last step.
"""

import re
from collections.abc import Iterable

_SUFFIX = re.compile(
    r":(token|float|token_seq|float_seq|string|str|text|int|int32|int64|integer|long|double|decimal|bool|boolean|date|datetime"
    r"|timestamp|category)$",
    re.IGNORECASE,
)


def compact(name: str) -> str:
    """Return the small letters and digits of a name, without a typed suffix."""
    return re.sub(r"[^0-9a-z]+", "", _SUFFIX.sub("", name.strip()).lower())


def snake(name: str) -> str:
    """Return a name in small letters with underscores, without a typed suffix: ``CustomerID`` is ``customer_id``."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", _SUFFIX.sub("", name.strip()))
    return re.sub(r"[^0-9a-z]+", "_", parted.lower()).strip("_")


def _ranked(names: Iterable[str]) -> dict[str, int]:
    ranks: dict[str, int] = {}
    for name in names:
        ranks.setdefault(compact(name), len(ranks))
    return ranks


_PERSONS = (
    "user", "usr", "customer", "cust", "client", "member", "account", "acct", "visitor", "person", "subscriber", "buyer",
    "shopper", "purchaser", "consumer", "player", "viewer", "listener", "reader", "patient", "student", "learner", "passenger",
    "guest", "reviewer", "profile", "contact", "household", "cardholder", "card", "device", "cookie", "distinct", "anonymous",
    "amplitude", "personalization",
)  # fmt: skip
_ID_ENDINGS = ("id", "key", "no", "nr", "num", "number", "code", "uuid", "guid", "hash", "pk", "identifier")
_USER = _ranked((
    "user_id", "user", "uid", "customer_id", "customer", "client_id", "member_id", "member", "account_id", "visitor_id",
    "person_id", "subscriber_id", "mid", "user_pseudo_id", "distinct_id", "anonymous_id", "amplitude_id", "visitor",
    "household_key", "card_id", "msno", "full_visitor_id", "mcvisid", "ecid", "visid", "user_name", "person", "subscriber",
    *(f"{person}_{ending}" for person in _PERSONS for ending in _ID_ENDINGS),
    *(f"id_{person}" for person in _PERSONS), *(f"hashed_{person}_id" for person in _PERSONS),
    *(f"{person}_id_hash" for person in _PERSONS), "pseudo_id", "pseudonym_id", "buyer", "shopper", "player",
))  # fmt: skip
_TIME = _ranked((
    "timestamp", "event_time", "event_timestamp", "time", "datetime", "date_time", "ts", "occurred_at", "created_at",
    "event_date", "date", "day", "invoice_date", "order_date", "transaction_date",
))  # fmt: skip
"""A column that is called so and holds no times is refused."""
_OTHER_TIME = _ranked((
    "event_datetime", "event_ts", "trans_date", "trans_time", "t_dat", "dt", "date_id", "transaction_time", "server_time",
    "server_timestamp", "hit_time_gmt", "hit_time", "client_event_time", "client_time", "original_timestamp", "sent_at",
    "received_at", "logged_at", "log_time", "purchase_date", "purchase_time", "purchased_at", "order_time", "ordered_at",
    "order_timestamp", "order_purchase_timestamp", "invoice_time", "click_time", "view_time", "visit_time", "visit_start_time",
    "request_time", "action_time", "behavior_time", "unix_time", "unix_timestamp", "unix_review_time", "epoch", "epoch_ms",
    "ts_ms", "time_ms", "event_time_ms", "datum", "fecha", "local_time", "created", "created_on", "created_date", "created_time",
    "date_created", "date_added", "added_at", "posted_at", "played_at", "watched_at", "rated_at",
))  # fmt: skip
_BEHAVIOR = _ranked(("behavior", "behaviour", "activity", "act"))
_VERB = _ranked((
    "event", "event_type", "event_name", "action", "verb", "type", "action_type", "behavior_type", "activity_type",
    "activity_name", "event_action", "interaction_type", "interaction", "event_category",
))  # fmt: skip
_OBJECT = _ranked((
    "description", "item_description", "text", "title", "item_name", "product_name", "name", "item", "product", "page", "url",
    "path", "category", "item_id", "product_id", "sku", "query", "code", "mcc", "mcc_code", "product_title", "page_title",
    "page_name", "page_path", "page_url", "page_location", "screen_name", "screen", "article", "article_id", "article_number",
    "article_no", "product_code", "item_code", "product_sku", "stock_code", "asin", "item_number", "product_number", "item_no",
    "product_no", "content_id", "movie_id", "book_id", "track_id", "song_id", "video_id", "news_id", "aid",
))  # fmt: skip

_CODES = ("id", "code", "mcc", "zip", "zipcode", "postcode", "sku", "no", "type", "kind", "status", "nr", "uuid", "guid", "asin")
"""Last words of names of numbers that are only names."""
_ENDS_LIKE_ID = re.compile(r"(id|code|sku|key|uuid|guid|isbn|barcode)$")
_ENDS_LIKE_NUMBER = re.compile(r"(no|nr|num|number|pk|hash)$")
_WORDS_IN_ID = re.compile(
    r"(paid|bid|grid|valid|void|avoid|solid|fluid|liquid|acid|aid|raid|said|laid|hybrid|android|rapid|covid|kid|lid|mid|rid|skid"
    r"|monkey|turkey|whiskey|casino|volcano|techno|piano|kino|domino)$"
)
_THINGS = (
    "item", "product", "article", "artikel", "sku", "order", "session", "customer", "account", "invoice", "ticket", "card",
    "store", "shop", "campaign", "transaction", "trans", "user", "member", "stock", "serial", "part", "phone", "document",
)  # fmt: skip
_OBJECT_IDS = {name for name in _OBJECT if name.endswith(("id", "code", "no", "number", "sku", "asin"))} | {
    "item", "product", "article", "ean", "gtin", "upc", "invoice", "receipt"
}  # fmt: skip
_BEGINS_WITH_ID = re.compile(f"id({'|'.join(_THINGS)}|site|action|visit|goal|link|page|event|category)")
_ROW_NUMBERS = frozenset((
    "index", "rowindex", "rowid", "rownumber", "rownum", "rownr", "rowno", "row", "idx", "level0", "unnamed", "rowname",
    "rownames", "obs", "recordnumber", "recno", "linenumber", "lineno",
))  # fmt: skip
_NO_NAME = re.compile(r"\s*|Unnamed: ?\d+|__index_level_\d+__|\.\.\.\d+|_c0", re.IGNORECASE)
_PRIVATE = re.compile(r"mail|phone|mobile|address|street|birth|passport|licen[cs]e")
_PRIVATE_WORDS = frozenset(("ip", "lat", "lon", "lng", "latitude", "longitude", "tel", "dob", "ssn", "rrn", "token", "cookie"))
_PERSON_NAME = re.compile(r"(.*(first|last|full|user|nick|sur|middle|given|family|customer|client|person|contact))?name")
_VAGUE = frozenset(("category", "name", "type", "code", "text", "kind", "title", "path", "description"))
"""What a field of any object may be called: the category of a device is not what was done."""


def _rank(ranks: dict[str, int], name: str) -> int | None:
    """Return the place of a name among others; a field of an object behind all columns."""
    if compact(name) in ranks:
        return ranks[compact(name)]
    path, _, last = name.rpartition(".")
    rank = ranks.get(compact(last)) if path and compact(last) not in _VAGUE else None
    return None if rank is None else rank + 10_000


class Names:
    """The columns of a log, to be found by what their names mean."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)

    def _find(self, ranks: dict[str, int]) -> list[str]:
        ranked = [(rank, i, name) for i, name in enumerate(self._names) if (rank := _rank(ranks, name)) is not None]
        return [name for _, _, name in sorted(ranked)]

    def users(self) -> list[str]:
        """Return those called as ids of users are, the likeliest first."""
        return self._find(_USER)

    def times(self) -> list[str]:
        """Return those that are always times by their names."""
        return self._find(_TIME)

    def other_times(self) -> list[str]:
        """Return those that are mostly times by their names."""
        return self._find(_OTHER_TIME)

    def behaviors(self) -> list[str]:
        """Return those called behavior."""
        return self._find(_BEHAVIOR)

    def verbs(self) -> list[str]:
        """Return those called as what was done is."""
        return self._find(_VERB)

    def objects(self) -> list[str]:
        """Return those called as what it was done with is."""
        return self._find(_OBJECT)


def names_user(header: Iterable[str]) -> bool:
    """Return whether one of these words is a name that the column of the user has."""
    return any(compact(word) in _USER for word in header)


def means_something(word: str) -> bool:
    """Return whether a word is a name that some role has: so a line that holds it is a header."""
    return any(compact(word) in ranks for ranks in (_USER, _TIME, _OTHER_TIME, _BEHAVIOR, _VERB, _OBJECT))


def is_verb(name: str) -> bool:
    """Return whether a column is called as what was done is."""
    return _rank(_VERB, name) is not None


def has_no_name(name: str) -> bool:
    """Return whether a column has no name, or the one that pandas, Spark or R give to one without."""
    return _NO_NAME.fullmatch(name) is not None


def names_rows(name: str) -> bool:
    """Return whether a column is called as numbers of rows are."""
    return compact(name) in _ROW_NUMBERS


def names_person(name: str) -> bool:
    """Return whether values of a column may tell who somebody is, so that none is shown."""
    short = compact(name.rpartition(".")[2])
    if short in _USER or _PERSON_NAME.fullmatch(short) or _PRIVATE.search(short):
        return True
    return not _PRIVATE_WORDS.isdisjoint(snake(name.rpartition(".")[2]).split("_"))


def names_code(name: str) -> bool:
    """Return whether a column is called as numbers that are only names are, whatever they are: ``item_id``, ``zip``."""
    if re.search(r":token(_seq)?$", name.strip(), re.IGNORECASE) or snake(name.rpartition(".")[2]).split("_")[-1] in _CODES:
        return True
    short = compact(name)
    if snake(name).split("_")[0] == "id" or _BEGINS_WITH_ID.match(short):
        return True
    return (short in _USER and short.endswith(_ID_ENDINGS)) or short in _OBJECT_IDS or any(
        short in (f"{thing}id", f"{thing}no", f"{thing}nr", f"{thing}number", f"{thing}key", f"{thing}code") for thing in _THINGS
    )  # fmt: skip


def may_name_code(name: str) -> str:
    """Return how a name that is no code for certain ends as codes do: ``id``, ``number`` or not at all."""
    short = compact(name)
    if _WORDS_IN_ID.search(short):
        return ""
    return "id" if _ENDS_LIKE_ID.search(short) else "number" if _ENDS_LIKE_NUMBER.search(short) else ""
