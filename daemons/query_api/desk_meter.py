"""Measures what operators watch: money at risk, sagas by state, dead letters, and how far rebuilds are.

Every query API measures all of it, so of several the highest value counts and never the sum. While it cannot be
measured, nothing is shown: an old value would look like a present one.
"""

from __future__ import annotations

import asyncio

from prometheus_client import Gauge

from core.errors import OrderdeckError
from core.pace import together
from core.ports.dead_letters import DeadLetters
from core.ports.generations import Generations
from core.ports.queries import Queries

MEASURE_EVERY = 10.0  # seconds
MOST_ORDERS = 50_000  # authorised payments that are added up

AUTHORISED = Gauge(
    "orderdeck_money_authorised",
    f"Money that is authorised and not captured, in units of its currency; of at most {MOST_ORDERS} orders.",
    ["currency"],
)
AT_RISK = Gauge(
    "orderdeck_money_at_risk",
    "Money that unfinished sagas have open, in units of its currency, by the state of the saga.",
    ["state", "currency"],
)
SAGAS = Gauge("orderdeck_sagas", "Unfinished sagas, counted up to 10000 of each kind, by their state.", ["state"])
DEAD_LETTERS = Gauge("orderdeck_dead_letters", "Events that a reader could not apply and set aside.", ["reader"])
REBUILD_RATIO = Gauge(
    "orderdeck_rebuild_progress_ratio", "How much of the log an unfinished rebuild has read: 0 to 1.", ["reader"]
)
REBUILD_LEFT = Gauge("orderdeck_rebuild_remaining_events", "Events that an unfinished rebuild has to read.", ["reader"])
SHOWN = (AUTHORISED, AT_RISK, SAGAS, DEAD_LETTERS, REBUILD_RATIO, REBUILD_LEFT)


class DeskMeter:
    def __init__(self, queries: Queries, dead_letters: DeadLetters, generations: Generations) -> None:
        self._queries = queries
        self._dead_letters = dead_letters
        self._generations = generations

    async def keep(self) -> None:
        """Measure every ten seconds, until cancelled."""
        while True:
            try:
                await self.measure()
            except OrderdeckError:
                forget()
            await asyncio.sleep(together(MEASURE_EVERY))

    async def measure(self) -> None:
        authorised = await self._queries.authorised_money(most=MOST_ORDERS)
        sagas = await self._queries.saga_summary()
        letters = await self._dead_letters.summary()
        rebuilds = [one for one in await self._generations.unfinished() if one.purpose == "rebuild"]
        forget()  # without a pause up to the last line, so no scrape sees that anything is missing
        for currency, amount in authorised.items():
            AUTHORISED.labels(currency).set(float(amount))
        for state, sums in sagas.at_risk.items():
            for currency, amount in sums.items():
                AT_RISK.labels(state, currency).set(float(amount))
        for state, count in sagas.states.items():
            SAGAS.labels(state).set(count)
        for reader, count in letters.counts.items():
            DEAD_LETTERS.labels(reader).set(count)
        for one in rebuilds:
            REBUILD_RATIO.labels(one.reader).set(min(1.0, one.position / one.end) if one.end else 1.0)
            REBUILD_LEFT.labels(one.reader).set(max(0, one.end - one.position))


def forget() -> None:
    for gauge in SHOWN:
        gauge.clear()
