"""The relay saves its position only after the broker has kept the events, so a kill or an outage leaves no gap."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from core import tracing
from core.adapters.postgres.connection import Link
from core.adapters.postgres.shares import PostgresShares
from core.adapters.postgres.subscription import PostgresSubscription
from core.codec import StoredEvent, encode_metadata
from core.domain.message import Metadata
from core.errors import Unavailable
from core.services import relay
from core.services.relay import READER, SAVE_EVERY, SHARE, Relay
from core.services.shares import LEASE
from tests.support.fake_tracer import FakeTracer, trace
from tests.support.opener import Opener
from tests.support.orders import Sample, write

LOG = Sample(20, payments=True).events()
TIME_TO_SAVE = 3 * SAVE_EVERY  # seconds


@dataclass
class SometimesAway:
    """A broker that keeps what is sent to it, refuses all or a part of it, or is away and gives no answer."""

    rng: random.Random
    kept: list[StoredEvent] = field(default_factory=list[StoredEvent])
    empty: Collection[str] = ()
    waits: asyncio.Event = field(default_factory=asyncio.Event)
    always_there: bool = False

    async def open(self) -> SometimesAway:
        return self

    async def register_schemas(self) -> int:
        return 0

    async def prepare(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        return events

    async def send(self, prepared: Sequence[StoredEvent]) -> None:
        fate = "keeps" if self.always_there else self.rng.choice(["keeps", "keeps", "refuses", "is away"])
        if fate == "keeps":
            self.kept += prepared
            return
        self.kept += prepared[: self.rng.randrange(len(prepared))]
        if fate == "refuses":
            raise Unavailable("the broker is away")
        self.waits.set()
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass


class SharesUntilKilled(PostgresShares):
    """The shares of a process that saves nothing more once it is killed."""

    killed = False

    async def reach(self, reader: str, positions: Mapping[int, int], epochs: Mapping[int, int]) -> None:
        if not self.killed:
            await super().reach(reader, positions, epochs)


async def first_of(_: str) -> None:
    return None


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_the_broker_has_not_kept_is_sent_again_after_a_kill_or_an_outage(
    opener: Opener, dsn: str, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(relay, "BATCH", 7)
    await write(dsn, LOG)
    broker, stop, link = SometimesAway(random.Random(seed)), asyncio.Event(), Link(opener)
    ended = {"killed": 0, "refused": 0}

    async def run_once() -> None:
        """Let one relay work until the broker refuses events, or gives no answer and the relay is killed."""
        broker.waits.clear()
        shares = SharesUntilKilled(link)
        epochs = await shares.keep(READER, "relay", count=1, lease=LEASE)
        sender = Relay(shares, broker, first_of, lambda _: None)
        begun = asyncio.Event()
        running = asyncio.create_task(sender.run(PostgresSubscription(opener), epochs[SHARE], stop, begun=begun.set))
        waiting = asyncio.create_task(broker.waits.wait())
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not running.done():
            await asyncio.sleep(TIME_TO_SAVE)
            shares.killed = True
            running.cancel()
            ended["killed"] += 1
        [error] = await asyncio.gather(running, return_exceptions=True)
        ended["refused"] += isinstance(error, Unavailable)

    for _ in range(6):
        await run_once()
    assert min(ended.values()) > 0
    broker.always_there = True
    running = asyncio.create_task(run_once())
    while [share.position for share in await PostgresShares(link).read(READER)] != [len(LOG)]:
        await asyncio.sleep(0.01)
        assert not running.done()
    stop.set()
    await running
    link.close()
    lost = {event.position for event in LOG} - {event.position for event in broker.kept}
    assert sorted(lost) == [], "the broker never got these events"


async def test_the_relay_has_a_span_in_the_trace_of_each_event_that_ends_when_the_broker_has_kept_it(
    opener: Opener, dsn: str
) -> None:
    events = list(LOG[:5])
    for n in (1, 3):
        metadata = Metadata(correlation_id=events[n].correlation_id, traceparent=trace(n))
        events[n] = replace(events[n], metadata=encode_metadata(metadata).decode(), recorded_at=datetime.now(UTC))
    await write(dsn, events)
    tracing.use(tracer := FakeTracer())
    broker, stop, link = SometimesAway(random.Random(0), always_there=True), asyncio.Event(), Link(opener)
    shares = PostgresShares(link)
    epochs = await shares.keep(READER, "relay", count=1, lease=LEASE)
    sender = Relay(shares, broker, first_of, lambda _: stop.set())
    await sender.run(PostgresSubscription(opener), epochs[SHARE], stop, begun=lambda: None)
    assert [(span.name, span.parent, span.links, span.ended) for span in tracer.spans] == [
        ("relay", trace(1), [trace(3)], True),
        ("relay", trace(3), [trace(1)], True),
    ]
    link.close()
