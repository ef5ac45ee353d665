"""How the ids of labels and of a feature differ where none of them match."""

from collections.abc import Callable
from itertools import islice, pairwise

from footfall.modeling.blocks import Feature
from footfall.modeling.dtypes import U8

_MAX_IDS = 200_000
_WAYS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("a '.0' at the end", lambda id: id.removesuffix(".0")),
    ("capital and small letters", str.lower),
    ("blanks around them", str.strip),
    ("zeros in front", lambda id: id.lstrip("0")),
    ("hyphens", lambda id: id.replace("-", "")),
    ("what stands in front of the digits", lambda id: id.lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-:")),
    ("quotes around them", lambda id: id.strip("\"'")),
)


def compare_ids(id_B: U8, offsets: list[int], feature: Feature) -> str:
    """Return how ids of labels and of a feature are written, behind a colon: one of each, shortened, and in what they differ."""
    raw = id_B.tobytes()
    labels = [raw[a:b].decode("utf-8", "replace") for a, b in islice(pairwise(offsets), _MAX_IDS)]
    users: list[str] = []
    for block in feature.read_blocks():
        ids = block.id_B.tobytes()
        users += [ids[a:b].decode("utf-8", "replace") for a, b in pairwise(block.id_offset_N1.tolist())]
        if len(users) >= _MAX_IDS:
            break
    if not labels or not users:
        return ""
    shown = f": the labels have ids such as {shorten_id(labels[0])}, the feature such as {shorten_id(users[0])}"
    known = set(users)
    for what, way in _WAYS:
        if {way(id) for id in labels} & {way(id) for id in known}:
            return f"{shown}; they differ in {what}"
    return shown


def shorten_id(id: str) -> str:
    """Return an id with its middle left out, and how long it is: enough to see how it is written, not whose it is."""
    keep = min(3, max(1, len(id) // 3))
    cut = f"{id[:keep]}…{id[-keep:]}" if len(id) > 2 else f"{id[:1]}…"
    return f"{cut!r} of {len(id)} characters"
