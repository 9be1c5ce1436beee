"""How many requests are being worked on in this process; when there are too many, further ones are refused at once.

A request counts from when its body is complete until its answer begins: who sends or reads slowly holds no place.
"""

from __future__ import annotations

from typing import Any

from prometheus_client import Gauge

from daemons.process.guard.refusals import Refusal

IN_FLIGHT = Gauge("orderdeck_http_requests_in_flight", "Requests that are complete and wait for their answer.")


class InFlight:
    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        IN_FLIGHT.set_function(lambda: self._taken)

    def check(self) -> None:
        """Raise a Refusal (503) while there are too many."""
        if self._taken >= self._most:
            detail = f"{self._most} requests are being worked on, and no more are taken at a time"
            raise Refusal(503, "overloaded", detail, {"Retry-After": "1"})

    def enter(self) -> None:
        self._taken += 1

    def leave(self) -> None:
        self._taken -= 1


async def counted(app: Any, scope: Any, receive: Any, send: Any, in_flight: InFlight) -> None:
    """Have an application answer a request, which counts while it is worked on."""
    counts = not has_body(scope["headers"])
    if counts:
        in_flight.enter()
    ended = False

    async def receive_counting() -> Any:
        nonlocal counts
        message = await receive()
        if not counts and not ended and not message.get("more_body"):
            counts = True
            in_flight.enter()
        return message

    async def send_counting(message: Any) -> None:
        nonlocal counts, ended
        if not ended:
            ended = True
            if counts:
                counts = False
                in_flight.leave()
        await send(message)

    try:
        await app(scope, receive_counting, send_counting)
    finally:
        if counts:
            in_flight.leave()


def has_body(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a body may still be on its way."""
    given = dict(headers)
    return b"transfer-encoding" in given or given.get(b"content-length", b"0") != b"0"
