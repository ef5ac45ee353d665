"""The OpenAPI document as one HTML page, without scripts and without the network."""

import base64
import hashlib
import html
import re
from typing import Any

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h2{margin-top:2.5rem}details{border:1px solid #ccc;border-radius:6px;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer}code{font-size:.9em}.method{display:inline-block;min-width:4.5em;font-weight:600}
.ours{color:#555;font-size:.85em}table{border-collapse:collapse;margin:.6rem 0;width:100%}
td,th{border-bottom:1px solid #ddd;padding:.25rem .6rem .25rem 0;text-align:left;vertical-align:top}
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}details{border-color:#444}td,th{border-color:#333}
.ours{color:#aaa}}
"""


def docs_page(content: dict[str, Any]) -> tuple[bytes, bytes]:
    """Return the page of an OpenAPI document, and the content security policy that allows its style and nothing else."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Footfall API</title><style>{_STYLE}</style><main>",
        f"<h1>Footfall API {html.escape(content['info']['version'])}</h1>",
        f"<p>{_emphasize(content['info']['description'])} <a href='/openapi.json'>OpenAPI document</a></p>",
    ]
    for tag in content["tags"]:
        parts.append(f"<h2>{html.escape(tag['name'])}</h2>")
        for path, methods in content["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    parts.append(_operation(method, path, operation, content))
    parts.append("</main></html>")
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'"
    return "".join(parts).encode(), policy.encode("ascii")


def _operation(method: str, path: str, operation: dict[str, Any], content: dict[str, Any]) -> str:
    mark = "" if operation["x-documented"] else " <span class=ours>ours</span>"
    parts = [
        f"<details id='{html.escape(operation['operationId'])}'><summary><span class=method>{method.upper()}</span>",
        f"<code>{html.escape(path)}</code>{mark}<br>{html.escape(operation['summary'])}</summary>",
        f"<p>{html.escape(operation['description'])}</p>",
    ]
    for parameter in operation["parameters"]:
        text = f"{parameter['name']} ({parameter['in']})"
        parts.append(f"<p><code>{html.escape(text)}</code> {html.escape(parameter.get('description', ''))}</p>")
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        parts.append("<h4>Request</h4>" + _fields(body["schema"], content))
    for status, response in operation["responses"].items():
        parts.append(f"<h4>{status}</h4><p>{html.escape(response['description'])}</p>")
        response = response.get("content", {}).get("application/json", {})
        if status in ("200", "201") and "schema" in response:
            parts.append(_fields(response["schema"], content, is_ours=bool(response.get("x-ours"))))
    return "".join(parts) + "</details>"


def _emphasize(text: str) -> str:
    return re.sub(r"\*(.+?)\*", r"<em>\1</em>", html.escape(text))


def _fields(schema: dict[str, Any], content: dict[str, Any], *, is_ours: bool = False) -> str:
    shape = _resolve(schema, content)
    rows = []
    for name, field in shape.get("properties", {}).items():
        need = "required" if name in shape.get("required", ()) else ""
        mark = "ours" if is_ours or field.get("x-ours") else ""
        cells = (name, type_word(field), need, mark, field.get("description", ""))
        rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    return f"<table>{''.join(rows)}</table>"


def _resolve(schema: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    resolved: dict[str, Any] = content["components"]["schemas"][reference.rpartition("/")[2]]
    return resolved


def type_word(field: dict[str, Any]) -> str:
    """Return the type of a field as a word or two."""
    if "anyOf" in field:
        return " or ".join(type_word(each) for each in field["anyOf"])
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if "enum" in field:
        return " | ".join(str(value) for value in field["enum"])
    if field.get("type") == "array":
        return f"array of {type_word(field['items'])}"
    return str(field.get("type", "any"))
