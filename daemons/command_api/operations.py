"""The OpenAPI document of the commands: bodies and answers from the types that decode and encode them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.openapi.spec import Operation

from core.ports.log import Result
from daemons.command_api.shapes import STATUSES, DryRunAnswer
from daemons.command_api.terms import KEY, LONGEST_ACTOR, LONGEST_REQUEST_ID, VERSION
from daemons.http.openapi import in_problem, schema_of

PROBLEMS = (400, 404, 405, 409, 412, 413, 415, 422, 503)
DECIMAL_IN = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^\d{1,10}(\.\d{1,2})?$"}]}
HEADERS = (
    (
        "Idempotency-Key",
        "The same key with the same command gets the same answer, for 48 hours.",
        {"pattern": f"^{KEY.pattern}$"},
    ),
    (
        "If-Match",
        'Only if the stream is at this version, as in "3"; else 412.',
        {"pattern": rf"^({VERSION.pattern}|\*)$"},
    ),
    ("Orderdeck-Actor", "Who gives the command; kept with its events.", {"maxLength": LONGEST_ACTOR}),
    ("X-Request-Id", "Kept with the events.", {"maxLength": LONGEST_REQUEST_ID}),
)


def command(
    body: type[msgspec.Struct] | None, answer: type[msgspec.Struct], result: Result = Result.DONE
) -> type[Operation]:
    """The operation of a handler that reads bytes and answers bytes, described by the types of both."""

    @dataclass
    class Described(Operation):
        def to_schema(self) -> dict[str, Any]:
            schema = super().to_schema()
            schema["parameters"] = [*schema.get("parameters", []), *_parameters()]
            if body is not None:
                schema["requestBody"] = {"required": True, "content": _json(schema_of(body, DECIMAL_IN))}
            answers: dict[str, list[type[msgspec.Struct]]] = {"200": [DryRunAnswer]}
            answers.setdefault(str(STATUSES[result]), []).append(answer)
            schema["responses"] = {
                **{status: _answer(kinds) for status, kinds in sorted(answers.items())},
                **{str(status): in_problem(status) for status in PROBLEMS},
            }
            return schema

    return Described


def _parameters() -> list[dict[str, Any]]:
    dry_run = {
        "name": "dry_run",
        "in": "query",
        "required": False,
        "description": "Answer 200 with the events the command would record; record nothing.",
        "schema": {"type": "string", "enum": ["true", "false"]},
    }
    headers = [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": description,
            "schema": {"type": "string", **limits},
        }
        for name, description, limits in HEADERS
    ]
    return [dry_run, *headers]


def _answer(kinds: list[type[msgspec.Struct]]) -> dict[str, Any]:
    schemas = [schema_of(kind) for kind in kinds]
    return {
        "description": " Or: ".join(kind.__doc__ or "" for kind in kinds),
        "content": _json(schemas[0] if len(schemas) == 1 else {"anyOf": schemas}),
    }


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
