"""Row 30: what is taken as an SSH key is one key and nothing else."""

import base64

import pytest

from footfall.compute.catalogue.ssh_keys import MISPRINT, TYPES, parse
from footfall.errors import InvalidFieldError

ED = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
BLOB = ED.split(" ")[1]
P256 = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW"
    "T+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU="
)


def made_here(kind: str) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = {
        "ssh-rsa": lambda: rsa.generate_private_key(65537, 2048),
        "ssh-ed25519": ed25519.Ed25519PrivateKey.generate,
        "ecdsa-sha2-nistp256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ecdsa-sha2-nistp384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ecdsa-sha2-nistp521": lambda: ec.generate_private_key(ec.SECP521R1()),
    }[kind]()
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@pytest.mark.parametrize("kind", TYPES)
def test_row_30_each_documented_type_is_taken_and_its_comment_dropped(kind: str) -> None:
    line = made_here(kind)
    for text in (line, f"{line} me@host", f'{line} a comment "of" words\n', f"{line}\r\n", line.replace(" ", "  ", 1)):
        assert parse(text).line == line


def test_row_30_the_misprint_of_the_documentation_is_the_real_type() -> None:
    assert parse(P256).line == P256
    assert parse(P256.replace("ecdsa-sha2-nistp256", MISPRINT)) == parse(P256)


def test_fingerprints_are_those_of_ssh_keygen() -> None:
    key = parse(ED)
    assert key.fingerprint_sha256.startswith("SHA256:")
    assert len(key.fingerprint) == 47
    from hashlib import md5, sha256

    blob = base64.b64decode(BLOB)
    assert key.fingerprint.replace(":", "") == md5(blob).hexdigest()
    assert base64.b64decode(key.fingerprint_sha256[7:] + "=") == sha256(blob).digest()


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "ssh-ed25519", f" {ED}", f'command="rm -rf /" {ED}', f"no-pty,{ED}", f"restrict {ED}",
        f"{ED}\n{ED}", f"{ED}\n\n", f"{ED} a\nssh-rsa AAAA", f"{ED}\r{ED}", f"{ED}\0", f"{ED} \x1b[31m", f"{ED}\u2028{ED}",
        f"ssh-rsa {BLOB}", f"ssh-dss {BLOB}", f"ecdsa-sha2-nistp256 {BLOB}", f"ssh-ed25519-cert-v01@openssh.com {BLOB}",
        f"ssh-ed25519 {BLOB[:-4]}", f"ssh-ed25519 {BLOB}AAAA", f"ssh-ed25519 !{BLOB}", f"ssh-ed25519 {BLOB[:8]}",
        f"ssh-ed25519\t{BLOB}", f"SSH-ED25519 {BLOB}", "ssh-rsa " + "A" * 20_000, f"ssh-ed25519 {BLOB}é",
        P256.replace("AAAAIbmlzdHAyNTY", "AAAAIbmlzdHAzODQ"), P256.replace("T+NC", "T+ND"),
    ],
)  # fmt: skip
def test_row_30_whatever_opens_more_than_one_key_is_refused(text: str) -> None:
    if text == f"{ED}\n\n":
        assert parse(text).line == ED  # nothing but ends of lines behind it
        return
    with pytest.raises(InvalidFieldError, match="no public key that nodes can trust"):
        parse(text)


def test_row_30_rsa_keys_too_small_to_trust_are_refused() -> None:
    exponent, modulus = b"\0\0\0\3\1\0\1", (1 << 511 | 1).to_bytes(65)
    blob = b"\0\0\0\7ssh-rsa" + exponent + len(modulus).to_bytes(4) + modulus
    with pytest.raises(InvalidFieldError):
        parse("ssh-rsa " + base64.b64encode(blob).decode())
