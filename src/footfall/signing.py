"""The access-key signature of a request: sign and verify. Pure.

``signature = base64(HMAC-SHA256(secret, METHOD + " " + REQUEST_TARGET + "\\n" + TIMESTAMP + "\\n" + ACCESS_KEY))``, over the
request target exactly as it stands in the request line. Neither the body nor the other headers are signed.

Source: NAVER Cloud Platform, "Ncloud API" (common-ncpapi).
"""

import base64
import hashlib
import hmac
import re

TIMESTAMP_HEADER = "x-ncp-apigw-timestamp"
ACCESS_KEY_HEADER = "x-ncp-iam-access-key"
SIGNATURE_HEADER = "x-ncp-apigw-signature-v2"
SIGNATURE_V1_HEADER = "x-ncp-apigw-signature-v1"
API_KEY_HEADER = "x-ncp-apigw-api-key"

WINDOW_MS = 300_000
"""How far a time stamp may be off the server's clock, in either direction."""

_TIMESTAMP = re.compile(rb"[0-9]{13}")


def sign(secret: bytes, method: str, target: bytes, timestamp: bytes, access_key: bytes) -> bytes:
    """Return the 44 ASCII characters of the signature.

    Args:
        secret: UTF-8 bytes of the secret key.
        target: the request target as sent, e.g. ``b"/api/v1/features?index=0"``.
        timestamp: 13 decimal digits, milliseconds since 1970-01-01 UTC.
    """
    text = b"%b %b\n%b\n%b" % (method.encode("ascii"), target, timestamp, access_key)
    return base64.b64encode(hmac.digest(secret, text, hashlib.sha256))


def is_fresh(timestamp: bytes, now_ms: int) -> bool:
    """Whether a header is 13 ASCII digits (``int`` alone takes more) and at most ``WINDOW_MS`` off ``now_ms``."""
    return _TIMESTAMP.fullmatch(timestamp) is not None and abs(int(timestamp) - now_ms) <= WINDOW_MS


def verify(signature: bytes, secret: bytes, method: str, raw_path: bytes, query: bytes, timestamp: bytes, key: bytes) -> bool:
    """Whether ``given`` is the signature of this request, compared in constant time.

    A request target without a query may be signed with or without a bare ``?``: the server cannot tell which was sent.
    Texts are compared, not decoded bytes: two base64 texts can decode to the same 32 bytes.
    """
    if query:
        return hmac.compare_digest(signature, sign(secret, method, raw_path + b"?" + query, timestamp, key))
    plain = hmac.compare_digest(signature, sign(secret, method, raw_path, timestamp, key))
    return plain or hmac.compare_digest(signature, sign(secret, method, raw_path + b"?", timestamp, key))
