"""Measures how long a service takes to answer, by route and outcome."""

from __future__ import annotations

import time
from typing import Any

from prometheus_client import Histogram

from core.metrics import QUICK
from core.tracing import exemplar
from daemons.process.traced_requests import STATUS

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "OPTIONS"})
OTHER = "other"  # stands for methods and paths that no route here has, which callers make up without end
CONFLICTS = (409, 412)
TOO_MUCH = (429, 503)

REQUESTS = Histogram(
    "orderdeck_http_request_duration_seconds",
    "From the headers of a request until those of its answer, by route and outcome.",
    ["method", "route", "outcome"],
    buckets=QUICK,
)
_KNOWN: dict[tuple[str, str, str], Histogram] = {}  # to look up a metric by its labels takes longer than this


async def measured(app: Any, scope: Any, receive: Any, send: Any) -> None:
    """Have an application answer a request. A live stream counts as answered when it begins."""
    began, outcome, took = time.perf_counter(), "broken_off", 0.0

    async def noting(message: Any) -> None:
        nonlocal outcome, took
        if message["type"] == "http.response.start":
            scope[STATUS] = status = message["status"]
            took, outcome = time.perf_counter() - began, outcome_of(status)
        await send(message)

    try:
        await app(scope, receive, noting)
    finally:
        method = scope["method"] if scope["method"] in METHODS else OTHER
        key = (method, scope.get("path_template") or OTHER, outcome)
        known = _KNOWN.get(key)
        if known is None:
            known = _KNOWN[key] = REQUESTS.labels(*key)
        known.observe(took or time.perf_counter() - began, exemplar())


def outcome_of(status: int) -> str:
    """`ok`, `conflict`, `unavailable`, `failed`, or `rejected`, which is every other error that a caller made."""
    if status < 400:
        return "ok"
    if status in CONFLICTS:
        return "conflict"
    if status in TOO_MUCH:
        return "unavailable"
    return "failed" if status >= 500 else "rejected"
