"""Fields of objects as columns that are called by their path: ``properties.page``, ``event_params.page_title``.

Knows values as JSON has them. A list of pairs, as GA4 writes parameters (``[{"key": "page", "value": {"string_value": "a"}}]``)
and Parquet writes maps, is an object, too.
"""

from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 4
"""Deeper fields are not columns."""
_MAX_FIELDS = 400
Steps = tuple[str, ...]


def as_object(value: Any) -> dict[str, Any] | None:
    """Return a value as an object, None if it is none."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(pair, dict) and pair.keys() == {"key", "value"} for pair in value):
        return {str(pair["key"]): _one_of(pair["value"]) for pair in value}
    if all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        return {str(key): held for key, held in value}
    return None


def _one_of(value: Any) -> Any:
    """Return the value among ``string_value``, ``int_value`` and the like that is there."""
    if isinstance(value, dict) and value and all(name.endswith("_value") for name in value):
        return next((held for held in value.values() if held is not None), None)
    return value


def walk(row: dict[str, Any], before: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    """Yield the path and the value of each field that is no object; an object at the end of the way is itself a value."""
    for name, value in row.items():
        path = (*before, name)
        inner = as_object(value) if len(path) < MAX_DEPTH else None
        if inner:
            yield from walk(inner, path)
        else:
            yield path, value


def name_paths(rows: list[dict[str, Any]]) -> dict[str, Steps]:
    """Return the columns of rows by their names, the outermost first; a name with a point in it wins over a path."""
    seen = dict.fromkeys(path for row in rows for path, _ in walk(row))
    names: dict[str, Steps] = {}
    for path in sorted(seen, key=len)[:_MAX_FIELDS]:
        names.setdefault(".".join(path), path)
    order = {path: i for i, path in enumerate(seen)}
    return dict(sorted(names.items(), key=lambda item: (len(item[1]) > 1, order[item[1]])))


def take(value: Any, path: Steps) -> Any:
    """Return what stands at the end of a path, None where it leads nowhere."""
    for step in path:
        inner = as_object(value)
        if inner is None:
            return None
        value = inner.get(step)
    return value
