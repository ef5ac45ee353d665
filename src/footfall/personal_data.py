"""Find personal data in one line of text: the kinds that the product refuses.

Whoever wrote the line may have made it to take long. So no pattern repeats anything without end, and a long line is searched in
windows: between two of them other threads have their turn, which ``re`` does not give them while it searches.

Knows text only: the standard library, so that the server and the jobs share it. Returns the kind, never the value. Bare digits
that could be a card or a resident registration number are so by chance in one of ten orders or other ids: they count when they
have company (groups, a hyphen, a word), or when most such numbers of a column or file pass their check (``Bare``).
User ids (what stands before the first tab) are exempt from the number rules, not from the e-mail rule.
Sources: the contract, 9-18; ISO/IEC 7812 (Luhn, issuer prefixes), GS1 General Specifications (GTIN check digit),
the check digit of Korean resident registration numbers, RFC 5321 for the shape of addresses.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

EMAIL: Final = "an e-mail address"
CARD: Final = "a payment card number"
RESIDENT: Final = "a resident registration number"
MOBILE: Final = "a mobile phone number"
PASSPORT: Final = "a passport number"
LICENCE: Final = "a driving licence number"
KINDS: Final = {
    "email": EMAIL, "card": CARD, "resident": RESIDENT, "mobile": MOBILE, "passport": PASSPORT, "licence": LICENCE,
}  # fmt: skip
"""The kinds by the words with which settings name them."""
ALLOWING: Final = "If it is none, the operator may allow the kind for the bucket (setting personal_data_allowed)."

_LOCAL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]")
"""What may stand before the ``@``; one is enough, of however many."""
_DOMAIN = re.compile(r"(?:[\w-]{1,63}\.){1,8}([^\W\d_]{2,24})(?!\w)")
_FILE_ENDINGS = frozenset({"png", "jpg", "jpeg", "gif", "webp", "svg", "bmp", "ico", "avif", "heic", "pdf", "css", "js"})

_BEFORE, _AFTER = r"(?<![0-9A-Za-z_.])", r"(?![0-9A-Za-z_])"
_CARD = re.compile(
    _BEFORE + r"(?<![0-9][ -])(\d{14,16}|\d{4}([ -])\d{4}\2\d{4}\2\d{4}|\d{4}([ -])\d{6}\3\d{4,5})" + _AFTER, re.ASCII
)
_RESIDENT = re.compile(_BEFORE + r"(\d{6})( ?- ?)?(\d{7})" + _AFTER, re.ASCII)
_MOBILE = re.compile(
    r"(?<![0-9A-Za-z_.-])(?:"
    r"(?:\+|00)?82[ .-]?(?:\(0\)|0)?1[016789][ .-]?\d{3,4}[ .-]?\d{4}"
    r"|010\d{8}"
    r"|\(?01[016789](?:\) ?|[ .-])\d{3,4}[ .-]?\d{4})" + _AFTER,
    re.ASCII,
)
_PASSPORT_WORD = r"(?:여권|passport)"
_PASSPORT_NUMBER = r"(?<![0-9A-Za-z])[A-Za-z]{1,2}\d(?:\d{6,7}|\d{2}[A-Za-z]\d{4})(?![0-9A-Za-z])"
_PASSPORT = re.compile(
    rf"{_PASSPORT_WORD}\D{{0,24}}?{_PASSPORT_NUMBER}|{_PASSPORT_NUMBER}.{{0,12}}?{_PASSPORT_WORD}", re.IGNORECASE
)
_LICENCE_WORD = r"(?:면허|(?:driv\w{0,12}(?:'s)?|dl) ?-?licen[cs]e|licen[cs]e (?:no|num|nr|#))"
_LICENCE_NUMBER = r"(?<!\d)(?:\d{2}|[가-힣]{2}) ?-? ?\d{2} ?-? ?\d{6} ?-? ?\d{2}(?!\d)"
_LICENCE = re.compile(rf"{_LICENCE_WORD}.{{0,24}}?{_LICENCE_NUMBER}|{_LICENCE_NUMBER}.{{0,12}}?{_LICENCE_WORD}", re.IGNORECASE)

_WINDOW, _OVERLAP = 4096, 256
"""Characters; the longest that a pattern above can match, with what it looks at on both sides, is below 128."""


@dataclass(frozen=True)
class Finding:
    """What a line holds: the kind, by which rule, and whether it is sure or bare digits that may be something else."""

    kind: str
    rule: str
    is_sure: bool = True


def find_personal_data(line: bytes | str, *, has_user_id: bool = True) -> str | None:
    """Return what kind of personal data a line holds, as words for a sentence, or ``None``; see ``find``."""
    finding = find(line, has_user_id=has_user_id)
    return None if finding is None else finding.kind


def find(line: bytes | str, *, has_user_id: bool = True, allowed: frozenset[str] = frozenset()) -> Finding | None:
    """Return the surest personal data of a line, or ``None``.

    Args:
        line: one line; bytes that are not UTF-8 are decoded as far as possible.
        has_user_id: what stands before the first tab is a user id, exempt from the number rules. ``False`` treats
            the whole line as text.
        allowed: kinds that do not count.
    """
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    if EMAIL not in allowed and "@" in text and _has_email(text):
        return Finding(EMAIL, "the shape of an address")
    if has_user_id:
        text = text.partition("\t")[2]
    if not any(c.isdigit() for c in text):
        return None
    return _find_number(text, allowed)


def _find_number(text: str, allowed: frozenset[str]) -> Finding | None:
    low = text.lower()
    found = [] if CARD in allowed else [_card(m) for m in _find_all(_CARD, text) if _is_card(m)]
    found += [] if RESIDENT in allowed else [_resident(m) for m in _find_all(_RESIDENT, text) if _is_resident(m)]
    sure = next((finding for finding in found if finding.is_sure), None)
    if sure is not None:
        return sure
    if MOBILE not in allowed and any(_find_all(_MOBILE, text)):
        return Finding(MOBILE, "prefix and length")
    if PASSPORT not in allowed and ("passport" in low or "여권" in low) and any(_find_all(_PASSPORT, text)):
        return Finding(PASSPORT, "beside its word")
    if LICENCE not in allowed and ("licen" in low or "면허" in low) and any(_find_all(_LICENCE, text)):
        return Finding(LICENCE, "beside its word")
    return found[0] if found else None


def _find_all(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Yield what ``finditer`` yields, looking at a window of the text at a time."""
    start = 0
    while start < len(text):
        end = min(len(text), start + _WINDOW)
        is_last = end == len(text)
        following = end if is_last else end - _OVERLAP
        for match in pattern.finditer(text, start, end):
            if match.end() < end or is_last:  # else it may be longer, or be followed by what it must not be: the next one shows
                yield match
                following = max(following, match.end())
        start = following


_CARD_WORDS = re.compile(r"\bcards?\b|card(_?n[or]|num|_)|카드|credit|visa|mastercard|\bamex\b|\bpan\b")
_RESIDENT_WORDS = re.compile(r"주민|resident|\brrn\b|jumin|ssn")


def _card(match: re.Match[str]) -> Finding:
    if match[2] or match[3]:
        return Finding(CARD, "prefix, groups of digits and check digit")
    if _CARD_WORDS.search(_around(match)):
        return Finding(CARD, "prefix and check digit, beside a word for cards")
    return Finding(CARD, "prefix, length and check digit of bare digits", is_sure=False)


def _resident(match: re.Match[str]) -> Finding:
    if match[2] is not None:
        return Finding(RESIDENT, "date, hyphen and check digit")
    if _RESIDENT_WORDS.search(_around(match)):
        return Finding(RESIDENT, "date and check digit, beside a word for it")
    return Finding(RESIDENT, "date and check digit of bare digits", is_sure=False)


def _around(match: re.Match[str]) -> str:
    return match.string[max(0, match.start() - 24) : match.end() + 12].lower()


_MIN_SHARE = 0.5
"""Of the bare numbers of one form, so many must pass their check before they are taken for what they look like."""
_BARE = re.compile(rb"(?<![0-9A-Za-z_.])(?:\d{13}|\d{14,16})(?![0-9A-Za-z_])")


class Bare:
    """Decides over bare numbers of a column or a file, of which single ones say nothing."""

    def __init__(self) -> None:
        self._n_formed = {CARD: 0, RESIDENT: 0}
        self._n_passed = {CARD: 0, RESIDENT: 0}

    def count(self, texts: bytes) -> None:
        """Count the bare numbers of texts that hold one which passes: those of its form, and those that pass, too."""
        for match in _BARE.finditer(texts):
            digits = match[0].decode()
            kind = RESIDENT if len(digits) == 13 else CARD
            before = texts[max(0, match.start() - 24) : match.start()].decode("utf-8", "replace")
            if kind == CARD and _has_issuer(digits):
                self._n_formed[kind] += 1
                self._n_passed[kind] += _luhn(digits) == 0 and not (len(digits) == 14 and _is_gtin(digits))
            elif kind == RESIDENT and _may_be_born(digits) and not _is_other_number(digits, before, before.lower()):
                self._n_formed[kind] += 1
                self._n_passed[kind] += not _is_gtin(digits) and _has_check_digit(digits)

    def verdict(self, kind: str) -> str:
        """Return how many of the bare numbers pass, if these are enough to take them for a kind; else nothing."""
        formed, passed = self._n_formed[kind], self._n_passed[kind]
        return f"{passed:,} of {formed:,} such numbers pass" if passed and passed >= _MIN_SHARE * formed else ""


def _has_email(text: str) -> bool:
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        if domain and at and _LOCAL.match(text, at - 1) and domain[1].lower() not in _FILE_ENDINGS:
            return True
        at = text.find("@", at + 1)
    return False


def _is_card(match: re.Match[str]) -> bool:
    digits = re.sub(r"\D", "", match[1])
    return _has_issuer(digits) and _luhn(digits) == 0 and not (len(digits) == 14 and _is_gtin(digits))


def _has_issuer(digits: str) -> bool:
    """Return whether a known issuer numbers its cards so: prefix and length of Visa, Mastercard, Amex and the others."""
    two, three, four = int(digits[:2]), int(digits[:3]), int(digits[:4])
    if len(digits) == 14:
        return 300 <= three <= 305 or two in (36, 38, 39)
    if len(digits) == 15:
        return two in (34, 37)
    return (
        digits[0] == "4"
        or 51 <= two <= 55
        or 2221 <= four <= 2720
        or two in (62, 65)
        or four == 6011
        or 644 <= three <= 649
        or 3528 <= four <= 3589
    )


def _luhn(digits: str) -> int:
    total = 0
    for i, c in enumerate(reversed(digits)):
        d = int(c) * (1 + i % 2)
        total += d - 9 if d > 9 else d
    return total % 10


def _is_gtin(digits: str) -> bool:
    return sum(int(c) * (1 if i % 2 == 0 else 3) for i, c in enumerate(reversed(digits))) % 10 == 0


def _is_resident(match: re.Match[str]) -> bool:
    digits = match[1] + match[3]
    if match[2] is None:
        before = match.string[max(0, match.start() - 24) : match.start()]
        if _is_gtin(digits) or _is_other_number(digits, before, _around(match)):
            return False
    return _may_be_born(digits) and _has_check_digit(digits)


_FIRST_MS, _LAST_MS = 1_000_000_000_000, 2_051_222_400_000
"""Milliseconds since 1970 from 2001 to 2035."""


def _is_other_number(digits: str, before: str, low: str) -> bool:
    """Return whether 13 bare digits are a time in milliseconds or the value of a parameter, and no word says otherwise."""
    is_time = _FIRST_MS <= int(digits) < _LAST_MS
    return (is_time or before.endswith("=")) and not _RESIDENT_WORDS.search(low)


def _may_be_born(digits: str) -> bool:
    """Return whether the digits begin with a day since 1900 on which somebody now alive may be born, and its century."""
    if digits[6] in "90":
        return False
    century = 1900 if digits[6] in "1256" else 2000
    try:
        return date(century + int(digits[:2]), int(digits[2:4]), int(digits[4:6])) <= date.today()
    except ValueError:
        return False


def _has_check_digit(digits: str) -> bool:
    weighed = sum(int(c) * w for c, w in zip(digits, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=False))
    base = 13 if digits[6] in "5678" else 11
    return (base - weighed % 11) % 10 == int(digits[12])
