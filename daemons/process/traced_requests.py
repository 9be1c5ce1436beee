"""Follows the traces of requests: each belongs to the caller's trace, to one of its own that is recorded, or to none.

The traceparent of a request counts as W3C Trace Context says; its tracestate is not looked at, and goes no further.
"""

from __future__ import annotations

import re
from random import getrandbits
from typing import Any

from core.tracing import Span, TracePlace, Tracer, go_to, read_traceparent

REQUEST_ID = re.compile(rb"[!-~]{1,200}")
REQUEST = "orderdeck.request_id"  # the key in a request's scope that holds its id
STATUS = "orderdeck.status"  # the key in a request's scope that holds the status of its answer


async def followed(app: Any, scope: Any, receive: Any, send: Any, recorder: Tracer | None) -> None:
    """Have an application answer a request, within the trace that the request belongs to."""
    given: list[bytes] = []
    request_id = b""
    for name, value in scope["headers"]:
        if name == b"traceparent":
            given.append(value)
        elif name == b"x-request-id":
            request_id = value
    id_ = request_id.decode() if request_id and REQUEST_ID.fullmatch(request_id) else f"{getrandbits(128):032x}"
    scope[REQUEST] = id_
    parent = read_traceparent(given) if given else None
    if recorder is None:
        go_to(TracePlace(parent or "", kept=parent is not None, request_id=id_))
        await app(scope, receive, send)
        return
    span = _begin(recorder, parent, scope["method"])
    if isinstance(span, str):
        go_to(TracePlace(span, kept=parent is not None, request_id=id_))
        await app(scope, receive, send)
        return
    go_to(TracePlace(span.traceparent, recorded=True, kept=True, request_id=id_))
    error = ""
    try:
        await app(scope, receive, send)
    except BaseException as failure:
        error = type(failure).__name__
        raise
    finally:
        _describe(span, scope)
        status = scope.get(STATUS, 0)
        span.end(error or (str(status) if status >= 500 else ""))


def _begin(recorder: Tracer, parent: str | None, method: str) -> Span | str:
    if parent is None:
        return recorder.root(method, "server")
    return recorder.begin(method, parent, kind="server") if recorder.takes_part(parent) else parent


def _describe(span: Span, scope: Any) -> None:
    """Say of a request which route answered it, by the names of OpenTelemetry; never the path, which may hold ids."""
    span.note("http.request.method", scope["method"])
    if (route := scope.get("path_template")) is not None:
        span.rename(f"{scope['method']} {route}")
        span.note("http.route", route)
    if (status := scope.get(STATUS)) is not None:
        span.note("http.response.status_code", status)
    span.note("orderdeck.request_id", scope[REQUEST])
