"""The page at /docs: the OpenAPI document as plain HTML that we write.

The framework's own pages load scripts and styles from other servers, so they need a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, cast

import msgspec
from litestar import Request, Router
from litestar.openapi.plugins import OpenAPIRenderPlugin

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


class DocsPage(OpenAPIRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002 - the framework's signature
        info, schemas = openapi_schema["info"], openapi_schema.get("components", {}).get("schemas", {})
        operations = "".join(
            _operation(method, path, operation)
            for path, item in _whole(openapi_schema.get("paths", {}), schemas).items()
            for method, operation in item.items()
            if method in METHODS
        )
        return PAGE.format(title=escape(info["title"]), version=escape(info["version"]), operations=operations).encode()

    def receive_router(self, router: Router) -> None:
        """Remove the framework's own answer to unknown paths, so that they are answered with a problem document."""
        router.routes = [route for route in router.routes if route.path not in {"/", "/{path:str}"}]


def _whole(node: Any, schemas: Mapping[str, Any]) -> Any:
    """A part of the document with each reference replaced by the schema it names.

    This ends, because no schema of ours refers to itself.
    """
    if isinstance(node, list):
        return [_whole(each, schemas) for each in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    part = cast("dict[str, Any]", node)
    if "$ref" in part:
        return _whole(schemas[part["$ref"].rpartition("/")[2]], schemas)
    return {name: _whole(each, schemas) for name, each in part.items()}


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
    shown = "" if status >= "4" else _content(answer)  # all problems have one schema, so the page leaves it out
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
