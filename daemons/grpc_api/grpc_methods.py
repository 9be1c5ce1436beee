"""Answers each method by the HTTP route that it stands for, within the deadline of the call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias
from urllib.parse import unquote
from uuid import uuid4

import grpc
import msgspec
import structlog
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from daemons.grpc_api.backends import Backend, HttpAnswer, problem_of
from daemons.grpc_api.grpc_statuses import DETAILS, CallRefused, refusal, wrong_field
from daemons.grpc_api.http_requests import HttpRequest, http_request
from daemons.grpc_api.json_messages import fill, read_json
from daemons.grpc_api.log_entries import Frames
from daemons.grpc_api.routes import ROUTES, Route

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler = Callable[[bytes, Context], Awaitable[Any]]

LONGEST_CALL = 30.0  # seconds for a call without a deadline; no route takes longer
SHORTEST_CALL = 0.002  # seconds; no answer comes sooner, and grpcio rounds what is left up to a whole millisecond
STALLED = 60.0  # seconds in which the reader of a stream takes nothing
GONE = object()
TOLD = ("age", "deprecation", "etag", "ratelimit", "ratelimit-policy", "x-cache", "x-request-id")
"""Beside those that begin with `orderdeck-`: the headers of an answer that become metadata."""

_log = structlog.get_logger("grpc")


class Methods:
    """`stop` is set when the daemon ends: then live streams end, and their readers go on with the next one."""

    def __init__(self, commands: Backend, queries: Backend, stop: asyncio.Event) -> None:
        self._commands = commands
        self._queries = queries
        self._stop = stop

    def handler(self, name: str) -> grpc.RpcMethodHandler[Any, Any] | None:
        """What answers the method of this full name. It takes and gives bytes, so that it can refuse malformed ones."""
        route = ROUTES.get(name)
        if route is None:
            return None
        if route.is_stream:
            return grpc.unary_stream_rpc_method_handler(self._refusing(route, self._follow))
        return grpc.unary_unary_rpc_method_handler(self._refusing(route, self._answer))

    def _refusing(self, route: Route, answer: Callable[[Route, bytes, Context], Awaitable[Any]]) -> Handler:
        async def call(sent: bytes, context: Context) -> Any:
            try:
                return await answer(route, sent, context)
            except CallRefused as refused:
                why = refused
            except (asyncio.CancelledError, grpc.aio.AbortError, grpc.aio.InternalError):
                raise  # the last one: nothing can be sent, since the call has ended
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told, and the log has it
                request_id = uuid4().hex
                _log.exception("request_failed", method=route.full_name, request_id=request_id, reason=str(error))
                detail = f"something went wrong on our side; it is in the log under request {request_id}"
                why = refusal(500, "internal_error", detail, request_id=request_id)
            return await context.abort(why.code, why.sentence, ((DETAILS, why.details()),))

        return call

    async def _answer(self, route: Route, sent: bytes, context: Context) -> bytes:
        request = _request(route, sent, context)
        backend = self._commands if route.is_command else self._queries
        try:
            async with asyncio.timeout(_seconds_left(context)):
                answer = await backend.ask(request)
        except TimeoutError:
            raise _too_late(begun=route.is_command) from None
        if answer.status not in (200, 201):
            raise problem_of(answer)
        await context.send_initial_metadata(_told(answer.headers.items()))
        return _message(route, answer).SerializeToString()

    async def _follow(self, route: Route, sent: bytes, context: Context) -> None:
        request = _request(route, sent, context)
        pumping = asyncio.create_task(self._pump(request, context))
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({pumping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pumping.cancel()
            stopping.cancel()
            await asyncio.wait({pumping, stopping})
        if not pumping.cancelled() and pumping.result() is GONE:
            return
        detail = "the stream ends here; follow the log again after the position of the last entry"
        raise refusal(503, "stream_ended", detail, retry_after=1)

    async def _pump(self, request: HttpRequest, context: Context) -> object:
        """Pass on what the query API sends. A slow reader makes this wait, and so the query API.

        Returns GONE when the reader has gone, and None when the query API has ended the stream.
        """
        async with self._queries.follow(request) as response:
            await context.send_initial_metadata(())  # now the caller knows that it is followed
            frames = Frames()
            async for part in response.aiter_stream():
                for entry in frames.entries(part):
                    try:
                        async with asyncio.timeout(STALLED):
                            await context.write(entry.SerializeToString())
                    except TimeoutError:
                        detail = f"the reader took nothing for {STALLED:.0f} s"
                        raise refusal(503, "reader_stalled", detail, retry_after=1) from None
                    except (grpc.aio.InternalError, grpc.aio.UsageError):
                        return GONE
        return None


def _request(route: Route, sent: bytes, context: Context) -> HttpRequest:
    try:
        message = GetMessageClass(route.request).FromString(sent)
    except DecodeError:
        raise wrong_field("body", f"is no valid {route.request.name}") from None
    request = http_request(route, message, context.invocation_metadata() or ())
    request.headers.append(
        (b"x-forwarded-for", address_of(context.peer()).encode())
    )  # counts if we are a trusted proxy
    return request


def address_of(peer: str) -> str:
    """The address in a peer such as `ipv4:127.0.0.1:50000` or `ipv6:%5B::1%5D:50000`."""
    return unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")


def _seconds_left(context: Context) -> float:
    """How long the call may take. Raises CallRefused if its deadline passes before any answer: it is not even begun."""
    left: Any = context.time_remaining()  # None without a deadline, whatever its type says
    if left is None:
        return LONGEST_CALL
    if left < SHORTEST_CALL:
        raise _too_late(begun=False)
    return min(left, LONGEST_CALL)


def _too_late(*, begun: bool) -> CallRefused:
    if not begun:
        return refusal(504, "deadline_exceeded", "there was no answer before the deadline")
    detail = (
        "there was no answer before the deadline, and the command may be executed all the same: "
        "with an idempotency key it can be repeated"
    )
    return refusal(504, "deadline_exceeded", detail)


def _message(route: Route, answer: HttpAnswer) -> Message:
    message = GetMessageClass(route.answer)()
    try:
        fill(message, read_json(answer.body))
    except (msgspec.DecodeError, ValueError, TypeError, AttributeError) as error:
        raise TypeError(f"{route.path} does not answer as a {route.answer.name}: {error}") from error
    if answer.headers.get("idempotent-replayed") == "true":
        message.replayed = True  # type: ignore[attr-defined] - every answer of a command has it
    return message


def _told(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in headers if name in TOLD or name.startswith("orderdeck-"))
