"""Modules that scripts import by the names of an earlier version still work, and say where they are now."""

import importlib

import pytest

from footfall.client import nsml_replies, replies


@pytest.mark.parametrize(
    ("former", "name", "value"), [("replies", "Resource", replies.Resource), ("run_replies", "Run", nsml_replies.Run)]
)
def test_a_former_name_gives_the_same_with_a_warning(former: str, name: str, value: object) -> None:
    module = importlib.import_module(f"footfall.{former}")
    with pytest.warns(DeprecationWarning, match=r"is now footfall\.client\."):
        assert getattr(module, name) is value
    with pytest.raises(AttributeError):
        module.Nothing  # noqa: B018 - what a script that misspells a name sees
