"""The operation table and what is made of it."""

import re

import pytest
from openapi_spec_validator import validate

from footfall.api.docs.openapi import document, errors_of
from footfall.api.docs.page import docs_page
from footfall.api.http.errors import CODES
from footfall.api.http.operations import PERMISSIONS
from footfall.api.table import OPERATIONS
from reference.http_api import reference_page
from service import Service, send

SIGNED = {"x-ncp-apigw-timestamp", "x-ncp-iam-access-key", "x-ncp-apigw-signature-v2"}


def test_the_document_is_valid_and_served(shared: Service) -> None:
    reply = send(shared.port, "GET", "/openapi.json", None, {})
    validate(reply.json)
    assert reply.json == document(OPERATIONS)


def test_the_document_says_what_is_signed_and_who_may_call() -> None:
    content = document(OPERATIONS)
    text = content["info"]["description"]
    assert text.endswith("Every request is signed, but for these: /healthz, /metrics, /openapi.json, /docs.")
    described = {o["operationId"]: o for methods in content["paths"].values() for o in methods.values()}
    for operation in OPERATIONS:
        (wanted,) = described[operation.id]["security"] or [{}]
        assert set(wanted) == (SIGNED if operation.kind != "open" else set()) | (
            {"x-ncp-apigw-api-key"} if operation.service == "nsml" else set()
        )
        assert PERMISSIONS[operation.permission] in described[operation.id]["description"]
    assert "marked <em>ours</em>" in docs_page(document(OPERATIONS))[0].decode()
    assert "x-documented" not in docs_page(document(OPERATIONS))[0].decode()
    assert "Who may call: MANAGER of NCLUE." in reference_page()


def test_every_operation_is_in_the_document_once() -> None:
    ids = [operation.id for operation in OPERATIONS]
    assert len(set(ids)) == len(ids)
    described = [o["operationId"] for methods in document(OPERATIONS)["paths"].values() for o in methods.values()]
    assert sorted(described) == sorted(ids)


def test_the_page_needs_no_network_and_no_script(shared: Service) -> None:
    reply = send(shared.port, "GET", "/docs", None, {})
    text = reply.body.decode()
    assert reply.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "<script" not in text
    assert not re.findall(r"(?:src|href)=['\"]?(?:https?:)?//", text)
    assert " style=" not in text
    for operation in OPERATIONS:
        assert f"id='{operation.id}'" in text
    assert docs_page(document(OPERATIONS))[0].decode() == text


def test_the_reference_names_every_operation_field_and_code() -> None:
    page = reference_page()
    for operation in OPERATIONS:
        assert f"`{operation.method} {operation.path}`" in page
    for code in CODES:
        assert f"| {code.status} | {code.code} | {code.message} |" in page
    assert "| `fail_details` | string or null | yes | ours |" in page
    assert "| `fail_message` | string or null | yes | documented |" in page


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.id)
def test_an_operation_says_what_it_is(operation: object) -> None:
    assert operation.summary.endswith((".", "?"))  # type: ignore[attr-defined]
    assert operation.handler.__module__.startswith("footfall.api.")  # type: ignore[attr-defined]
    assert errors_of(operation)  # type: ignore[arg-type]


def test_row_17_what_users_put_is_never_a_page(shared: Service) -> None:
    shared.operator.put("shop", "page.html", b"<script>alert(1)</script>")
    reply = shared.operator.get("/data/v1/shop/page.html")
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    pages = {operation.id for operation in OPERATIONS if "html" in operation.content_type}
    assert pages == {"get_docs"}, "a page that holds what users named needs a test of its own"


def test_row_22_no_answer_is_a_table_that_a_spreadsheet_opens_unasked(shared: Service) -> None:
    """Tables are data, byte for byte, and are downloaded as files; there is no CSV of ours in which a cell could be a formula."""
    kinds = {operation.content_type for operation in OPERATIONS}
    assert kinds == {"application/json", "application/octet-stream", "text/html", "text/plain", "text/tab-separated-values"}
    content = b"u1\t=HYPERLINK(1)\nu2\t-1\n"
    shared.operator.put("shop", "formula.tsv", content)
    assert shared.operator.get("/data/v1/shop/formula.tsv").body == content


def test_row_17_json_answers_carry_the_security_headers(shared: Service) -> None:
    for reply in (shared.operator.get("/api/v1/features"), shared.operator.get("/nowhere")):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["content-security-policy"].startswith("default-src 'none'")
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["content-type"] == "application/json"
