"""The work of the relay: of several relays one leads and sends, and another takes over when it is gone.

It may be killed at any time.
"""

from __future__ import annotations

import asyncio
import math
import time

from prometheus_client import Counter, Gauge

from core.bootstrap import App, bootstrap, broker_of, open_queries
from core.fault_board import FaultBoard
from core.ports.queries import LogSearch, Queries
from core.services.relay import READER, SHARE, Relay
from core.services.shares import ShareKeeper
from core.settings import Settings
from daemons.process.owner import gone, our_name
from daemons.process.share_work import ShareWork
from daemons.process.vitals import STEADY, Vitals
from daemons.process.work_again import cancel_after, keep_up
from daemons.relay.registration import Registration

PART = "sending to Kafka"  # its name on the FaultBoard
STANDS_STILL = 5.0  # seconds without progress while an event waits

POSITION = Gauge("orderdeck_relay_position", "Position of the last event up to which Kafka has kept all; 0: stands by.")
LAG = Gauge("orderdeck_relay_lag_events", "Events that Kafka has not kept yet, when last looked; of the leader.")
LEADS = Gauge("orderdeck_relay_leads", "1 while this relay sends, 0 while it stands by for another one.")
SENT = Counter("orderdeck_relay_sent", "Events that Kafka has kept; some twice, after an error.")
ERRORS = Counter("orderdeck_relay_errors", "Times that sending was begun anew after an error.", ["kind"])


class Leader:
    """Sends while this process holds the share, and says why when it does not get on."""

    def __init__(self, app: App, queries: Queries, faults: FaultBoard) -> None:
        self._app = app
        self._queries = queries
        self._faults = faults
        self._relay = Relay(app.shares, broker_of(app), self._first_of, SENT.inc)
        self._outage: str | None = None
        self._waits_since = -math.inf  # by the monotonic clock
        self.share = ShareWork(SHARE, self._keep_up)
        self._steady: asyncio.TimerHandle | None = None

    @property
    def position(self) -> int:
        return self._relay.position if self.share.epoch is not None else 0

    async def _keep_up(self, epoch: int, lost: asyncio.Event) -> None:
        self._outage = None
        await keep_up(lambda: self._run(epoch, lost), lost, waits=self._waits, failed=self._failed)
        self._faults.clear(PART)

    async def _run(self, epoch: int, lost: asyncio.Event) -> None:
        try:
            await self._relay.run(self._app.subscription(), epoch, lost, begun=self._begun)
        finally:
            if self._steady is not None:
                self._steady.cancel()

    def _begun(self) -> None:
        self._steady = asyncio.get_running_loop().call_later(STEADY, self._works)

    def _works(self) -> None:
        """Clear the outage and the fault, since sending has gone on for STEADY seconds without an error."""
        self._outage = None
        self._faults.clear(PART)

    def _waits(self, reason: str) -> None:
        ERRORS.labels("outage").inc()
        self._outage, self._waits_since = reason, time.monotonic()

    def _failed(self, error: Exception) -> None:
        ERRORS.labels("fault").inc()
        self._faults.report(PART, error)

    async def why_not_ready(self) -> str | None:
        """An outage or a standstill, in words; its faults are on the board, which /ready reads too."""
        if self.share.epoch is None:
            return None  # it stands by, which is what it is there for
        if self._outage is not None and self._relay.kept_at < self._waits_since:
            return self._outage
        if not self._relay.connected:
            return "connects to Kafka"
        if (waits := self._relay.waits_for_broker()) > STANDS_STILL:
            return f"Kafka has not kept the last events for {waits:.0f} s"
        reader = next((one for one in await self._queries.progress() if one.reader == READER), None)
        LAG.set(reader.head - reader.position if reader else 0)
        if reader is None or min(time.monotonic() - self._relay.kept_at, reader.behind) <= STANDS_STILL:
            return None
        where = f"position {reader.position} of {reader.head}"
        return f"stands still at {where}: the next event has been waiting for {reader.behind:.0f} s"

    async def _first_of(self, category: str) -> int | None:
        found = await self._queries.events(LogSearch(after=0, limit=1, categories=(category,)))
        return found[0].position if found else None


async def work(settings: Settings, vitals: Vitals) -> None:
    async with bootstrap(settings, name=vitals.name, faults=vitals.faults) as app, open_queries(app) as queries:
        leader = Leader(app, queries, vitals.faults)
        keeper = ShareKeeper(app.shares, READER, our_name(), count=1, gone=gone)
        POSITION.set_function(lambda: leader.position)
        LEADS.set_function(lambda: leader.share.epoch is not None)

        async def why_not_ready() -> str | None:
            return keeper.trouble or await leader.why_not_ready()

        registration = Registration(broker_of(app))
        vitals.degraded.append(registration.why_degraded)
        await keeper.renew()  # before it says that it is ready, so that it does not yet wait for its share then
        vitals.started(why_not_ready)
        async with asyncio.TaskGroup() as following:
            following.create_task(keeper.keep(vitals.stop))
            following.create_task(leader.share.follow(keeper, vitals.stop))
            following.create_task(cancel_after(vitals.stop, 0, registration.keep(vitals.stop)))
