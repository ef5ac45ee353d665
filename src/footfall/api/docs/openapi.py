"""The OpenAPI 3.1 document, made from the operation table."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from footfall import __version__, signing
from footfall.api.http.errors import (
    ACCESS_DENIED,
    AUTHENTICATION_FAILED,
    BAD_REQUEST,
    FORBIDDEN,
    INVALID_REQUEST,
    NOT_FOUND,
    NSML_BAD_REQUEST,
    NSML_BROKEN,
    NSML_NOT_ACCEPTED,
    PERMISSION_DENIED,
    THROTTLED,
    TIMED_OUT,
    TOO_LARGE,
    UNAVAILABLE,
    UNEXPECTED,
    WRONG_METHOD,
    Code,
    ErrorEnvelope,
)
from footfall.api.http.operations import PERMISSIONS, Operation
from footfall.api.http.query import query_fields

_PREFIX = "#/components/schemas/"
_SIGNING = (signing.TIMESTAMP_HEADER, signing.ACCESS_KEY_HEADER, signing.SIGNATURE_HEADER)
_SIGNED: dict[str, list[str]] = {name: [] for name in _SIGNING}
_SUBSCRIBED = {**_SIGNED, signing.API_KEY_HEADER: []}
_DESCRIPTION = (
    "Operations and fields marked *ours* are what Footfall adds; all others are as NCLUE and CLOVA NSML document them. "
    f"What is below /nsml/v1 also needs the header {signing.API_KEY_HEADER}. "
    "Every request is signed, but for these: "
)
_TAGS = {"nclue": "NCLUE", "nsml": "CLOVA NSML", "accounts": "Accounts", "data": "Data", "none": "Server"}


def errors_of(operation: Operation) -> tuple[Code, ...]:
    """Return every error that an operation can answer with, its own and those common to its kind."""
    common = [NOT_FOUND, WRONG_METHOD, BAD_REQUEST, UNEXPECTED, UNAVAILABLE]
    if operation.kind != "open":
        common += [AUTHENTICATION_FAILED, THROTTLED, ACCESS_DENIED if operation.service == "nclue" else FORBIDDEN]
    if operation.kind in ("change", "upload"):
        common += [TOO_LARGE, TIMED_OUT]
    if operation.service == "nsml":
        common += [PERMISSION_DENIED, NSML_BROKEN]
    if operation.method == "POST":  # an idempotency key used for another request, or for one under way
        common += [NSML_BAD_REQUEST, NSML_NOT_ACCEPTED] if operation.service == "nsml" else [INVALID_REQUEST]
    return tuple(dict.fromkeys((*operation.errors, *common)))


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document of these operations."""
    unsigned = ", ".join(operation.path for operation in operations if operation.kind == "open")
    kinds: list[type[Any]] = [ErrorEnvelope]
    for operation in operations:
        kinds += [kind for kind in (operation.request, operation.response) if kind is not None]
    schemas, components = msgspec.json.schema_components(dict.fromkeys(kinds), ref_template=_PREFIX + "{name}")
    references = dict(zip(dict.fromkeys(kinds), schemas, strict=True))
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(_template(operation), {})[operation.method.lower()] = _describe(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Footfall", "version": __version__, "description": f"{_DESCRIPTION}{unsigned}."},
        "servers": [{"url": "/"}],
        "security": [_SIGNED],
        "tags": [{"name": name} for name in _TAGS.values()],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {name: {"type": "apiKey", "in": "header", "name": name} for name in _SUBSCRIBED},
        },
    }


def parameters_of(operation: Operation) -> list[str]:
    """Return the names in an operation's path."""
    steps = operation.path.split("/")
    return [step.strip("{}").removesuffix("...") for step in steps if step.startswith("{")]


def _template(operation: Operation) -> str:
    return operation.path.replace("...}", "}")


def _describe(operation: Operation, references: dict[type[Any], Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [_TAGS[operation.service]],
        "x-documented": operation.is_documented,
        "security": _security(operation),
        "description": f"Who may call: {PERMISSIONS[operation.permission]}.",
        "parameters": [*_path_parameters(operation), *_query_parameters(operation)],
        "responses": _responses(operation, references),
    }
    if operation.request is not None:
        schema = references[operation.request]
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    elif operation.kind == "upload":
        described["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    return described


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    if operation.kind == "open":
        return []
    return [_SUBSCRIBED if operation.service == "nsml" else _SIGNED]


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    schema = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in parameters_of(operation)]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": field.name, "in": "query", "description": field.description, "schema": field.schema}
        | ({"x-ours": True} if field.is_ours else {})
        | ({"required": True} if field.is_required else {})
        for field in (query_fields(operation.query) if operation.query else ())
    ]


def _responses(operation: Operation, references: dict[type[Any], Any]) -> dict[str, Any]:
    schema = {} if operation.response is None else {"schema": references[operation.response]}
    headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in operation.response_headers}
    content = {} if operation.method == "HEAD" else {"content": {operation.content_type: schema}}
    done: dict[str, Any] = {"description": "Created." if operation.status == 201 else "Done.", "headers": headers, **content}
    if operation.is_documented and operation.has_own_answer:
        done["x-ours"] = True
    responses: dict[str, Any] = {str(operation.status): done}
    by_status: dict[int, list[Code]] = {}
    for code in errors_of(operation):
        by_status.setdefault(code.status, []).append(code)
    for status, codes in sorted(by_status.items()):
        responses[str(status)] = _error_response(codes, references, has_body=operation.method != "HEAD")
    if operation.id == "get_health":
        responses["503"]["content"]["application/json"]["schema"] = references[operation.response or ErrorEnvelope]
    return responses


def _error_response(codes: Iterable[Code], references: dict[type[Any], Any], *, has_body: bool) -> dict[str, Any]:
    text = "; ".join(f"{code.code} {code.message}: {code.meaning}" for code in codes)
    content = {"content": {"application/json": {"schema": references[ErrorEnvelope]}}} if has_body else {}
    return {"description": text, **content}
