"""Problem documents (RFC 9457): the one shape of every error that an HTTP service answers, without a traceback."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import msgspec
import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import KwargDefinition

from core import errors
from core.errors import FieldError, OrderdeckError, sentence
from core.fault_board import FaultBoard
from core.ports.replicas import PositionNotReached
from daemons.http.signatures import fields_of
from daemons.http.wording import in_words
from daemons.process.guard.gate import with_head
from daemons.process.traced_requests import REQUEST
from daemons.process.vitals import FAILED, FAULTS, route_of

MEDIA_TYPE = "application/problem+json"
DOCUMENTED: dict[int, str] = {
    400: "A parameter, a field or the request itself is wrong (`errors` names each field), or the domain refused.",
    401: "A key is needed here, and there is none, or it is not valid.",
    403: "A web page of an origin that is not allowed asks, or the key is of another role or for other routes.",
    404: "There is no such thing.",
    405: "The path exists, the method does not.",
    408: "The headers or the body did not come in time.",
    409: "Someone else came first, or it is too early.",
    412: "If-Match named another version.",
    413: "The body is over 1 MiB.",
    414: "The address is over 8 KiB.",
    415: "The body must be application/json in UTF-8, without a Content-Encoding.",
    417: "Expect has another value than 100-continue.",
    421: "The Host header names another host than this one.",
    422: "The Idempotency-Key was used for another command.",
    429: "The caller sent too many requests, or too many readers follow the log; Retry-After says how long to wait.",
    431: "More than 100 headers, or more than 64 KiB of them.",
    500: "A mistake of ours, or a fault of the database: it is in the log, under the `X-Request-Id` of this answer.",
    503: "The database is away, or too many requests or sagas wait; try again after Retry-After seconds.",
}
EVERYWHERE = (400, 401, 403, 405, 408, 413, 414, 415, 417, 421, 429, 431, 500, 503)
"""What every route may answer, since daemons/process/guard refuses requests before a route sees them."""
LONGEST_PATH = 100  # characters of a path that are repeated in an answer or in the log

MOST_ERRORS = 20
LONGEST_FIELD = 120
LONGEST_SENTENCE = 900  # a caller's own words, such as a name that it made up, may be in it

REMEMBERED = 60.0  # seconds after which /ready forgets a fault that no request has met again


_log = structlog.get_logger("http")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """`code` is for programs and stays the same; `error` and `detail` are one sentence for people.

    `errors` names at most MOST_ERRORS wrong fields; the sentence says how many more there are.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    error: str
    errors: tuple[FieldError, ...] = ()


class RequestRefused(Exception):
    """The request is refused with this status and code, for a reason that only HTTP has, such as a body too large."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        fields: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.fields = fields
        self.headers = dict(headers or {})


def wrong_json(error: msgspec.MsgspecError) -> RequestRefused:
    """The refusal for an error of msgspec: the body is not JSON, or a field is missing or has the wrong type."""
    text, _, path = str(error).partition(" - at `$")
    if not isinstance(error, msgspec.ValidationError):
        return RequestRefused(400, "malformed_json", f"the body is not valid JSON: {in_words(text)}")
    return wrong_fields(_wrong_field(path.removesuffix("`"), text))


def wrong_fields(*fields: FieldError) -> RequestRefused:
    return RequestRefused(400, "validation_failed", sentence(fields), fields=fields)


def problems(*statuses: int, meaning: Mapping[int, str] = DOCUMENTED) -> dict[int, ResponseSpec]:
    """The problems a handler may answer with, for its `responses=`, beside those that every route may answer."""
    return {
        status: ResponseSpec(Problem, generate_examples=False, description=meaning[status], media_type=MEDIA_TYPE)
        for status in sorted({*EVERYWHERE, *statuses})
    }


def problem_response(refused: RequestRefused) -> Response[bytes]:
    detail = _short(str(refused), LONGEST_SENTENCE)
    problem = Problem(
        type=f"urn:orderdeck:problem:{refused.code}",
        title=refused.code.replace("_", " ").capitalize(),
        status=refused.status,
        detail=detail,
        code=refused.code,
        error=detail,
        errors=tuple(
            FieldError(_short(wrong.field, LONGEST_FIELD), _short(wrong.message, LONGEST_SENTENCE))
            for wrong in refused.fields[:MOST_ERRORS]
        ),
    )
    return Response(
        msgspec.json.encode(problem), status_code=refused.status, media_type=MEDIA_TYPE, headers=refused.headers
    )


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def on_error(request: Request[Any, Any, State], error: Exception) -> Response[bytes]:
    match error:
        case RequestRefused():
            refused = error
        case OrderdeckError() if (known := _known(error)) is not None:
            refused = known
        case msgspec.MsgspecError():
            refused = wrong_json(error)
        case HTTPException(detail="client disconnected prematurely"):
            refused = RequestRefused(400, "incomplete_body", "the body ended before its length")
        case HTTPException() if error.status_code != HTTPStatus.INTERNAL_SERVER_ERROR:
            refused = _of_litestar(request, error)
        case _:
            id_ = log_failure(request.scope, error)
            detail = f"something went wrong on our side; it is in the log under request {id_}"
            refused = RequestRefused(500, "internal_error", detail, headers={"X-Request-Id": id_})
    scope: Any = request.scope
    scope[FAILED] = True
    return problem_response(refused)


def log_failure(scope: Any, error: Exception) -> str:
    """Log that a mistake of ours or a fault of the database ended a request; return the request's id.

    A fault of the database is also named in /ready, until the same route answers or nobody has met it for REMEMBERED
    seconds. When a request meets a fault that is on the board already, its line has no traceback.
    """
    scope[FAILED] = True
    id_ = _request_id(scope)
    new = True
    faults: FaultBoard | None = scope.get(FAULTS)
    if faults is not None and isinstance(error, errors.DatabaseFault):
        new = faults.note(route_of(scope), error, seconds=REMEMBERED)
    reason = str(error) or type(error).__name__
    _log.error(
        "request_failed",
        method=scope["method"],
        path=scope["path"][:LONGEST_PATH],
        request_id=id_,
        reason=reason,
        exc_info=error if new else None,
    )
    return id_


def _request_id(scope: Any) -> str:
    """The caller's X-Request-Id, or one of our own."""
    return scope.get(REQUEST) or uuid4().hex


HANDLERS: dict[int | type[Exception], Any] = {HTTPException: on_error, Exception: on_error}
"""The `exception_handlers=` of every HTTP service."""


def _known(error: OrderdeckError) -> RequestRefused | None:
    text = str(error)
    match error:
        case errors.InvalidInput(errors=wrong):
            return RequestRefused(400, error.code, text, fields=tuple(wrong))
        case errors.NotFound():
            return RequestRefused(404, error.code, text)
        case errors.Rejected():
            return RequestRefused(400, error.code, text)
        case errors.VersionConflict():
            return RequestRefused(409, "conflict", text)
        case errors.SagaTaken():
            return RequestRefused(409, "conflict", text, headers={"Retry-After": "1"})
        case errors.PreconditionFailed(expected, actual):
            text = f'If-Match asked for "{expected}", the current version is {actual}'
            return RequestRefused(412, "precondition_failed", text, headers={"ETag": f'"{actual}"'})
        case errors.KeyReused():
            return RequestRefused(422, "key_reused", text)
        case errors.FulfilmentNotFinished():
            return RequestRefused(409, "fulfilment_not_finished", text, headers={"Retry-After": "1"})
        case PositionNotReached():
            return RequestRefused(409, "position_not_reached", text, headers={"Retry-After": "1"})
        case errors.UnknownEvent():
            return RequestRefused(503, "unknown_event", text, headers={"Retry-After": "60"})
        case errors.SchemaBehind():
            return RequestRefused(503, "schema_behind", text, headers={"Retry-After": "5"})
        case errors.Unavailable(retry_after=seconds):
            code = _UNAVAILABLE.get(type(error), "unavailable")
            return RequestRefused(503, code, text, headers={"Retry-After": str(seconds)})
        case _:
            return None  # any other error, such as a ConfigurationError, is a mistake of ours: answered 500


_UNAVAILABLE: dict[type[errors.Unavailable], str] = {
    errors.OutcomeUnknown: "outcome_unknown",
    errors.QueueFull: "queue_full",
    errors.BacklogFull: "backlog_full",
}


def _of_litestar(request: Request[Any, Any, State], error: HTTPException) -> RequestRefused:
    status = error.status_code
    headers = {k: with_head(v) for k, v in (error.headers or {}).items() if k.lower() == "allow"}
    if isinstance(error.extra, list):
        return wrong_fields(*(_wrong_parameter(request, extra) for extra in error.extra))
    if (cause := _msgspec_cause(error)) is not None:
        return wrong_json(cause)
    match status:
        case 404:
            return RequestRefused(404, "not_found", f"there is nothing at {_short(request.url.path, LONGEST_PATH)}")
        case 405:
            allowed = next(iter(headers.values()), "")
            detail = f"{request.method} is not allowed here, only {allowed}"
            return RequestRefused(405, "method_not_allowed", detail, headers=headers)
        case 413:
            code = "request_entity_too_large"  # Python calls this status otherwise since 3.13
            return RequestRefused(413, code, "the body is too large")
        case _:
            code = HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
            return RequestRefused(status, code, error.detail, headers=headers)


def _msgspec_cause(error: BaseException) -> msgspec.MsgspecError | None:
    cause = error.__cause__
    while cause is not None and not isinstance(cause, msgspec.MsgspecError):
        cause = cause.__cause__
    return cause


def _wrong_parameter(request: Request[Any, Any, State], extra: Any) -> FieldError:
    """A wrong parameter under the name that callers use; says the allowed values or the form where there are any."""
    name = str(extra.get("key", ""))
    wrong = _wrong_field(name, str(extra.get("message", "is wrong")), of_text=True)
    field = fields_of(request.route_handler).get(name)
    if field is None:
        return wrong
    declared = field.kwarg_definition
    shown = getattr(declared, "name", None) or wrong.field
    choices = next((part.args for part in (field, *field.inner_types) if part.is_literal), None)
    if choices is not None:
        return FieldError(shown, f"must be one of {', '.join(choices)}")
    if isinstance(declared, KwargDefinition) and declared.pattern is not None:
        return FieldError(shown, f"must be {declared.description}")
    return FieldError(shown, wrong.message)


def _wrong_field(path: str, text: str, *, of_text: bool = False) -> FieldError:
    # Litestar calls the body `data`; a caller knows the fields of the body without that prefix.
    place = path.removeprefix(".").removeprefix("data.") if path != "data" else ""
    if missing := re.fullmatch(r"Object missing required field `(.*)`", text):
        return FieldError(f"{place}.{missing[1]}".removeprefix("."), "is required")
    return FieldError(place or "body", in_words(text, of_text=of_text))
