"""The replicas of the settings, each watched by a task of its own, so that one that hangs delays no other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from core.adapters.postgres.connection import Connection, address_of, open_session
from core.adapters.postgres.replicas.primary import PrimaryWatch
from core.adapters.postgres.replicas.replica import PostgresReplica
from core.ports.replicas import ReplicaState

Open = Callable[[], Awaitable[Connection]]


class PostgresReplicas:
    """See `core.ports.replicas.Replicas`."""

    def __init__(self, open_primary: Open, urls: Sequence[str], *, name: str) -> None:
        self.primary = PrimaryWatch(open_primary)
        self.replicas = [
            PostgresReplica(f"replica-{number}", _place(url), partial(open_session, url, name=name), self.primary)
            for number, url in enumerate(urls, start=1)
        ]

    def choose(self, reader: str, position: int) -> PostgresReplica | None:
        able = [one for one in self.replicas if one.usable and one.shows(reader, position)]
        if not able:
            return None
        chosen = min(able, key=lambda one: one.chosen_at)
        chosen.chosen_at = time.monotonic()
        return chosen

    def states(self) -> Sequence[ReplicaState]:
        return [replica.state for replica in self.replicas]

    def why_degraded(self) -> str | None:
        found = [why for replica in self.replicas if (why := replica.why_degraded) is not None]
        if (away := self.primary_away) and any(one.usable for one in self.replicas):
            found.insert(
                0,
                f"the primary has not answered for {away:.0f} s ({self.primary.why_away}): replicas answer "
                "what need not be the newest",
            )
        return "; ".join(found) or None

    @property
    def primary_away(self) -> float:
        return self.primary.away


@asynccontextmanager
async def watched_replicas(open_primary: Open, urls: Sequence[str], *, name: str) -> AsyncGenerator[PostgresReplicas]:
    """The replicas at these addresses, with the tasks that watch them; `name` is that of the daemon."""
    replicas = PostgresReplicas(open_primary, urls, name=name)
    watched = (replicas.primary, *replicas.replicas) if urls else ()
    tasks = [asyncio.create_task(one.keep()) for one in watched]
    try:
        yield replicas
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in watched:
            one.close()


def _place(url: str) -> str:
    """The host and port of an address, in words."""
    hosts = [f"port {port} of a socket" if host.startswith("/") else f"{host}:{port}"
             for host, port in address_of(url).hosts]  # fmt: skip
    return " or ".join(hosts) or "the usual socket"
