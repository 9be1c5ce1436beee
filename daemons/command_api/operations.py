"""What the OpenAPI document says of every command: its headers, the dry run, its answers and its problems."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar.openapi.spec import OpenAPIType, Parameter, Schema

from core.ports.log import Result
from daemons.command_api.shapes import STATUSES, DryRunAnswer
from daemons.command_api.terms import KEY, LONGEST_ACTOR, LONGEST_REQUEST_ID, VERSION
from daemons.http.openapi import answers, reading

REFUSALS = (404, 409, 412, 413, 415, 422, 503)


def _parameter(place: str, name: str, description: str, **limits: Any) -> Parameter:
    schema = Schema(type=OpenAPIType.STRING, **limits)
    return Parameter(name=name, param_in=place, description=description, schema=schema)


TERMS = (
    _parameter(
        "query", "dry_run", "Answer 200 with the events it would record, and record nothing.", enum=["true", "false"]
    ),
    _parameter("query", "strict", "Refuse a body with a field that is not known here.", enum=["true", "false"]),
    _parameter(
        "header",
        "Idempotency-Key",
        "The same key with the same command gets the same answer, for 48 hours.",
        pattern=f"^{KEY.pattern}$",
    ),
    _parameter(
        "header",
        "If-Match",
        'Only if the stream is at this version, as in "3"; else 412.',
        pattern=rf"^({VERSION.pattern}|\*)$",
    ),
    _parameter("header", "Orderdeck-Actor", "Who gives the command; kept with its events.", max_length=LONGEST_ACTOR),
    _parameter("header", "X-Request-Id", "Kept with the events.", max_length=LONGEST_REQUEST_ID),
)


def command(
    body: type[msgspec.Struct] | None, answer: type[msgspec.Struct], result: Result = Result.DONE
) -> dict[str, Any]:
    """The arguments of `post` and `put` for a command: the body it reads, and what it answers when it succeeds."""
    status = STATUSES[result]
    kinds = {200: DryRunAnswer | answer} if status == 200 else {200: DryRunAnswer, status: answer}
    return {
        "status_code": status,
        "operation_class": reading(body, TERMS),
        "responses": answers(kinds, *REFUSALS),
    }
