"""Makes the OpenAPI documents of our services: the framework derives them from the types of parameters and answers.

This module adds what the framework cannot see: the bodies and the headers that handlers read by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import version
from typing import Any, ClassVar, cast

import msgspec
from litestar import Litestar, Request
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    Reference,
    RequestBody,
    Schema,
    SecurityScheme,
)
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from core.domain.money import AMOUNT_TEXT
from daemons.http.docs_page import DocsPage
from daemons.http.problems import DOCUMENTED, problems

PLACE = "#/components/schemas/{name}"
AMOUNT = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^{AMOUNT_TEXT.pattern}$"}]}
"""The schema of an amount in a body, which may be a number or a text. In an answer it is always a number."""


KEY_SCHEME = SecurityScheme(
    type="http",
    scheme="bearer",
    description="An API key, od_<id>_<secret>, which `orderdeck keys create` makes; needed where the service says so.",
)


def openapi(title: str) -> OpenAPIConfig:
    """The configuration that serves the document at /openapi.json and the page at /docs."""
    return OpenAPIConfig(
        title=title,
        version=version("orderdeck"),
        path="/",
        components=Components(security_schemes={"key": KEY_SCHEME}),
        security=[{"key": []}, {}],  # or none, where no keys are needed
        use_handler_docstrings=True,
        render_plugins=[HtmlDocument(path="/docs"), JsonDocument(path="/openapi.json")],
    )


class WireTypes(OpenAPISchemaPlugin):
    """Tells the framework the schema of two types it does not know: a decimal is a number, raw JSON may be anything."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        return value in (Decimal, msgspec.Raw)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:  # noqa: ARG002 - the framework's signature
        if field_definition.annotation is Decimal:
            return Schema(type=OpenAPIType.NUMBER)
        return Schema(description="Any JSON.")


def answers(
    kinds: Mapping[int, Any] | type[msgspec.Struct], *refusals: int, meaning: Mapping[int, str] = DOCUMENTED
) -> dict[int, ResponseSpec]:
    """The `responses=` of a handler: the type it answers with for each status, and its problems.

    A type that is given alone is that of status 200. The type's docstring becomes the description in the document;
    `meaning` holds the descriptions of the problems.
    """
    by_status: Mapping[int, Any] = kinds if isinstance(kinds, Mapping) else {200: kinds}
    described = {
        status: ResponseSpec(kind, generate_examples=False, description=_about(kind))
        for status, kind in by_status.items()
    }
    return described | problems(*refusals, meaning=meaning)


def _about(kind: Any) -> str:
    """The docstrings of a type, or of each type of a union."""
    kinds = getattr(kind, "__args__", None) or (kind,)
    return " Or: ".join(each.__doc__ for each in kinds if each.__doc__) or "As was asked for."


def reading(kind: type[msgspec.Struct] | None, parameters: Sequence[Parameter] = ()) -> type[Operation]:
    """The `operation_class=` of a handler that decodes its body and reads these parameters by itself."""

    @dataclass
    class Reading(Operation):
        body: ClassVar[type[msgspec.Struct] | None] = kind

        def __post_init__(self) -> None:
            self.parameters = [*(self.parameters or []), *parameters]
            if kind is not None:
                place = Reference(ref=PLACE.format(name=kind.__name__))
                self.request_body = RequestBody(
                    required=True, content={"application/json": OpenAPIMediaType(schema=place)}
                )

    return Reading


def with_headers(headers: Mapping[str, Schema], sometimes: Mapping[str, Schema] | None = None) -> type[Operation]:
    """The `operation_class=` of a handler whose answer with status 200 has these headers, and some only sometimes."""

    @dataclass
    class WithHeaders(Operation):
        def __post_init__(self) -> None:
            done = cast("OpenAPIResponse", (self.responses or {})["200"])
            done.headers = {name: OpenAPIHeader(schema=schema, required=True) for name, schema in headers.items()}
            for name, schema in (sometimes or {}).items():
                done.headers[name] = OpenAPIHeader(schema=schema, required=False)

    return WithHeaders


def document(app: Litestar) -> dict[str, Any]:
    """The application's document. It is made when somebody asks for it, which takes a tenth of a second."""
    return with_bodies(app, app.openapi_schema.to_schema())


def with_bodies(app: Litestar, made: dict[str, Any]) -> dict[str, Any]:
    """Add to the document that the framework has made the schemas of the bodies that handlers decode by themselves."""
    handlers = [handler for route in app.routes for handler in getattr(route, "route_handlers", ())]
    bodies = {body for handler in handlers if (body := getattr(handler.operation_class, "body", None)) is not None}
    _, components = msgspec.json.schema_components(bodies, ref_template=PLACE)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in components.items():
        schemas[name] = _amounts(schema)
    return made


class JsonDocument(JsonRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return cast("Any", super()).render(request, with_bodies(request.app, openapi_schema))


class HtmlDocument(DocsPage):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, with_bodies(request.app, openapi_schema))


def _amounts(node: Any) -> Any:
    """A copy of a schema in which every amount may be a number or a text, without defaults that are null."""
    if isinstance(node, list):
        return [_amounts(each) for each in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    schema = cast("dict[str, Any]", node)
    if schema.get("format") == "decimal":
        return {**{name: value for name, value in schema.items() if name not in {"type", "format"}}, **AMOUNT}
    return {name: _amounts(each) for name, each in schema.items() if each is not None}
