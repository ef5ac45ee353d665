"""Former name of ``footfall.client.nsml_replies``; goes with the next release but one."""

import warnings

from footfall.client import nsml_replies


def __getattr__(name: str) -> object:
    value: object = getattr(nsml_replies, name)
    if not name.startswith("__"):
        warnings.warn("footfall.run_replies is now footfall.client.nsml_replies", DeprecationWarning, stacklevel=2)
    return value
