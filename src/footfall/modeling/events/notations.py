"""Numbers as people write them: ``58,23 €``, ``1.234,50``, ``$58.23``, ``12,5 %``, ``1'000``, ``(12.50)``.

How a column writes them is decided once, by all values that were looked at; what differs from it later is refused by its row.
Where it cannot be told (``1,234`` alone) the column stays one of texts, with the reason.

Shapes: N values.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_CODES = frozenset((
    "usd", "eur", "gbp", "jpy", "krw", "cny", "rmb", "chf", "inr", "rub", "brl", "try", "pln", "sek", "nok", "dkk",
    "czk", "huf", "ron", "aud", "cad", "nzd", "hkd", "sgd", "twd", "thb", "vnd", "idr", "myr", "php", "mxn", "zar",
    "ils", "aed", "sar", "egp", "ngn", "uah", "ars", "clp", "cop", "pen", "kr", "zł", "kč", "ft", "lei", "руб",
    "руб.", "р.", "rs", "rs.", "rp", "r$", "us$", "a$", "c$", "hk$", "nt$", "s$", "fr.", "sfr.", "rm", "원", "円", "元",
    "euro", "dollar", "tl", "eur.",
))  # fmt: skip
_WITHOUT_PARTS = ("jpy", "krw", "vnd", "idr", "clp", "huf", "rp", "원", "円", "₩", "₫")
_BLANKS = " \u00a0\u202f\u2009\t"
_QUOTES = "'’`"
_NUMBER = re.compile(rf"\d[\d.,{_BLANKS}{_QUOTES}]*\d|\d|[.,]\d+")
_CODE = re.compile(r"[A-Za-z]{1,8}[-_ ]?\d{1,64}|\d{1,64}[-_ ]?[A-Za-z]{1,8}")
_MIN_SHARE = 0.95
"""Of the values that are there, how many must be numbers before a column is one of numbers."""
_LOOKS_SHARE = 0.8
"""With so many that look like numbers, but not alike, the column is warned of."""
_MIN_THOUSANDS, _MIN_SMALL = 20, 0.02
"""So many ``1,234``, and a share of whole numbers below 1,000 among them, and none above without a mark, show thousands."""


@dataclass(frozen=True)
class Notation:
    """How a column writes its numbers."""

    decimal: str
    """``.`` or ``,``."""
    unit: str = ""
    """The currency or ``%`` before or behind them; some may stand without."""

    def describe(self) -> str:
        """Return it in words."""
        words = [f"decimal {'comma' if self.decimal == ',' else 'point'}"]
        return ", ".join(words + ([f"in {self.unit}"] if self.unit else []))


@dataclass(frozen=True)
class Found:
    """How numbers are written, or why that cannot be told; neither for what are no numbers."""

    notation: Notation | None = None
    doubt: str = ""
    is_whole: bool = False


def find_notation(texts: Sequence[bytes]) -> Found:
    """Return how a column writes its numbers, by some of its known values."""
    words = [text.decode("utf-8", "replace").strip() for text in texts]
    taken = [_take_apart(word) for word in words]
    parts = [part for part in taken if part is not None]
    if not texts or len(parts) < _LOOKS_SHARE * len(texts):
        return Found()
    shape_of = {number: _shape(number) for _, number, _ in parts}
    shapes = Counter(shape_of[number] for _, number, _ in parts)
    units = Counter(unit for unit, _, _ in parts)
    is_plain = not units.keys() - {""} and not shapes.keys() - {"plain", "small"}
    if is_plain and _are_codes([word for word, part in zip(words, taken, strict=True) if part is None]):
        return Found()  # invoices and articles: 536365, C541433
    if len(parts) < _MIN_SHARE * len(texts):
        if is_plain:
            return Found()  # sizes, grades: 38, 40, XL
        return Found(doubt="most of its values are numbers, but not all")
    signs = units.keys() - {""}
    if len(signs) > 1:
        shown = " and ".join(repr(sign) for sign in sorted(signs)[:2])
        return Found(doubt=f"it holds numbers with {shown}, which cannot be added up; keep one unit a column")
    n_either = sum(shape == "either comma" for shape in shape_of.values())  # a few, again and again, are lists
    unit = next(iter(signs), "")
    if unit == "%" and units[""] > (1 - _MIN_SHARE) * len(parts):
        return Found(doubt="some of its numbers are per cents and some are not")
    decimal, doubt = _decimal_mark(shapes, n_either, has_parts=unit.lower() not in _WITHOUT_PARTS)
    if doubt:
        return Found(doubt=doubt)
    notation = Notation(decimal, unit)
    values = [read_number(text, notation) for text in texts]
    return Found(notation, is_whole=all(value is None or value == int(value) for value in values))


def _are_codes(odd: Sequence[str]) -> bool:
    """Return whether what is no number, though nearly all else is, is mostly letters beside digits: ``C541433``."""
    return 2 * sum(_CODE.fullmatch(word) is not None for word in odd) > len(odd)


def doubt_points(texts: Sequence[bytes]) -> str:
    """Return why plain numbers may have points of thousands in them, as ``12.500`` beside ``980``; mostly nothing."""
    shapes = Counter(_shape(text.decode("utf-8", "replace").strip().lstrip("+-")) for text in texts)
    if shapes["either point"] < _MIN_THOUSANDS or not shapes["small"] or shapes.keys() - {"either point", "small"}:
        return ""
    return "a point before three digits, as in 1.234, is read as a decimal point; write 1234 if it is one of thousands"


def _decimal_mark(shapes: Counter[str], n_either: int, *, has_parts: bool) -> tuple[str, str]:
    """Return (decimal mark, "") or ("", why it cannot be told); ``has_parts``: the currency has cents."""
    comma, point = shapes["comma"], shapes["point"]
    if comma and point:
        return "", "some of its numbers have a decimal comma and some a decimal point"
    if comma:
        return ",", ""
    if point:
        return ".", ""
    if not n_either:
        return ".", ""
    if shapes["either point"]:
        return "", "some of its numbers have a comma and some a point before three digits"
    n = sum(shapes.values())
    if not has_parts:
        return ".", ""
    if n_either >= _MIN_THOUSANDS and shapes["small"] >= max(1, _MIN_SMALL * n) and not shapes["plain"]:
        return ".", ""
    return "", "a comma before three digits, as in 1,234, may be one of thousands or of decimals"


def _take_apart(text: str) -> tuple[str, str, int] | None:
    """Return (unit, the number's digits and marks, sign); None for what is no number."""
    text = text.strip().replace("−", "-")
    sign = 1
    if text.startswith("(") and text.endswith(")"):
        text, sign = text[1:-1].strip(), -1
    match = _NUMBER.search(text)
    if match is None:
        return None
    before, number, behind = text[: match.start()].strip(_BLANKS), match[0], text[match.end() :].strip(_BLANKS)
    if before.endswith(("-", "+")):
        sign, before = (-sign if before[-1] == "-" else sign), before[:-1].strip(_BLANKS)
    elif before.startswith(("-", "+")):
        sign, before = (-sign if before[0] == "-" else sign), before[1:].strip(_BLANKS)
    elif behind.endswith("-"):
        sign, behind = -sign, behind[:-1].strip(_BLANKS)
    if (before and behind) or not _is_unit(before or behind) or _shape(number) == "none":
        return None
    return (before or behind), number, sign


def _is_unit(unit: str) -> bool:
    return not unit or unit == "%" or unit.lower() in _CODES or (len(unit) == 1 and unicodedata.category(unit) == "Sc")


def _shape(number: str) -> str:
    """Return what the marks of a number show: which one is decimal, or that it cannot be told.

    ``plain`` (``small``: below 1,000), ``comma`` and ``point`` (that is decimal), ``either comma`` and ``either point`` (one,
    before three digits), ``none`` (no number).
    """
    bare = re.sub(rf"(?<=\d)[{_BLANKS}{_QUOTES}](?=\d{{3}}(?!\d))", "", number)
    if re.search(rf"[{_BLANKS}{_QUOTES}]", bare):
        return "none"
    if bare.isdigit():
        return ("grouped" if bare[0] != "0" else "none") if bare != number else "small" if len(bare) <= 3 else "plain"
    for decimal, group in ((",", "."), (".", ",")):
        name = "comma" if decimal == "," else "point"
        if re.fullmatch(rf"\d{{1,3}}(\{group}\d{{3}})+\{decimal}\d*", bare):
            return name
        if re.fullmatch(rf"\d{{1,3}}(\{group}\d{{3}}){{2,}}", bare):
            return name
        if re.fullmatch(rf"\d*\{decimal}\d*", bare):
            head, _, tail = bare.partition(decimal)
            is_either = len(tail) == 3 and 1 <= len(head) <= 3 and not head.startswith("0")
            if not is_either:
                return name
            return name if bare != number else f"either {name}"
    return "none"


def read_number(text: bytes, notation: Notation) -> float | None:
    """Return the number that a text holds in a notation, None if it holds none."""
    parts = _take_apart(text.decode("utf-8", "replace"))
    if parts is None or parts[0] not in ("", notation.unit):
        return None
    bare = re.sub(rf"[{_BLANKS}{_QUOTES}]", "", parts[1])
    head, _, tail = bare.rpartition(notation.decimal) if bare.count(notation.decimal) == 1 else (bare, "", "")
    if notation.decimal in head or (not tail.isdigit() and tail):
        return None
    group = "." if notation.decimal == "," else ","
    if group in head and not re.fullmatch(rf"\d{{1,3}}(\{group}\d{{3}})+", head):
        return None
    return parts[2] * float(f"{head.replace(group, '') or '0'}.{tail or '0'}")
