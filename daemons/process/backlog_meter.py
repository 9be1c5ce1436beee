"""Counts what waits for a saga runner, for /metrics and /ready."""

from __future__ import annotations

from prometheus_client import Gauge

from core.ports.sagas import Backlog, SagaLog
from core.terminal_text import span

MOST = 10_000  # of each kind; more are not counted
OLD = 30.0  # seconds after which /ready says that what waits is old

WAITING = Gauge("orderdeck_saga_backlog", f"What waits for a runner, counted up to {MOST}.", ["kind"])
OLDEST = Gauge("orderdeck_saga_backlog_seconds", "How long the oldest of each has waited for a runner.", ["kind"])
SET_ASIDE = Gauge("orderdeck_sagas_set_aside", f"Sagas that cannot be read, counted up to {MOST}.")


class BacklogMeter:
    """Every runner counts the backlog of all of them together."""

    def __init__(self, sagas: SagaLog) -> None:
        self._sagas = sagas
        self.backlog = Backlog(due=0, due_for=0.0, unstarted=0, unstarted_for=0.0)

    async def count(self) -> None:
        self.backlog = counted = await self._sagas.backlog(most=MOST)
        for kind, number, seconds in (
            ("due", counted.due, counted.due_for),
            ("unstarted", counted.unstarted, counted.unstarted_for),
        ):
            WAITING.labels(kind).set(number)
            OLDEST.labels(kind).set(seconds)
        SET_ASIDE.set(counted.set_aside)

    def degraded(self) -> str | None:
        """In words, what has waited for long, or cannot be read. No restart would help, so the runner stays ready."""
        waits, reasons = self.backlog, list[str]()
        if waits.waits_for >= OLD:
            more = "more than " if MOST in (waits.due, waits.unstarted) else ""
            reasons.append(
                f"{more}{waits.waiting:,} sagas wait for a runner, the oldest for {span(waits.waits_for)}: "
                "start more runners, or look what slows them"
            )
        if waits.set_aside:
            what = "1 saga has" if waits.set_aside == 1 else f"{waits.set_aside:,} sagas have"
            reasons.append(f"{what} an event that cannot be read: see `orderdeck deadletters list`")
        return "; ".join(reasons) or None
