"""Relay: sends the events of the log to the broker, and saves up to which one the broker has kept all of them.

It may be killed at any time, and several may run by mistake: each sends an event only after the broker has kept all
earlier ones of its stream, so an event may be there twice but never before one that precedes it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any, NamedTuple

import structlog

from core.codec import StoredEvent
from core.errors import LogShorter, ShareLost
from core.ports.broker import Broker, Sending
from core.ports.reading import Subscription
from core.ports.shares import Shares
from core.services.gather import ahead
from core.tracing import BatchSpans, traceparents_of

READER, SHARE = "relay", 0
BATCH = 5_000  # events, spread over 48 partitions; with 2 000 an event takes a sixth more CPU
# A batch costs much whatever its size: a request to Kafka and one to PostgreSQL, and then as many in each projector.
FEW = 500  # events of a batch after which the next one is read only after a pause
PAUSE = 0.01  # seconds; the first event after a quiet time is sent at once even so
SAVE_EVERY = 0.05  # seconds between two saves while events come; after a kill, what was sent since is sent twice
FINISH = 3.0  # seconds in which what is under way may still be kept when the relay stops

log = structlog.get_logger(__name__)


class ReadyToSend(NamedTuple):
    """Events that are ready to be sent: how many, the position of the last one, the broker's form, and their spans."""

    number: int
    position: int
    form: Any
    spans: BatchSpans


class Relay:
    """`first_of`: the position of the first event of a category in the log; None while there is none.

    `kept` is called with the number of events that the broker has kept since the last call.
    """

    def __init__(
        self,
        shares: Shares,
        broker: Broker,
        first_of: Callable[[str], Awaitable[int | None]],
        kept: Callable[[int], None],
    ) -> None:
        self._shares = shares
        self._broker = broker
        self._first_of = first_of
        self._kept = kept
        self.position = 0
        self.connected = False
        self.kept_at = -math.inf  # by the monotonic clock
        self._sends_since: float | None = None  # as above
        self._moved = asyncio.Event()

    def waits_for_broker(self) -> float:
        """For how many seconds the broker has not kept the events that were sent to it last; 0 when it has."""
        return 0.0 if self._sends_since is None else time.monotonic() - self._sends_since

    async def run(
        self, subscription: Subscription, epoch: int, stop: asyncio.Event, *, begun: Callable[[], None]
    ) -> None:
        """Send what comes after the saved position until `stop` is set, or somebody else holds the share.

        It calls `begun` once it is connected.

        After any error the caller runs it again, and it begins with a new connection to the broker. Raises Unavailable,
        BrokerRefused, DatabaseFault and LogShorter.
        """
        position = (await self._shares.read(READER))[SHARE].position
        sending = await self._broker.open()
        try:
            self.position = await self._begin(sending, position, epoch)
            self.connected = True
            begun()
            await self._first_to_end(self._send(subscription, sending, stop), self._save(epoch))
        except LogShorter:
            await self._shares.rewind(READER)
            raise
        except ShareLost as lost:
            log.warning("stops, because another relay has taken over", reason=str(lost))
            stop.set()
        finally:
            self.connected, self._sends_since = False, None
            await sending.close()

    async def _begin(self, sending: Sending, position: int, epoch: int) -> int:
        """The position to go on from: the saved one, unless topics have lost all that was sent to them."""
        lost: list[str] = []
        for category in sending.empty:
            first = await self._first_of(category)
            if first is not None and first <= position:
                lost.append(category)
        if lost:
            log.warning("sends the whole log again, because topics are empty", categories=lost, position=position)
            await self._shares.start_over(READER, {SHARE: epoch})
            return 0
        return position

    async def _send(self, subscription: Subscription, sending: Sending, stop: asyncio.Event) -> None:
        # While some events are sent, the next ones are prepared and those after them are read.
        stopping = asyncio.ensure_future(stop.wait())
        try:
            async with (
                aclosing(subscription.batches(stop, after=self.position, limit=BATCH)) as batches,
                aclosing(_paced(batches)) as paced,
                aclosing(ahead(paced)) as batches_ahead,
                aclosing(_prepare(sending, batches_ahead)) as all_prepared,
                aclosing(ahead(all_prepared)) as prepared_ahead,
            ):
                async for prepared in prepared_ahead:
                    if not await self._send_one(sending, prepared, stopping):
                        return
        finally:
            stopping.cancel()

    async def _send_one(self, sending: Sending, prepared: ReadyToSend, stopping: asyncio.Future[Any]) -> bool:
        """Return whether the broker has kept the events; only when the relay stops it may be False."""
        self._sends_since = time.monotonic()
        task = asyncio.ensure_future(sending.send(prepared.form))
        try:
            await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                await asyncio.wait([task], timeout=FINISH)
            if not task.done():
                return False
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.position, self.kept_at, self._sends_since = prepared.position, time.monotonic(), None
        self._moved.set()
        prepared.spans.end()
        self._kept(prepared.number)
        return True

    async def _save(self, epoch: int) -> None:
        """Save the position whenever it has moved, until this is cancelled; then once more."""
        saved = self.position
        try:
            while True:
                await self._moved.wait()
                self._moved.clear()
                position = self.position
                await self._shares.reach(READER, {SHARE: position}, {SHARE: epoch})
                saved = position
                await asyncio.sleep(SAVE_EVERY)
        except asyncio.CancelledError:
            if saved != self.position:
                await self._shares.reach(READER, {SHARE: self.position}, {SHARE: epoch})
            raise

    @staticmethod
    async def _first_to_end(*works: Awaitable[None]) -> None:
        """Do these at the same time until the first one ends; cancel the others. Raises what it raised, or they."""
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            with suppress(asyncio.CancelledError):
                task.result()


async def _paced(batches: AsyncIterator[Sequence[StoredEvent]]) -> AsyncGenerator[Sequence[StoredEvent]]:
    async for batch in batches:
        yield batch
        if len(batch) < FEW:
            await asyncio.sleep(PAUSE)


async def _prepare(sending: Sending, batches: AsyncIterator[Sequence[StoredEvent]]) -> AsyncGenerator[ReadyToSend]:
    async for batch in batches:
        notes = {"messaging.system": "kafka", "messaging.batch.message_count": len(batch)}
        spans = BatchSpans("relay", traceparents_of(batch), "producer", notes)
        yield ReadyToSend(len(batch), batch[-1].position, await sending.prepare(batch), spans)
