"""The reference page of the Python client, made from its docstrings."""

import inspect
import re
from collections.abc import Callable
from typing import Any

from footfall.client import administration, client, nsml_replies, profiles, projects, replies, runs
from reference.markdown import first_sentence, page_head

SOURCES = "the modules of `footfall.client`"


def python_page() -> str:
    """Return the page of the Python client."""
    rooms = {
        "features": client.Features,
        "tasks": client.Tasks,
        "task_runs": client.TaskRuns,
        "profiles": profiles.Profiles,
        "shopping_intents": profiles.ShoppingIntents,
        "custom_attributes": profiles.CustomAttributes,
        "accounts": administration.Accounts,
        "users": administration.Users,
        "keys": administration.Keys,
        "api_keys": administration.ApiKeys,
        "buckets": administration.Buckets,
        "projects": projects.Projects,
        "runs": runs.Runs,
        "storage": projects.Storage,
        "catalogue": projects.Catalogue,
        "volumes": projects.Volumes,
        "ssh_keys": projects.SshKeys,
    }
    parts = [
        page_head("Python client", SOURCES).rstrip() + "\n",
        "```python\nimport footfall\n\nclient = footfall.Client()\n```\n",
        f"`Client({_parameters(client.Client.__init__)})`\n",
        f"{_description(client.Client, inspect.cleandoc(client.Client.__init__.__doc__ or ''))}\n",
        *_methods("client", client.Client),
    ]
    for name, kind in rooms.items():
        parts += [f"## `client.{name}`\n\n{_description(kind)}\n", *_methods(f"client.{name}", kind)]
    parts.append("## What comes back\n\nEvery answer has `wire`, the JSON as it came.\n")
    for kind in (vars(replies) | vars(nsml_replies)).values():
        if _is_answer(kind):
            names = ", ".join(f"`{name}`" for name in kind.__struct_fields__ if name != "wire")
            parts.append(f"### `{kind.__name__}`\n\n{inspect.getdoc(kind)} Fields: {names}.\n")
    return re.sub(r"(?<!`)``(?!`)", "`", "\n".join(parts)).rstrip() + "\n"


def _description(kind: type, making: str = "") -> str:
    """Return what a class says of itself, and of how it is made, with its example as a block of code."""
    text, _, example = (inspect.getdoc(kind) or "").partition("\n\nExample:\n")
    how = making.partition("\n")[2].partition("Args:")[0].strip()
    block = f"```pycon\n{inspect.cleandoc(example)}\n```" if example else ""
    return "\n\n".join(part for part in (text, how, block) if part)


def _methods(prefix: str, kind: type) -> list[str]:
    rows = []
    for name, member in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_"):
            rows.append(f"| `{prefix}.{name}({_parameters(member)})` | {first_sentence(member)} |")
    return ["| call | gives |\n|---|---|\n" + "\n".join(rows) + "\n"]


def _parameters(function: Callable[..., Any]) -> str:
    """Return the names of parameters, with defaults and without types."""
    shown: list[str] = []
    for name, parameter in list(inspect.signature(function).parameters.items())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        shown.append(name if parameter.default is parameter.empty else f"{name}={parameter.default!r}")
    return ", ".join(shown)


def _is_answer(kind: Any) -> bool:
    is_answer = isinstance(kind, type) and issubclass(kind, replies.Record)
    return is_answer and not kind.__subclasses__()
