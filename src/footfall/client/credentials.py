"""Where a client finds the address of a server and its keys: arguments, variables, ``credentials.toml``. Sends nothing.

The order in which they are looked for is ours.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from footfall.config import home_dir
from footfall.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Credentials:
    """The address of the service and the keys of the caller."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    api_key: str | None = field(default=None, repr=False)
    source: str = "arguments"


def find_credentials(
    endpoint: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
    api_key: str | None = None,
    home: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Credentials:
    """Find endpoint and keys: arguments, ``FOOTFALL_…`` variables, ``credentials.toml``, then ``NCLOUD_…`` variables.

    A ``home`` given as an argument is one: its ``credentials.toml`` wins over variables. Both keys come from one place.

    Raises:
        ConfigError: no keys, half a pair of them, or no endpoint anywhere.
    """
    env = os.environ if environment is None else environment
    file = home_dir(home, env) / "credentials.toml"
    names = ("endpoint", "access_key", "secret_key", "api_key")
    arguments = dict(zip(names, (endpoint, access_key, secret_key, api_key), strict=True))
    variables = {name: env.get("FOOTFALL_" + name.upper()) for name in names}
    ncloud = {name: env.get("NCLOUD_" + name.upper()) for name in ("access_key", "secret_key")}
    written = (str(file), _read_credentials(file))
    own = [("the variables FOOTFALL_ACCESS_KEY and FOOTFALL_SECRET_KEY", variables), written]
    sources: list[tuple[str, Mapping[str, str | None]]] = [("the arguments", arguments)]
    sources += reversed(own) if home is not None else own
    sources += [("the variables NCLOUD_ACCESS_KEY and NCLOUD_SECRET_KEY", ncloud)]
    endpoint_ = next((s["endpoint"] for _, s in sources if s.get("endpoint")), None)
    api_key_ = next((s["api_key"] for _, s in sources if s.get("api_key")), None)
    for where, source in sources:
        access, secret = source.get("access_key"), source.get("secret_key")
        if bool(access) != bool(secret):
            missing = "secret_key" if access else "access_key"
            raise ConfigError(missing, f"{where} give only the other half of the pair; give both, or neither")
        if access and secret:
            if not endpoint_:
                break
            return Credentials(_check_endpoint(endpoint_), access, secret, api_key_, where)
    else:
        raise ConfigError("access_key", _no_keys(file))
    details = f"set FOOTFALL_ENDPOINT, or start the server again, which writes it (there is none in {file})"
    raise ConfigError("endpoint", f"keys were found but no address of the service; {details}")


def _no_keys(file: Path) -> str:
    there = f"{file} has no keys" if file.exists() else f"there is no {file}"
    remedy = "Start a server on this machine with `footfall up`"
    if file.exists() or (file.parent / "secret" / "key").exists():
        remedy = f"On the server's machine `footfall key recover --home {file.parent}` writes new ones"
    return (
        f"no keys were found: {there}, and FOOTFALL_ACCESS_KEY and FOOTFALL_SECRET_KEY are not set. "
        f"{remedy}; or set those variables and FOOTFALL_ENDPOINT."
    )


def _read_credentials(file: Path) -> dict[str, str | None]:
    try:
        return {name: str(value) for name, value in tomllib.loads(file.read_text("utf-8")).items()}
    except FileNotFoundError:
        return {}
    except PermissionError as error:
        raise ConfigError(str(file), "may not be read by this user; it belongs to whoever started the server") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        details = f"cannot be read: {error}; correct it, or move it away and write it anew with `footfall key recover`"
        raise ConfigError(str(file), details) from error
    except OSError as error:
        details = f"cannot be read: {error.strerror}; name the home directory of the server, with --home or FOOTFALL_HOME"
        raise ConfigError(str(file), details) from error


def _check_endpoint(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        right = parts.scheme in ("http", "https") and parts.hostname and parts.path in ("", "/") and not parts.query
        _ = parts.port
    except ValueError:
        right = False
    if not right:
        raise ConfigError("endpoint", f"{endpoint!r} should read like http://127.0.0.1:8600, without a path")
    return endpoint.rstrip("/")
