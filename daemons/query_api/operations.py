"""What the OpenAPI document says of each path: its parameters, from their Struct, and its answers, from their types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.openapi.spec import Operation

from daemons.http.openapi import in_json, in_problem, schema_of

ALWAYS = (400, 405, 503)
PATH_SCHEMAS = {
    "order_id": {"type": "string", "format": "uuid"},
    "saga_id": {"type": "string", "format": "uuid"},
}
A_TEXT = {"type": "string", "minLength": 1, "maxLength": 200}


def query(parameters: type[msgspec.Struct], answer: Any, *problems: int, path: tuple[str, ...] = ()) -> type[Operation]:
    """The operation of a handler that answers bytes.

    `parameters` are those after the question mark, `path` the names of those in its path; `answer` is the type of its
    JSON, or a whole response object; `problems` are the statuses it answers beside those that every query may answer.
    """

    @dataclass
    class Described(Operation):
        def to_schema(self) -> dict[str, Any]:
            schema = super().to_schema()
            schema["parameters"] = [*map(_in_path, path), *_in_query(parameters)]
            schema["responses"] = {
                "200": answer if isinstance(answer, dict) else in_json(answer, "As asked for."),
                **{str(status): in_problem(status) for status in sorted({*ALWAYS, *problems})},
            }
            return schema

    return Described


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": PATH_SCHEMAS.get(name, A_TEXT)}


def _in_query(parameters: type[msgspec.Struct]) -> list[dict[str, Any]]:
    properties: dict[str, Any] = schema_of(parameters).get("properties", {})
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema.pop("description", ""),
            "schema": _without_null(schema),
        }
        for name, schema in properties.items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    # A parameter is left out rather than null.
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf" and (name, value) != ("default", None)}
    return {**rest, **kinds[0]} if len(kinds) == 1 else rest | ({"anyOf": kinds} if kinds else {})
