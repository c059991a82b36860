"""Readable pages made from a published document: plain HTML and one style sheet, nothing from elsewhere, no script."""

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from concord.gateway.http import Headers

HEADERS: Headers = [
    ("content-type", "text/html; charset=utf-8"),
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
]

STYLE = """\
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5; }
body { max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid; }
details { border: 1px solid; border-radius: .3rem; padding: .4rem .8rem; margin: .4rem 0; }
summary { cursor: pointer; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { overflow-x: auto; padding: .6rem; border: 1px dashed; }
table { border-collapse: collapse; }
td, th { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top; }
.method { display: inline-block; min-width: 4.5rem; font-weight: bold; }
"""


def index(dialects: Sequence[tuple[str, str]]) -> str:
    """Return the page that lists what is documented."""
    items = "".join(
        f'<li><a href="/docs/{escape(name)}">{escape(title)}</a> · '
        f'<a href="/openapi/{escape(name)}.json">OpenAPI</a></li>'
        for name, title in dialects
    )
    return _shell("Concord", f"<h1>Concord</h1><ul>{items}</ul>")


def page(name: str, document: dict[str, Any]) -> str:
    """Return the page of one dialect."""
    info = document["info"]
    parts = [
        f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>",
        f"<p>{escape(info['description'])}</p>",
        f'<p><a href="/openapi/{escape(name)}.json">OpenAPI document</a></p>',
    ]
    operations = [
        (path, method, operation) for path, item in document["paths"].items() for method, operation in item.items()
    ]
    for tag in document["tags"]:
        parts.append(f"<h2>{escape(tag['name'])}</h2><p>{escape(tag['description'])}</p>")
        parts.extend(_operation(*entry) for entry in operations if tag["name"] in entry[2]["tags"])
    parts.append("<h2>Records</h2>")
    for schema_name, schema in document["components"]["schemas"].items():
        parts.append(
            f'<details id="{escape(schema_name)}"><summary><code>{escape(schema_name)}</code></summary>'
            f"<pre>{escape(json.dumps(schema, indent=2))}</pre></details>"
        )
    return _shell(info["title"], "".join(parts))


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(_parameter(parameter) for parameter in operation.get("parameters", ()))
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    parts = [
        f'<details id="{escape(operation["operationId"])}"><summary><span class="method">{method.upper()}</span> '
        f"<code>{escape(path)}</code> {escape(operation['summary'])}</summary>",
        f"<table>{rows}</table>" if rows else "",
        f"<p>Body: {_link(body)}</p>" if body else "",
        "<table>",
        *(_response(status, response) for status, response in operation["responses"].items()),
        "</table></details>",
    ]
    return "".join(parts)


def _parameter(parameter: dict[str, Any]) -> str:
    schema = json.dumps({key: value for key, value in parameter["schema"].items() if key != "description"})
    needed = "required" if parameter.get("required") else ""
    return (
        f"<tr><th><code>{escape(parameter['name'])}</code></th><td>{escape(parameter['in'])} {needed}</td>"
        f"<td>{escape(parameter.get('description', ''))}</td><td><code>{escape(schema)}</code></td></tr>"
    )


def _response(status: str, response: dict[str, Any]) -> str:
    schema = response.get("content", {}).get("application/json", {}).get("schema")
    shown = ", ".join(_link(entry) for entry in _alternatives(schema)) if schema else ""
    return f"<tr><th>{escape(status)}</th><td>{escape(response['description'])}</td><td>{shown}</td></tr>"


def _alternatives(schema: dict[str, Any]) -> Iterable[dict[str, Any]]:
    alternatives: list[dict[str, Any]] = schema.get("oneOf", [schema])
    return alternatives


def _link(schema: dict[str, Any]) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    return f'<a href="#{escape(name)}"><code>{escape(name)}</code></a>'


def _shell(title: str, content: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<link rel="stylesheet" href="/docs/style.css"></head><body>{content}</body></html>\n'
    )
