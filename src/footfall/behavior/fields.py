"""The rules for names and paths, in the order in which the contract wants them checked."""

import unicodedata

from footfall.errors import InvalidFieldError
from footfall.stores.names import check_key

MAX_NAME_LENGTH = 100
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols by their category that show nothing: fillers of Hangul, the empty pattern of Braille."""
_JOINER = "\u200d"


def normalize_name(name: str, field: str = "name") -> str:
    """Return a name in Unicode's composed form, in which names are compared.

    Raises:
        InvalidFieldError: it is empty, begins or ends with a blank, or holds a control or format character, which
            nobody sees (rule ``name``). A joiner between two parts of an emoji is fine.
    """
    normal = unicodedata.normalize("NFC", name)
    if not normal:
        raise InvalidFieldError(field, name, "name", f"{field} is empty; give 1 to {MAX_NAME_LENGTH} characters.")
    if normal != normal.strip():
        raise InvalidFieldError(field, name, "name", f"{field} begins or ends with a blank; leave it out.")
    if normal.isascii() and normal.isprintable():
        return normal
    for position, character in enumerate(normal):
        if unicodedata.category(character) in _UNPRINTABLE and not _joins_emoji(normal, position):
            raise InvalidFieldError(
                field,
                name,
                "name",
                f"{field} holds a control or invisible character (U+{ord(character):04X}); use visible text on one line.",
            )
    if all(unicodedata.category(character)[0] in "MZ" or character in _BLANK for character in normal):
        raise InvalidFieldError(field, name, "name", f"{field} shows nothing; use visible text.")
    return normal


def check_name_length(name: str, field: str = "name", limit: int = MAX_NAME_LENGTH) -> None:
    """Refuse a name that is too long.

    Raises:
        InvalidFieldError: rule ``too_long``.
    """
    if len(name) > limit:
        raise InvalidFieldError(
            field, name, "too_long", f"{field} has {len(name)} characters; use at most {limit} characters and try again."
        )


def check_path(path: str, field: str, *, may_be_empty: bool = False) -> None:
    """Refuse a path that breaks the path rule; one that ends in ``/`` is a directory.

    Raises:
        InvalidFieldError: rule ``path``.
    """
    if not path and not may_be_empty:
        raise InvalidFieldError(field, path, "path", f"{field} is empty; name an object, or a directory with '/' at its end.")
    check_key(path, field=field, allow_directory=True)


def _joins_emoji(name: str, position: int) -> bool:
    """Whether the character is a joiner between a symbol, its variation or skin tone, and another symbol."""
    if name[position] != _JOINER or not 0 < position < len(name) - 1:
        return False
    before, after = name[position - 1], name[position + 1]
    is_symbol = before == "\ufe0f" or unicodedata.category(before) in ("So", "Sk")
    return is_symbol and unicodedata.category(after) == "So"
