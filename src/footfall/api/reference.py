"""The reference page of the API as Markdown, made from the operation table: what is documented, and what is ours."""

from typing import Any

from footfall.api.docs_page import type_word
from footfall.api.errors import CODES
from footfall.api.openapi import document, errors_of
from footfall.api.operations import NEEDS, Operation
from footfall.api.table import OPERATIONS

_NOTES = {
    "delete_feature": "Documented: dependents that are *registered* do not block. Ours: they do, so that none dangles.",
    "delete_task": "Documented: dependents that are *registered* do not block. Ours: they do, so that none dangles.",
}
_TITLES = {
    "nclue": "Features, tasks, task runs: /api/v1",
    "nsml": "Projects and runs: /nsml/v1",
    "accounts": "Accounts: /accounts/v1",
    "data": "Data: /data/v1",
    "none": "Unsigned routes",
}


def reference_page() -> str:
    """Return the page."""
    parts = [
        "# API",
        "",
        "Made from the operation table; do not edit. *documented* is NCLUE's or CLOVA NSML's, *ours* is ours.",
        "",
    ]
    for service, title in _TITLES.items():
        parts += [f"## {title}", "", "| operation | | what | source |", "|---|---|---|---|"]
        mine = [operation for operation in OPERATIONS if operation.service == service]
        parts += [f"| [{o.id}](#{o.id}) | `{o.method} {o.path}` | {o.summary} | {_source(o)} |" for o in mine]
        parts.append("")
        for operation in mine:
            parts += _section(operation)
    return "\n".join([*parts, *_errors()]) + "\n"


def _source(operation: Operation) -> str:
    return "documented" if operation.is_documented else "ours"


def _section(operation: Operation) -> list[str]:
    lines = [f"### {operation.id}", "", f"`{operation.method} {operation.path}`: {operation.summary}", ""]
    lines += [f"Who may call: {NEEDS[operation.needed]}.", ""]
    if operation.id in _NOTES:
        lines += [_NOTES[operation.id], ""]
    if operation.query:
        lines += ["| query | type | source | what |", "|---|---|---|---|"]
        for q in operation.query:
            source = "ours" if q.is_ours else _source(operation)
            lines.append(f"| `{q.name}` | {type_word(q.schema).replace('|', 'or')} | {source} | {q.description} |")
        lines.append("")
    if operation.request is not None:
        lines += _table("request field", operation.request, operation)
    if operation.response is not None:
        lines += _table("answer field", operation.response, operation)
    for name, text in operation.response_headers:
        lines += [f"Header `{name}`: {text}", ""]
    refusals = ", ".join(f"{code.status} {code.code} {code.message}" for code in errors_of(operation))
    return [*lines, f"Errors: {refusals}", ""]


def _table(title: str, kind: type[Any], operation: Operation) -> list[str]:
    shape = document()["components"]["schemas"][kind.__name__]
    lines = [f"| {title} | type | required | source | what |", "|---|---|---|---|---|"]
    for name, field in shape.get("properties", {}).items():
        need = "yes" if name in shape.get("required", ()) else "no"
        is_ours = field.get("x-ours") or (operation.has_own_answer and kind is operation.response)
        source = "documented" if operation.is_documented and not is_ours else "ours"
        what = field.get("description", "").replace("|", "\\|")
        lines.append(f"| `{name}` | {type_word(field).replace('|', 'or')} | {need} | {source} | {what} |")
    return [*lines, ""]


def _errors() -> list[str]:
    lines = ["## Errors", "", "| HTTP | errorCode | message | meaning | source |", "|---|---|---|---|---|"]
    for code in sorted(CODES, key=lambda code: (int(code.code), code.status)):
        source = "documented" if code.is_documented else "ours"
        lines.append(f"| {code.status} | {code.code} | {code.message} | {code.meaning} | {source} |")
    return lines
