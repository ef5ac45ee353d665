"""Find personal data in one line of text: the kinds that the product refuses.

Knows text only: the standard library, so that the server and the jobs share it. Returns the kind, never the value.
User ids (what stands before the first tab) are exempt from the number rules, not from the e-mail rule.
Sources: the contract, 9-18; ISO/IEC 7812 (Luhn, issuer prefixes), GS1 General Specifications (GTIN check digit),
the check digit of Korean resident registration numbers, RFC 5321 for the shape of addresses.
"""

import re
from datetime import date
from typing import Final

EMAIL: Final = "an e-mail address"
CARD: Final = "a payment card number"
RESIDENT: Final = "a resident registration number"
MOBILE: Final = "a mobile phone number"
PASSPORT: Final = "a passport number"
LICENCE: Final = "a driving licence number"

_LOCAL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}\Z")
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
_LICENCE_WORD = r"(?:면허|(?:driv\w*(?:'s)?|dl) ?-?licen[cs]e|licen[cs]e (?:no|num|nr|#))"
_LICENCE_NUMBER = r"(?<!\d)(?:\d{2}|[가-힣]{2}) ?-? ?\d{2} ?-? ?\d{6} ?-? ?\d{2}(?!\d)"
_LICENCE = re.compile(rf"{_LICENCE_WORD}.{{0,24}}?{_LICENCE_NUMBER}|{_LICENCE_NUMBER}.{{0,12}}?{_LICENCE_WORD}", re.IGNORECASE)


def find_personal_data(line: bytes | str, *, has_user_id: bool = True) -> str | None:
    """Return what kind of personal data a line holds, as words for a sentence, or ``None``.

    Args:
        line: one line; bytes that are not UTF-8 are decoded as far as possible.
        has_user_id: what stands before the first tab is a user id, exempt from the number rules. ``False`` treats
            the whole line as text.
    """
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    if "@" in text and _has_email(text):
        return EMAIL
    if has_user_id:
        text = text.partition("\t")[2]
    if not any(c.isdigit() for c in text):
        return None
    return _find_number(text)


def _find_number(text: str) -> str | None:
    if any(_is_card(m) for m in _CARD.finditer(text)):
        return CARD
    if any(_is_resident(m) for m in _RESIDENT.finditer(text)):
        return RESIDENT
    if _MOBILE.search(text):
        return MOBILE
    low = text.lower()
    if ("passport" in low or "여권" in low) and _PASSPORT.search(text):
        return PASSPORT
    if ("licen" in low or "면허" in low) and _LICENCE.search(text):
        return LICENCE
    return None


def _has_email(text: str) -> bool:
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        if domain and _LOCAL.search(text[max(0, at - 64) : at]) and domain[1].lower() not in _FILE_ENDINGS:
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
    if match[2] is None and _is_gtin(digits):
        return False  # a bar code of 13 digits
    century = {"9": 1800, "0": 1800, "1": 1900, "2": 1900, "5": 1900, "6": 1900}.get(digits[6], 2000)
    try:
        born = date(century + int(digits[:2]), int(digits[2:4]), int(digits[4:6]))
    except ValueError:
        return False
    if born > date.today():
        return False
    weighed = sum(int(c) * w for c, w in zip(digits, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=False))
    base = 13 if digits[6] in "5678" else 11
    return (base - weighed % 11) % 10 == int(digits[12])
