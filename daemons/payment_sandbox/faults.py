"""The faults that POST /faults switches on, so that the whole provider misbehaves; a restart switches them off."""

from __future__ import annotations

import random
import time
from typing import Annotated, Any

import msgspec
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from msgspec import Meta
from msgspec.structs import replace

from core.domain.validation import Fields

LONGEST_LATENCY = 60_000  # milliseconds
LONGEST = 3_600.0  # seconds
DROPPED = "orderdeck.dropped"  # the key in a request's scope that is set when its answer has to be dropped


def _up_to(most: float) -> Any:
    """A number from 0 to `most`. This puts the limits into the OpenAPI document; `checked` enforces them."""
    return Meta(extra_json_schema={"minimum": 0, "maximum": most})


Rate = Annotated[float, _up_to(1)]


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """Rates are from 0 to 1; `seconds` until all of it ends, 0: it does not.

    `error_rate`: requests answered 503 before anything is done. `drop_rate`: operations that are done, and whose answer
    never comes. `outage`: 503 to everything.
    """

    latency_ms: Annotated[int, _up_to(LONGEST_LATENCY)] = 0
    error_rate: Rate = 0.0
    drop_rate: Rate = 0.0
    outage: bool = False
    seconds: Annotated[float, _up_to(LONGEST)] = 0.0
    seed: int | None = None


class FaultsBody(Faults, frozen=True, kw_only=True):
    """All of it may be left out."""

    def checked(self) -> Faults:
        """Raises InvalidInput."""
        fields = Fields()
        limits = {"latency_ms": LONGEST_LATENCY, "error_rate": 1, "drop_rate": 1, "seconds": LONGEST}
        for name, most in limits.items():
            value = getattr(self, name)
            fields.check(name, None if 0 <= value <= most else f"must be from 0 to {most:g}")
        fields.done()
        return Faults(**{name: getattr(self, name) for name in Faults.__struct_fields__})


class Switch:
    """Holds the faults that are switched on, and decides by chance which requests they strike."""

    def __init__(self) -> None:
        self._faults = Faults()
        self._until = 0.0
        self._chance = random.Random()  # noqa: S311 - a drill

    @property
    def now(self) -> Faults:
        if self._faults.seconds and time.monotonic() > self._until:
            self._faults = Faults()
        return self._faults

    def left(self) -> Faults:
        """The faults that are on; `seconds` is how long they stay on from now."""
        now = self.now
        return replace(now, seconds=max(self._until - time.monotonic(), 0.001)) if now.seconds else now

    def set(self, faults: Faults) -> Faults:
        self._faults = faults
        self._until = time.monotonic() + faults.seconds
        self._chance = random.Random(faults.seed)  # noqa: S311 - a drill, and one that can be repeated
        return faults

    def errs(self) -> bool:
        return self.now.outage or self._chance.random() < self.now.error_rate

    def drops(self) -> bool:
        return self._chance.random() < self.now.drop_rate


def dropping(app: ASGIApp) -> ASGIApp:
    """The application, which sends no body for an answer marked DROPPED, so that the server closes the connection."""

    async def drop(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_unless_dropped(message: Message) -> None:
            marks: Any = scope
            if not (marks.get(DROPPED) and message["type"] == "http.response.body"):
                await send(message)

        await app(scope, receive, send_unless_dropped)

    return drop
