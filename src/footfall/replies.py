"""Former name of ``footfall.client.replies``; goes with the next release but one."""

import warnings

from footfall.client import replies


def __getattr__(name: str) -> object:
    value: object = getattr(replies, name)
    if not name.startswith("__"):
        warnings.warn("footfall.replies is now footfall.client.replies", DeprecationWarning, stacklevel=2)
    return value
