"""``credentials.toml`` in the home directory: the address and keys with which a client reaches the server. Mode 0600."""

import json
import tomllib
from pathlib import Path

from footfall.errors import ConfigError
from footfall.files.durable import write_whole

NAMES = ("endpoint", "access_key", "secret_key", "api_key")


def read_credentials(path: Path) -> dict[str, str]:
    """Return the fields of the file; nothing if there is no file.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        return {name: str(value) for name, value in tomllib.loads(path.read_text("utf-8")).items()}
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, PermissionError) as error:
        raise ConfigError(str(path), f"cannot be read: {error}") from error


def write_credentials(path: Path, values: dict[str, str]) -> None:
    """Write the file, whole, readable by its owner alone."""
    # A JSON string of ASCII is a TOML basic string.
    text = "".join(f"{name} = {json.dumps(values[name])}\n" for name in NAMES if name in values)
    write_whole(path, text.encode(), mode=0o600)
