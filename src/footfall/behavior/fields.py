"""The rules for names and paths, in the order in which the contract wants them checked."""

import unicodedata

from footfall.errors import InvalidFieldError
from footfall.places import check_key

MAX_NAME_LENGTH = 100


def normalize_name(name: str, field: str = "name") -> str:
    """Return a name in Unicode's composed form, in which names are compared.

    Raises:
        InvalidFieldError: it is empty, begins or ends with a blank, or holds a control character (rule ``name``).
    """
    normal = unicodedata.normalize("NFC", name)
    if not normal:
        raise InvalidFieldError(field, name, "name", f"{field} is empty; give 1 to {MAX_NAME_LENGTH} characters.")
    if normal != normal.strip():
        raise InvalidFieldError(field, name, "name", f"{field} begins or ends with a blank; leave it out.")
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in normal):
        raise InvalidFieldError(
            field, name, "name", f"{field} holds a control character; use visible text on one line."
        )
    return normal


def check_name_length(name: str, field: str = "name", limit: int = MAX_NAME_LENGTH) -> None:
    """Refuse a name that is too long.

    Raises:
        InvalidFieldError: rule ``too_long``.
    """
    if len(name) > limit:
        raise InvalidFieldError(
            field,
            name,
            "too_long",
            f"{field} has {len(name)} characters; use at most {limit} characters and try again.",
        )


def check_path(path: str, field: str, *, may_be_empty: bool = False) -> None:
    """Refuse a path that breaks the path rule; one that ends in ``/`` is a directory.

    Raises:
        InvalidFieldError: rule ``path``.
    """
    if not path and not may_be_empty:
        raise InvalidFieldError(
            field, path, "path", f"{field} is empty; name an object, or a directory with '/' at its end."
        )
    check_key(path, field=field, allow_directory=True)
