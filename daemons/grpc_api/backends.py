"""The HTTP services that calls are passed on to: which of them, and one connection for each call under way.

It uses httpcore, the lower layer of httpx, which needs a third of the time for a request.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpcore
import msgspec

from daemons.grpc_api.grpc_statuses import CallRefused, SentProblem, refusal
from daemons.grpc_api.http_requests import HttpRequest
from daemons.grpc_api.json_messages import read_json

CONNECT = 2.0  # seconds; a service that does not take a connection by then is away
IDLE = 5.0  # seconds that a connection stays open for the next call; the services keep theirs longer
MOST_IDLE = 32  # connections that stay open; each is a file, here and at the service
LONGEST_ANSWER = 16 << 20  # bytes
SILENT = 60.0  # seconds; a live stream has at least a comment every fifteen
ASKED = HttpRequest("GET", "/health?ready", [], None)
ASKED_WITHIN = 2.0  # seconds

NOT_SENT = (httpcore.ConnectError, httpcore.ConnectTimeout)
NO_ANSWER = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError)
EXTENSIONS: dict[str, object] = {"timeout": {"connect": CONNECT}}
FOLLOWING: dict[str, object] = {"timeout": {"connect": CONNECT, "read": SILENT}}


class HttpAnswer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Backend:
    """One of the HTTP services, at this base URL. `name` is what people call it."""

    def __init__(self, name: str, base: str) -> None:
        self.name = name
        self._base = base
        self._trusts = ssl.create_default_context()  # with the authorities of SSL_CERT_FILE, if it is set
        # For each request, a pool of httpcore looks at all its connections; so each pool has one, for one call.
        self._idle: list[httpcore.AsyncConnectionPool] = []

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().aclose()

    async def ask(self, request: HttpRequest) -> HttpAnswer:
        """The whole answer, whatever its status. Raises CallRefused when there is none."""
        async with self._opened(request, EXTENSIONS) as response:
            body = bytearray()
            async for part in response.aiter_stream():
                body += part
                if len(body) > LONGEST_ANSWER:
                    raise refusal(500, "answer_too_long", f"the {self.name} answers more than {LONGEST_ANSWER} bytes")
            return HttpAnswer(response.status, _headers(response), bytes(body))

    @asynccontextmanager
    async def follow(self, request: HttpRequest) -> AsyncGenerator[httpcore.Response]:
        """A response that comes part by part. Raises CallRefused when it is refused, or breaks off."""
        async with self._opened(request, FOLLOWING) as response:
            if response.status != 200:
                await response.aread()
                raise problem_of(HttpAnswer(response.status, _headers(response), response.content))
            yield response

    async def why_not_ready(self) -> str | None:
        try:
            async with asyncio.timeout(ASKED_WITHIN):
                answer = await self.ask(ASKED)
        except (TimeoutError, CallRefused):
            return f"the {self.name} does not answer"
        return None if answer.status == 200 else f"the {self.name} is not ready"

    @asynccontextmanager
    async def _opened(self, request: HttpRequest, extensions: dict[str, object]) -> AsyncGenerator[httpcore.Response]:
        pool = (
            self._idle.pop()
            if self._idle
            else httpcore.AsyncConnectionPool(self._trusts, max_connections=1, keepalive_expiry=IDLE)
        )
        try:
            async with pool.stream(
                request.verb,
                self._base + request.target,
                headers=request.headers,
                content=request.body,
                extensions=extensions,
            ) as response:
                yield response
        except NOT_SENT:
            await pool.aclose()
            raise self._away() from None
        except NO_ANSWER:
            await pool.aclose()
            if request.verb == "GET":
                raise self._away() from None
            detail = (
                f"the {self.name} broke off, so nobody knows whether the command was executed: "
                "with an idempotency key it can be repeated"
            )
            raise refusal(503, "outcome_unknown", detail) from None
        except BaseException:
            await pool.aclose()
            raise
        if len(self._idle) < MOST_IDLE:
            self._idle.append(pool)
        else:
            await pool.aclose()

    def _away(self) -> CallRefused:
        return refusal(503, "unavailable", f"the {self.name} does not answer", retry_after=1)


def problem_of(answer: HttpAnswer) -> CallRefused:
    """The refusal that an answer is, which is none with 200 or 201."""
    try:
        if answer.status == 202:  # what was asked for is being made
            problem = SentProblem(status=503, code="building", detail=str(read_json(answer.body)["detail"]))
        else:
            problem = msgspec.json.decode(answer.body, type=SentProblem)
    except (msgspec.DecodeError, KeyError, TypeError):
        return refusal(500, "internal_error", f"answered {answer.status}, and no problem document")
    wait = answer.headers.get("retry-after", "")
    retry_after = float(wait) if wait.isdecimal() and len(wait) < 6 else None
    return CallRefused(problem, retry_after=retry_after, request_id=answer.headers.get("x-request-id", ""))


def _headers(response: httpcore.Response) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
