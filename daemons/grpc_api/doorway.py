"""What every call passes first: it is counted, a stream needs a place, and reflection needs a key where others do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc
from prometheus_client import Gauge, Histogram

from core.metrics import QUICK
from daemons.grpc_api.grpc_methods import Context, address_of
from daemons.grpc_api.grpc_statuses import DETAILS, CallRefused, SentProblem
from daemons.grpc_api.routes import ROUTES
from daemons.process.guard.callers import Door
from daemons.process.guard.places import Places, owner_of
from daemons.process.guard.refusals import Refusal

CALLS = Histogram(
    "orderdeck_grpc_call_duration_seconds",
    "How long calls took, by method and code.",
    ["method", "code"],
    buckets=QUICK,
)
STREAMS = Gauge("orderdeck_grpc_streams", "Streams that are open: those who follow the log, or watch the health.")
OTHERS = ("/grpc.health.v1.", "/grpc.reflection.")
REFLECTION = "/grpc.reflection."

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
FULL = CallRefused(
    SentProblem(
        status=429,
        code="too_many_readers",
        type="urn:orderdeck:problem:too_many_readers",
        title="Too many readers",
        detail="too many streams are open; end one, or come back later",
    ),
    retry_after=5,
)


class Doorway(grpc.aio.ServerInterceptor):
    """`door` knows the callers by their keys; None where no keys are needed. `port` is where it is called."""

    def __init__(self, places: Places, door: Door | None, port: int) -> None:
        self._places = places
        self._door = door
        self._port = port

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler: Any = await continuation(handler_call_details)
        name = str(handler_call_details.method)
        if handler is None or not (name in ROUTES or name.startswith(OTHERS)):
            return handler
        if handler.unary_unary:
            return handler._replace(unary_unary=self._answered(name, handler.unary_unary))
        kind = "stream_stream" if handler.stream_stream else "unary_stream"
        return handler._replace(**{kind: self._streamed(name, getattr(handler, kind))})

    def _answered(self, name: str, call: Callable[[Any, Context], Awaitable[Any]]) -> Any:
        async def answered(sent: Any, context: Context) -> Any:
            began = time.perf_counter()
            try:
                return await call(sent, context)
            except (asyncio.CancelledError, grpc.aio.InternalError):  # the call has ended before its answer
                context.set_code(context.code() or grpc.StatusCode.CANCELLED)
                raise
            finally:
                _observe(name, context, began)

        return answered

    def _streamed(self, name: str, call: Callable[[Any, Context], Any]) -> Any:
        async def streamed(sent: Any, context: Context) -> AsyncGenerator[Any]:
            await self._admit(name, context)
            owner = owner_of((address_of(context.peer()), 0))
            if not self._places.take(owner):
                await _refuse(context, FULL)
            STREAMS.inc()
            try:
                given = call(sent, context)
                if hasattr(given, "__aiter__"):
                    async for each in given:
                        yield each
                else:
                    await given  # it writes by itself
            finally:
                self._places.leave(owner)
                STREAMS.dec()

        return streamed

    async def _admit(self, name: str, context: Context) -> None:
        """The HTTP services look at the keys of all other calls; the health service is open, as /health is."""
        if self._door is None or not name.startswith(REFLECTION):
            return
        shown = next((value for key, value in context.invocation_metadata() or () if key == "authorization"), None)
        try:
            await self._door.admit(str(shown).encode() if shown is not None else None, self._port)
        except Refusal as refused:
            await _refuse(
                context, CallRefused(SentProblem(status=refused.status, code=refused.code, detail=str(refused)))
            )


async def _refuse(context: Context, why: CallRefused) -> None:
    await context.abort(why.code, why.sentence, ((DETAILS, why.details()),))


def _observe(name: str, context: Context, began: float) -> None:
    code: Any = context.code() or grpc.StatusCode.OK  # a number if it was set by one
    known = next((each.name for each in grpc.StatusCode if code in (each, each.value[0])), "UNKNOWN")
    CALLS.labels(name.removeprefix("/"), known).observe(time.perf_counter() - began)
