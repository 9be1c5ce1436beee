"""The OpenAPI document: each operation's body and answers, taken from the types that decode and encode them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from litestar.openapi.spec import Operation

from daemons.payment_sandbox.wire import KEY
from daemons.problems import MEDIA_TYPE, Problem

NUMBER = {"type": "number"}
NUMBER_OR_STRING = {"anyOf": [NUMBER, {"type": "string", "pattern": r"^\d{1,10}(\.\d{1,2})?$"}]}
NOT_SHOWN = {"$defs", "default"}
KEY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "The same key with the same request gets the same answer; with another request, 422.",
    "schema": {"type": "string", "pattern": f"^{KEY.pattern}$"},
}
REFUSALS = {
    "400": "Something of the request is wrong; names each field",
    "404": "There is no such thing",
    "413": "Over 64 KiB",
    "503": "Not now; try again with the same key",
}
REFUSALS_OF_CHARGES = {
    "402": "Declined, for good",
    "415": "The body must be application/json",
    "409": "Not possible in the state of this charge, for good",
    "422": "The key came before, with another request",
    "504": "The answer was lost; look it up by its key",
}


def documented(body: type[msgspec.Struct] | None, answer: type[msgspec.Struct]) -> type[Operation]:
    """An operation whose handler reads bytes and answers bytes, described by the types of both."""

    @dataclass
    class Documented(Operation):
        def to_schema(self) -> dict[str, Any]:
            schema = super().to_schema()
            refusals = REFUSALS
            if body is not None:
                refusals = {**REFUSALS, **REFUSALS_OF_CHARGES}
                schema["parameters"] = [*schema.get("parameters", []), KEY_HEADER]
                schema["requestBody"] = {"required": True, "content": _json(body, NUMBER_OR_STRING)}
            schema["responses"] = {
                "200": {"description": answer.__doc__ or "", "content": _json(answer, NUMBER)},
                **{
                    status: {"description": meaning, "content": {MEDIA_TYPE: {"schema": PROBLEM}}}
                    for status, meaning in sorted(refusals.items())
                },
            }
            return schema

    return Documented


def _json(kind: type[msgspec.Struct], decimal: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": _schema(kind, decimal)}}


def _schema(kind: type[msgspec.Struct], decimal: Mapping[str, Any]) -> dict[str, Any]:
    document = msgspec.json.schema(kind)
    return _inline(document, document.get("$defs", {}), decimal)


def _inline(node: Any, definitions: Mapping[str, Any], decimal: Mapping[str, Any]) -> Any:
    """The schema without references, and with our own idea of a decimal on the wire."""
    if isinstance(node, list):
        return [_inline(each, definitions, decimal) for each in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    schema = cast("dict[str, Any]", node)
    if "$ref" in schema:
        return _inline(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions, decimal)
    if schema.get("format") == "decimal":
        return dict(decimal)
    return {name: _inline(each, definitions, decimal) for name, each in schema.items() if name not in NOT_SHOWN}


PROBLEM = _schema(Problem, NUMBER)
