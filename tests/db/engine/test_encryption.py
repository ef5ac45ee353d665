"""Secrets at rest."""

import os
from pathlib import Path

import pytest

from footfall.db.engine.encryption import Secrets, SecretUnreadableError, add_key, drop_keys, open_secrets
from footfall.errors import ConfigError


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "secret" / "key"


def test_row_01_what_is_sealed_opens_only_for_its_name(key_file: Path) -> None:
    secrets = open_secrets(key_file)
    sealed = secrets.seal(b"secret", "key-1")
    assert b"secret" not in sealed
    assert secrets.open(sealed, "key-1") == b"secret"
    assert secrets.seal(b"secret", "key-1") != sealed
    with pytest.raises(SecretUnreadableError):
        secrets.open(sealed, "key-2")
    with pytest.raises(SecretUnreadableError):
        secrets.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "key-1")


def test_row_01_the_key_file_is_private_and_refused_when_it_is_not(key_file: Path) -> None:
    open_secrets(key_file)
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert key_file.parent.stat().st_mode & 0o777 == 0o700
    for mode in (0o644, 0o640, 0o604, 0o620):
        key_file.chmod(mode)
        with pytest.raises(ConfigError, match="chmod 600"):
            open_secrets(key_file)


def test_row_01_a_link_is_no_key_file(key_file: Path, tmp_path: Path) -> None:
    open_secrets(tmp_path / "elsewhere" / "key")
    key_file.parent.mkdir(mode=0o700)
    key_file.symlink_to(tmp_path / "elsewhere" / "key")
    with pytest.raises(ConfigError):
        open_secrets(key_file)


def test_row_01_a_key_is_replaced_and_the_one_before_still_opens(key_file: Path) -> None:
    running = open_secrets(key_file)
    first = running.seal(b"1", "a")
    add_key(key_file)
    assert Secrets(key_file).open(first, "a") == b"1"
    second = running.seal(b"2", "a")
    assert second[:4] != first[:4]
    os.utime(key_file, (1, 1))
    drop_keys(key_file, add_key(key_file))
    fresh = Secrets(key_file)
    assert fresh.open(second, "a") == b"2"
    with pytest.raises(SecretUnreadableError):
        fresh.open(first, "a")


def test_row_01_a_lost_key_file_is_not_replaced(key_file: Path) -> None:
    with pytest.raises(ConfigError, match="restore it from your backup") as refused:
        open_secrets(key_file, may_create=False)
    assert str(key_file) in str(refused.value)
    assert not key_file.parent.exists()
    sealed = open_secrets(key_file).seal(b"1", "a")
    assert open_secrets(key_file, may_create=False).open(sealed, "a") == b"1"


def test_a_broken_key_file_is_no_key_file(key_file: Path) -> None:
    open_secrets(key_file)
    key_file.write_text("nonsense")
    with pytest.raises(ConfigError, match="restore it"):
        open_secrets(key_file)
