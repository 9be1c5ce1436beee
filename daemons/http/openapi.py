"""The OpenAPI documents of our services, from the types that read and write the wire, and a page that shows them.

The page is plain HTML of our own: those that come with the framework are loaded from somewhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib.metadata import version
from typing import Any, cast

import msgspec
from litestar import Request, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin

from daemons.http.problems import DOCUMENTED, MEDIA_TYPE, Problem

ANYTHING = {"description": "Any JSON."}
NUMBER = {"type": "number"}
METHODS = {"get", "post", "put", "patch", "delete"}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
 body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
 summary {{ cursor: pointer; padding: .3rem 0 }} summary b {{ display: inline-block; min-width: 4rem }}
 code, pre {{ font: 13px/1.4 ui-monospace, monospace }} pre {{ background: #8881; padding: .7rem; overflow: auto }}
 td, th {{ text-align: left; vertical-align: top; padding: .15rem .8rem .15rem 0 }} .quiet {{ opacity: .7 }}
 @media (prefers-color-scheme: dark) {{ body {{ background: #16181c; color: #ddd }} a {{ color: #8bf }} }}
</style>
<h1>{title}</h1><p class="quiet">version {version} · <a href="/openapi.json">openapi.json</a></p>
{operations}</html>"""
OPERATION = """<details><summary><b>{method}</b> <code>{path}</code> <span class="quiet">{summary}</span></summary>
<p>{description}</p>{parameters}{body}<h4>Answers</h4>{answers}</details>
"""


def openapi(title: str) -> OpenAPIConfig:
    """The document at /openapi.json, the page at /docs."""
    return OpenAPIConfig(
        title=title,
        version=version("orderdeck"),
        path="/",
        use_handler_docstrings=True,
        render_plugins=[DocsPage(path="/docs"), JsonRenderPlugin(path="/openapi.json")],
    )


def schema_of(kind: Any, decimal: Mapping[str, Any] = NUMBER) -> dict[str, Any]:
    """The JSON schema of a type without references; `decimal` is what an amount may look like."""
    document = msgspec.json.schema(kind, schema_hook=lambda _: dict(ANYTHING))
    return _inline(document, document.get("$defs", {}), decimal)


def in_json(kind: Any, description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema_of(kind)}}}


def in_problem(status: int) -> dict[str, Any]:
    return {"description": DOCUMENTED[status], "content": {MEDIA_TYPE: {"schema": schema_of(Problem)}}}


def _inline(node: Any, definitions: Mapping[str, Any], decimal: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inline(each, definitions, decimal) for each in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    schema = cast("dict[str, Any]", node)
    if "$ref" in schema:
        return _inline(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions, decimal)
    if schema.get("format") == "decimal":
        return dict(decimal)
    return {name: _inline(each, definitions, decimal) for name, each in schema.items() if name != "$defs"}


class DocsPage(OpenAPIRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002 - the framework's signature
        info = openapi_schema["info"]
        operations = "".join(
            _operation(method, path, operation)
            for path, item in openapi_schema.get("paths", {}).items()
            for method, operation in item.items()
            if method in METHODS
        )
        return PAGE.format(title=escape(info["title"]), version=escape(info["version"]), operations=operations).encode()

    def receive_router(self, router: Router) -> None:
        """Take out the framework's own page for paths beside ours: what is not there is a problem document here too."""
        router.routes = [route for route in router.routes if route.path not in {"/", "/{path:str}"}]


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    body = operation.get("requestBody")
    return OPERATION.format(
        method=method.upper(),
        path=escape(path),
        summary=escape(operation.get("summary", "")),
        description=escape(operation.get("description", "")),
        parameters=_parameters(operation.get("parameters", [])),
        body=f"<h4>Body</h4>{_content(body)}" if body else "",
        answers="".join(_answer(status, answer) for status, answer in operation["responses"].items()),
    )


def _parameters(parameters: list[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code><td class=quiet>{escape(p['in'])}"
        f"<td><code>{escape(_brief(p.get('schema', {})))}</code><td>{escape(p.get('description', ''))}"
        for p in parameters
    )
    return f"<table>{rows}</table>" if rows else ""


def _answer(status: str, answer: Mapping[str, Any]) -> str:
    shown = "" if status >= "4" else _content(answer)  # every problem looks the same
    return f"<p><b>{status}</b> {escape(answer.get('description', ''))}</p>{shown}"


def _content(holder: Mapping[str, Any]) -> str:
    return "".join(
        f"<pre>{escape(msgspec.json.format(msgspec.json.encode(media.get('schema', {}))).decode())}</pre>"
        for media in holder.get("content", {}).values()
    )


def _brief(schema: Mapping[str, Any]) -> str:
    kind = schema.get("enum") or schema.get("type") or schema.get("anyOf") or "any"
    limits = [f"{name} {schema[name]}" for name in ("minimum", "maximum", "maxLength", "pattern") if name in schema]
    return ", ".join([str(kind), *limits])
