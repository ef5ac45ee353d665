"""Footfall: score every user from behaviour sequences, and run commands on machines that you share.

``footfall.Client`` talks to a server that ``footfall up`` started. Names are loaded when they are first used, so that
importing the package costs nothing.
"""

TYPE_CHECKING = False  # typing's own costs every runner as much as the rest of its start
if TYPE_CHECKING:
    from footfall.client import Client as Client
    from footfall.errors import AccessError as AccessError
    from footfall.errors import AlreadyExistsError as AlreadyExistsError
    from footfall.errors import ConfigError as ConfigError
    from footfall.errors import DatabaseUnavailableError as DatabaseUnavailableError
    from footfall.errors import DataError as DataError
    from footfall.errors import ExecutorError as ExecutorError
    from footfall.errors import FootfallError as FootfallError
    from footfall.errors import InputError as InputError
    from footfall.errors import NotAllowedError as NotAllowedError
    from footfall.errors import NotAuthenticatedError as NotAuthenticatedError
    from footfall.errors import NotFoundError as NotFoundError
    from footfall.errors import ServiceError as ServiceError
    from footfall.errors import StoreError as StoreError
    from footfall.records import RunSpec as RunSpec
    from footfall.states import RunState as RunState

    __version__: str

_HOMES = {
    "Client": "client",
    "RunSpec": "records",
    "RunState": "states",
    "AccessError": "errors",
    "AlreadyExistsError": "errors",
    "ConfigError": "errors",
    "DataError": "errors",
    "DatabaseUnavailableError": "errors",
    "ExecutorError": "errors",
    "FootfallError": "errors",
    "InputError": "errors",
    "NotAllowedError": "errors",
    "NotAuthenticatedError": "errors",
    "NotFoundError": "errors",
    "ServiceError": "errors",
    "StoreError": "errors",
}

__all__ = [
    "AccessError",
    "AlreadyExistsError",
    "Client",
    "ConfigError",
    "DataError",
    "DatabaseUnavailableError",
    "ExecutorError",
    "FootfallError",
    "InputError",
    "NotAllowedError",
    "NotAuthenticatedError",
    "NotFoundError",
    "RunSpec",
    "RunState",
    "ServiceError",
    "StoreError",
    "__version__",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("footfall")
    if name not in _HOMES:
        raise AttributeError(f"module 'footfall' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"footfall.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
