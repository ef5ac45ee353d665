"""Secrets at rest: AES-256-GCM under a key that lies in a file of its own, outside the data.

A sealed secret is key id (4 bytes), nonce (12 bytes), ciphertext and tag. It is bound to the name of what it belongs to, so
that a sealed secret moved to another row does not open. The key file has one key a line, ``{id hex} {key hex}``; the first
is the one that seals, the others still open.

Source: NIST SP 800-38D.
"""

import fcntl
import os
import stat
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from footfall.errors import ConfigError, FootfallError
from footfall.files.durable import publish

_ID_BYTES, _NONCE_BYTES, _KEY_BYTES = 4, 12, 32
_MIN_AGE_S = 600
"""A key stays for so long after it was the newest: whoever sealed with it then has written that by now."""


class SecretUnreadableError(FootfallError):
    """A sealed secret does not open: its key is gone, or it was moved or changed."""

    code = "secret_unreadable"


class Secrets:
    """Seals and opens secrets. One object a process; notices when the key file is replaced."""

    def __init__(self, key_file: Path) -> None:
        self._file = key_file
        self._load()

    def seal(self, plain: bytes, bound_to: str) -> bytes:
        """Return ``plain`` encrypted with the newest key, bound to a name."""
        if self._stamp() != self._seen:
            self._load()
        nonce = os.urandom(_NONCE_BYTES)
        return self._newest + nonce + self._keys[self._newest].encrypt(nonce, plain, bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """Return what ``seal`` was given.

        Raises:
            SecretUnreadableError: the key is unknown, or the bytes or the name are not those of ``seal``.
        """
        key_id, nonce = sealed[:_ID_BYTES], sealed[_ID_BYTES : _ID_BYTES + _NONCE_BYTES]
        if key_id not in self._keys:
            self._load()
        cipher = self._keys.get(key_id)
        if cipher is None:
            raise SecretUnreadableError(f"A secret was sealed with the key {key_id.hex()}, which is not in {self._file}.")
        try:
            return cipher.decrypt(nonce, sealed[_ID_BYTES + _NONCE_BYTES :], bound_to.encode())
        except InvalidTag as error:
            raise SecretUnreadableError(f"The secret of {bound_to} was changed, or belongs to something else.") from error

    def _stamp(self) -> tuple[int, int]:
        status = self._file.stat()
        return status.st_ino, status.st_mtime_ns

    def _load(self) -> None:
        check_key_file(self._file)
        self._seen = self._stamp()
        keys = _read_keys(self._file)
        self._newest = next(iter(keys))
        self._keys: dict[bytes, AESGCM] = {key_id: AESGCM(key) for key_id, key in keys.items()}


def open_secrets(key_file: Path, *, may_create: bool = True) -> Secrets:
    """Return the secrets of a key file.

    Args:
        may_create: make the file when it is not there; only right while nothing was ever sealed.

    Raises:
        ConfigError: it is not there and may not be made, others may read it, or it is no key file.
    """
    if not (key_file.exists() or key_file.is_symlink()):
        if not may_create:
            raise ConfigError(
                "key file",
                f"{key_file} is gone, and the secrets in the database open with nothing else; restore it from your backup",
            )
        key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_keys(key_file, {os.urandom(_ID_BYTES): os.urandom(_KEY_BYTES)})
    return Secrets(key_file)


def check_key_file(key_file: Path) -> None:
    """Refuse a key file that is a link, or that the group or others may read or write.

    Raises:
        ConfigError: with the command that mends it.
    """
    status = key_file.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError("key file", f"{key_file} is no regular file")
    if status.st_mode & 0o077:
        raise ConfigError("key file", f"{key_file} may be read by others; run: chmod 600 {key_file}")


def key_id_of(sealed: bytes) -> bytes:
    """Return the id of the key that a secret is sealed with."""
    return sealed[:_ID_BYTES]


@contextmanager
def lock_keys(key_file: Path) -> Iterator[None]:
    """Let one process at a time change a key file.

    Raises:
        ConfigError: another one does.
    """
    handle = os.open(key_file.with_name(key_file.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                "key file", f"{key_file} is being changed by another process; try again when it has ended"
            ) from error
        yield
    finally:
        os.close(handle)


def add_key(key_file: Path) -> frozenset[bytes]:
    """Put a new key in front; all others stay. Return the ids of those that nobody seals with any more.

    These were replaced long enough ago; whether something is still sealed with them, the caller has to look.
    """
    check_key_file(key_file)
    keys = _read_keys(key_file)
    is_settled = time.time() - key_file.stat().st_mtime >= _MIN_AGE_S
    _write_keys(key_file, {os.urandom(_ID_BYTES): os.urandom(_KEY_BYTES), **keys})
    return frozenset(list(keys)[1:]) if is_settled else frozenset()


def drop_keys(key_file: Path, key_ids: Collection[bytes]) -> None:
    """Remove keys. What is sealed with them never opens again: only after a committed look that nothing is."""
    if key_ids:
        _write_keys(key_file, {id: key for id, key in _read_keys(key_file).items() if id not in key_ids})


def _read_keys(key_file: Path) -> dict[bytes, bytes]:
    keys: dict[bytes, bytes] = {}
    try:
        for line in key_file.read_text("ascii").split("\n"):
            if line:
                key_id, _, key = line.partition(" ")
                keys[bytes.fromhex(key_id)] = bytes.fromhex(key)
    except ValueError as error:
        raise ConfigError("key file", f"{key_file} is no key file of ours; restore it from a backup") from error
    if not keys or any(len(i) != _ID_BYTES or len(k) != _KEY_BYTES for i, k in keys.items()):
        raise ConfigError("key file", f"{key_file} is no key file of ours; restore it from a backup")
    return keys


def _write_keys(key_file: Path, keys: Mapping[bytes, bytes]) -> None:
    new = key_file.with_name(key_file.name + ".new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.writelines(f"{id.hex()} {key.hex()}\n" for id, key in keys.items())
    publish(new, key_file)
