"""The OpenAPI document: each operation's body and answers, taken from the types that decode and encode them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.openapi.spec import Operation

from daemons.http.openapi import in_json, schema_of
from daemons.http.problems import MEDIA_TYPE, Problem
from daemons.payment_sandbox.shapes import KEY

AMOUNT = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^\d{1,10}(\.\d{1,2})?$"}]}
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
                schema["requestBody"] = _body(body)
            schema["responses"] = {
                "200": in_json(answer, answer.__doc__ or ""),
                **{
                    status: {"description": meaning, "content": {MEDIA_TYPE: {"schema": schema_of(Problem)}}}
                    for status, meaning in sorted(refusals.items())
                },
            }
            return schema

    return Documented


def _body(kind: type[msgspec.Struct]) -> dict[str, Any]:
    schema = schema_of(kind)
    if "amount" in schema["properties"]:
        schema["properties"]["amount"] = AMOUNT
    return {"required": True, "content": {"application/json": {"schema": schema}}}
