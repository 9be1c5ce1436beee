"""What the OpenAPI document says of the operations on charges: the key they need, their answers and their problems."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIType, Parameter, Schema

from daemons.http.openapi import answers, reading
from daemons.http.problems import DOCUMENTED
from daemons.payment_sandbox.charges import ChargeAnswer
from daemons.payment_sandbox.shapes import KEY

KEY_HEADER = Parameter(
    name="Idempotency-Key",
    param_in="header",
    required=True,
    description="The same key with the same request gets the same answer; with another request, 422.",
    schema=Schema(type=OpenAPIType.STRING, pattern=f"^{KEY.pattern}$"),
)
MEANING = {
    **DOCUMENTED,
    402: "Declined, for good.",
    409: "Not possible in the state of this charge, for good.",
    413: "The body is over 64 KiB.",
    422: "The key came before, with another request.",
    503: "Not now; try again with the same key.",
    504: "The answer was lost; look it up by its key.",
}


def charging(body: type[msgspec.Struct]) -> dict[str, Any]:
    """The arguments of `post` for an operation on a charge: the body it reads, and what it answers."""
    return {
        "status_code": 200,
        "operation_class": reading(body, [KEY_HEADER]),
        "responses": answers(ChargeAnswer, 402, 404, 409, 413, 415, 422, 503, 504, meaning=MEANING),
    }


def shown(kind: type[msgspec.Struct], *refusals: int) -> dict[int, ResponseSpec]:
    """The `responses=` of a handler that changes nothing and answers with this type."""
    return answers(kind, *refusals, 503, meaning=MEANING)
