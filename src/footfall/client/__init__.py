"""The client: what the command line, notebooks and tests use to talk to a server.

Names are loaded when they are first used, so that a command that talks to no server loads no HTTP.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from footfall.client.client import Client as Client
    from footfall.client.client import Features as Features
    from footfall.client.client import TaskRuns as TaskRuns
    from footfall.client.client import Tasks as Tasks

__all__ = ["Client", "Features", "TaskRuns", "Tasks"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'footfall.client' has no attribute {name!r}")
    from footfall.client import client

    return getattr(client, name)
