"""Feed: keeps the ring filled from the live stream, through lost connections, without gap or duplicate."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, suppress
from typing import Literal

import msgspec
from msgspec import Struct

from tui.gateway import Gateway, GatewayError, ServiceRefused, Unreachable
from tui.viewmodels.ring import Ring, RingFrame
from tui.wire import Count, Unreadable, read_json

FIRST_DELAY, LONGEST_DELAY = 0.25, 1.5  # seconds before the stream is opened again
REFUSED_DELAY = 10.0  # seconds before a service is asked again that has not let us in
NOT_LET_IN = (401, 403)
BACKLOG = 200  # events before the head that the deck starts with, so that the stream is not empty
BEYOND = 400  # how a service refuses a position that its log has not reached
LARGEST_FRAME = 4 * 1024 * 1024  # bytes: a frame that has no end by then does not come from our service
LONGEST_TYPE = 100  # characters of an event's type
MOST_TYPES = 500  # names of types that are kept
# An event as our service sends it; reading it so takes a third of the time that reading line by line takes.
_USUAL = re.compile(rb"id: ([0-9]{1,18})\nevent: (?!skipped\n)([^\n]*)\ndata: (?=[^\n]*\Z)")


class Skipped(Struct):
    """The server let us jump to the head because we were too slow."""

    before: Count = 0
    count: Count = 0


_positions = msgspec.json.Decoder(Count)
_skips = msgspec.json.Decoder(Skipped)


class Splitter:
    """Cuts the bytes of an event stream into frames; a frame whose end was lost with the connection is dropped."""

    def __init__(self) -> None:
        self._rest = b""

    def split(self, chunk: bytes) -> Iterator[bytes]:
        data = self._rest + chunk
        if b"\r" in data:
            data = data.replace(b"\r", b"")  # our JSON stands on one line, so each one belongs to a line end
        *frames, self._rest = data.split(b"\n\n")
        if len(self._rest) > LARGEST_FRAME:
            raise Unreachable("the feed sent a frame without an end")
        return (frame for frame in frames if frame)


class TypeNames:
    """One text for each type of event, however many events have it: the ring would hold it anew for each of them."""

    def __init__(self) -> None:
        self._names: dict[bytes, str] = {}

    def of(self, name: bytes) -> str:
        known = self._names.get(name)
        if known is None:
            known = name[:LONGEST_TYPE].decode(errors="replace")
            if len(self._names) < MOST_TYPES:
                self._names[name[:LONGEST_TYPE]] = known
        return known


class Feed:
    """`position` is that of the last event taken in; events up to it are dropped, and missing ones count as lost."""

    def __init__(self, gateway: Gateway, ring: Ring, clock: Callable[[], float]) -> None:
        self.gateway = gateway
        self.ring = ring
        self.clock = clock
        self.state: Literal["connecting", "live", "lost"] = "connecting"
        self.reason = ""
        self.refused = False
        """Whether the service does not let this deck in: it needs a key, or the key is not for the stream."""
        self.lost_at = 0.0
        self.retry_at = 0.0
        self.position: int | None = None
        self.lost = 0
        self.duplicates = 0
        self.malformed = 0
        self.reconnects = 0
        self.restarts = 0
        self.opened_at = 0  # the head when the stream was first opened
        self.received_at: float | None = None
        self._types = TypeNames()
        self._nudge = asyncio.Event()

    async def run(self) -> None:
        """Follow the stream, and open it again after each break, until this task is cancelled."""
        delay = FIRST_DELAY
        while True:
            try:
                if self.position is None:
                    self.opened_at = (await self.gateway.health()).head
                    self.position = max(0, self.opened_at - BACKLOG)
                async for _ in self._follow(self.position):
                    delay = FIRST_DELAY
                self.reason = "the server closed the stream"
            except GatewayError as error:
                self.reason = str(error)
                self.refused = isinstance(error, ServiceRefused) and error.status in NOT_LET_IN
                if isinstance(error, ServiceRefused) and error.status == BEYOND:
                    self.position = None  # the log is not the one we followed: begin at its head
                    self.restarts += 1
            delay = REFUSED_DELAY if self.refused else delay
            self.lost_at = self.lost_at if self.state == "lost" else self.clock()
            self.state, self.retry_at = "lost", self.clock() + delay
            await self._wait(delay)
            delay = min(LONGEST_DELAY, delay * 2)
            self.reconnects += 1

    def retry_now(self) -> None:
        self._nudge.set()

    async def _wait(self, delay: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._nudge.wait(), delay)
        self._nudge.clear()

    async def _follow(self, after: int) -> AsyncGenerator[None, None]:
        splitter = Splitter()
        async with aclosing(self.gateway.feed(after=after)) as chunks:
            async for chunk in chunks:
                self.state, self.refused = "live", False
                for frame in splitter.split(chunk):
                    self.take(frame)
                yield

    def take(self, frame: bytes) -> None:
        """Take in an event or the server's note that it skipped some; ignore a comment; count an unreadable frame."""
        if (usual := _USUAL.match(frame)) is not None:
            self._take(int(usual[1]), usual[2], frame[usual.end() :])
            return
        fields: dict[bytes, bytes] = {}
        for line in frame.split(b"\n"):
            name, colon, value = line.partition(b":")
            if name and colon:
                fields[name] = value.removeprefix(b" ")
        data = fields.get(b"data")
        if fields.get(b"event") == b"skipped" and data is not None:
            self._skip(data)
            return
        if data is None:
            self.malformed += not frame.startswith(b":")
            return
        try:
            position = read_json(fields.get(b"id", b""), _positions)
        except Unreadable:
            self.malformed += 1
            return
        self._take(position, fields.get(b"event", b"?"), data)

    def _take(self, position: int, event_type: bytes, data: bytes) -> None:
        last = self.position or 0
        if position <= last:
            self.duplicates += 1
            return
        self.lost += position - last - 1
        self.position, self.received_at = position, self.clock()
        self.ring.push(RingFrame(position, self._types.of(event_type), data))

    def _skip(self, data: bytes) -> None:
        """The server left out the events up to `before`: this deck never gets them, although they are in the log."""
        try:
            skipped = read_json(data, _skips)
        except Unreadable:
            self.malformed += 1
            return
        self.lost += skipped.count
        self.position = max(self.position or 0, skipped.before - 1)
