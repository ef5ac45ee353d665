"""The reference page of the API as Markdown, made from the operation table: what is documented, and what is ours."""

from typing import Any

from footfall.api.docs.openapi import document, errors_of
from footfall.api.docs.page import type_word
from footfall.api.http.errors import CODES
from footfall.api.http.operations import PERMISSIONS, Operation
from footfall.api.http.query import query_fields
from footfall.api.table import OPERATIONS

_NOTES = {
    "create_run": "A run that could not start even if nothing else ran is 406, and `details` names what is short. Values of "
    "variables whose name says so (SECRET, TOKEN, PASSWORD, PASSPHRASE, PWD, CREDENTIAL, AUTH, DSN, `_KEY` at the end), and URLs "
    "with a password in them, are shown as `****` and stored encrypted. Names that begin with `NSML_` are the server's.",
    "delete_project": "406 while runs have not ended, naming them. Otherwise the project is DELETING until its storage, block "
    "storages, code, logs and metrics are gone, then DELETED, and shown so for 30 days.",
    "list_products": "From the setting `products`; without it, what fits this machine.",
    "list_base_images": "From the setting `images`; without it, `host`: the server's own Python environment.",
    "list_custom_images": "What the operator imported, `footfall image import`, and what the account's repositories say.",
    "create_registry": "Only hosts below private-ncr.ntruss.com, and those of the setting `registry_hosts`, are ever contacted.",
    "stop_run": "Again on a run that is being stopped, or was: 200. On one that completed or failed: 406.",
    "put_code": "At most 100 MB packed and 1 GB unpacked (settings). Kept once, and removed when no run has named it for 24 h.",
    "list_files": "Links, and names that no path can hold, are left out.",
    "delete_feature": "Documented: dependents that are *registered* do not block. Ours: they do, so that none dangles.",
    "delete_task": "Documented: dependents that are *registered* do not block. Ours: they do, so that none dangles.",
}
_INTROS = {
    "nsml": (
        "Every request needs the header `x-ncp-apigw-api-key` beside its signature. Names of query fields are matched "
        "without case. Lists are newest first; `page` counts from 1, and 0 is read as 1. Times are UTC. POST that makes "
        "something answers 201 with what was made and a `location`; CLOVA NSML documents no body there. Errors of the "
        "service bear their HTTP status as code: 400 for a field, 404 also for what is another account's, 406 when the "
        "state of things refuses it.\n\n"
        "With the header `x-idempotency-key`, any POST that succeeded is answered again as the first time for 24 hours; "
        "another body with that key is 400, and a second request waits up to 10 s for the first."
    )
}
_TITLES = {
    "nclue": "Features, tasks, task runs, profiles: /api/v1",
    "nsml": "Projects and runs: /nsml/v1",
    "accounts": "Accounts: /accounts/v1",
    "data": "Data: /data/v1",
    "none": "Unsigned routes",
}

_INSIDE = """## Inside a run: $NSML_METRIC_API and $NSML_RUN_METADATA_API

Plain HTTP on the node's loopback, for the command alone: the paths cannot be guessed, nothing is signed.

| request | body | answer |
|---|---|---|
| `POST $NSML_METRIC_API` | an object of numbers, or an array of up to 10,000: `{"@step": 10, "@time": 1.7e9, "loss": 0.3}`; \
`@step` and `@time` (seconds since 1970) may be left out | 204; 400 with the key that is no number, and nothing is kept |
| `GET $NSML_METRIC_API` | | 200: the last 10,000 points |
| `DELETE $NSML_METRIC_API` | | 204: what was posted before is no longer shown |
| `PUT $NSML_RUN_METADATA_API/v1/rescheduled`, header `X-NSML-Run-Secret: $NSML_RUN_SECRET` | `{"rescheduled": true}` or \
`{"rescheduled": false}` | 200 with the same; 401 without the secret |

With `true`, an attempt that ends otherwise than completed is followed by another, up to ten attempts in all: after an exit \
code other than 0, a signal that nobody here sent, a node that was lost. Never after exit code 0, a stop, or a limit (time, \
memory, output, log, start). Any node may ask; the last answer of each counts, and each attempt begins with `false`. The other \
attempt has `NSML_SESSION` one higher and finds `NSML_OUTPUT_DIR` as it was left."""


def reference_page() -> str:
    """Return the page."""
    parts = [
        "# API",
        "",
        "Made from the operation table; do not edit. *documented* is NCLUE's or CLOVA NSML's, *ours* is ours.",
        "",
    ]
    for service, title in _TITLES.items():
        parts += [f"## {title}", ""]
        parts += [_INTROS[service], ""] if service in _INTROS else []
        parts += ["| operation | | what | source |", "|---|---|---|---|"]
        mine = [operation for operation in OPERATIONS if operation.service == service]
        parts += [f"| [{o.id}](#{o.id}) | `{o.method} {o.path}` | {o.summary} | {_source(o)} |" for o in mine]
        parts.append("")
        for operation in mine:
            parts += _section(operation)
    return "\n".join([*parts, _INSIDE, "", *_errors()]) + "\n"


def _source(operation: Operation) -> str:
    return "documented" if operation.is_documented else "ours"


def _section(operation: Operation) -> list[str]:
    lines = [f"### {operation.id}", "", f"`{operation.method} {operation.path}`: {operation.summary}", ""]
    lines += [f"Who may call: {PERMISSIONS[operation.permission]}.", ""]
    if operation.id in _NOTES:
        lines += [_NOTES[operation.id], ""]
    if operation.query:
        lines += ["| query | type | source | what |", "|---|---|---|---|"]
        for q in query_fields(operation.query):
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
    shape = document(OPERATIONS)["components"]["schemas"][kind.__name__]
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
