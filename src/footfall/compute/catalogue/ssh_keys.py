"""Parse SSH public keys to the last byte, so that what nodes trust is one key and nothing beside it. Pure.

Options before a key, a second line, and a type that is not the blob's would open more than was asked for; a comment is dropped.

Source: RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4; CLOVA NSML's page on creating an authentication key.
"""

import base64
import binascii
import hashlib
import warnings
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from footfall.errors import InvalidFieldError

MISPRINT = "ecdsa-sha-nistp256"
"""How the documentation spells ``ecdsa-sha2-nistp256``; both are taken."""
TYPES = ("ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
MAX_LENGTH = 16_384
MIN_RSA_BITS, MAX_RSA_BITS = 1024, 16_384


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key as ``authorized_keys`` takes it, with its fingerprints: MD5 pairs, and as ssh-keygen shows SHA-256."""

    line: str
    fingerprint: str
    fingerprint_sha256: str


def parse(text: str) -> PublicKey:
    """Return the one key of a line of OpenSSH.

    Raises:
        InvalidFieldError: rule ``pattern``: it is none, or more than one.
    """
    line = text.rstrip("\r\n")
    if len(line) > MAX_LENGTH or any(not (character.isprintable() or character == "\t") for character in line):
        raise _refusal("it must be one line without control characters")
    kind, _, rest = line.partition(" ")
    kind = "ecdsa-sha2-nistp256" if kind == MISPRINT else kind
    if kind not in TYPES:
        raise _refusal(f"it must begin with one of {', '.join(TYPES)}, and options are not taken")
    encoded = rest.lstrip(" ").split(" ")[0].split("\t")[0]
    try:
        blob = base64.b64decode(encoded.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise _refusal("what follows its type is no base64") from error
    length = int.from_bytes(blob[:4])
    if blob[4 : 4 + length] != kind.encode():
        raise _refusal("its type is not the one that the key itself names")
    canonical = base64.b64encode(blob).decode()
    _check_blob(f"{kind} {canonical}".encode())
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    sha256 = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return PublicKey(f"{kind} {canonical}", ":".join(digest[start : start + 2] for start in range(0, 32, 2)), f"SHA256:{sha256}")


def _check_blob(line: bytes) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # keys that are going out of use are still keys
            key = load_ssh_public_key(line)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refusal("its bytes are no key of that type") from error
    if isinstance(key, RSAPublicKey) and not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise _refusal(f"an RSA key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, this one has {key.key_size}")


def _refusal(problem: str) -> InvalidFieldError:
    details = f"key is no public key that nodes can trust: {problem}. Give a line such as id_ed25519.pub holds."
    return InvalidFieldError("key", None, "pattern", details)
