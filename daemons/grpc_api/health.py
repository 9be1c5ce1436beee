"""The health service of gRPC (grpc.health.v1): each of our services serves while what it asks is ready."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from daemons.grpc_api.grpc_methods import Context

LOOK_EVERY = 2.0  # seconds between two looks for somebody who watches
Check = Callable[[], Awaitable[str | None]]
Status = health_pb2.HealthCheckResponse


class HealthService(health_pb2_grpc.HealthServicer):
    """`checks`: what says why a service is not ready, by the service's name; the empty name is all of them."""

    def __init__(self, checks: Mapping[str, Check], stop: asyncio.Event) -> None:
        self._checks = checks
        self._stop = stop

    async def Check(self, request: Any, context: Context) -> Status:  # noqa: N802 - the method's name in grpc.health.v1
        if request.service not in self._checks:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service here")
        return await self._status(request.service)

    async def Watch(self, request: Any, context: Context) -> AsyncGenerator[Status]:  # noqa: ARG002, N802 - as above
        last: Status | None = None
        while not self._stop.is_set():
            known = request.service in self._checks
            status = await self._status(request.service) if known else Status(status=Status.SERVICE_UNKNOWN)
            if status != last:
                yield status
            last = status
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOOK_EVERY)
        yield Status(status=Status.NOT_SERVING)

    async def _status(self, service: str) -> Status:
        reason = "stopping" if self._stop.is_set() else await self._checks[service]()
        return Status(status=Status.SERVING if reason is None else Status.NOT_SERVING)
