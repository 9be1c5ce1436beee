"""Watches the primary: what it showed at each of the last looks, and since when it has not answered."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.replicas.look import Identity, Seen, look, who_is
from core.errors import OrderdeckError, Unavailable, in_words

LOOK_EVERY = 0.25  # seconds
LOOK_LIMIT = 1.0  # seconds in which a server has to answer a look
BOUND = 1.0
"""Seconds: an answer of a replica has everything that the primary had this long before, as long as the primary is
there."""


class PrimaryWatch:
    """The last looks at the primary, each with the time at which it began."""

    def __init__(self, open_: Callable[[], Awaitable[Connection]]) -> None:
        self._open = open_
        self._link = Link(self._open_and_identify)
        self._looks: deque[tuple[float, Seen]] = deque(maxlen=2 + int(BOUND / LOOK_EVERY))
        self.identity: Identity | None = None
        self.why_away = ""

    async def keep(self) -> None:
        """Look every LOOK_EVERY seconds, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(LOOK_LIMIT):
                seen = await self._link.run(look)
            if seen.standby:
                raise Unavailable("it is a standby, which only reads")
        except TimeoutError:
            self.why_away = f"it has not answered within {LOOK_LIMIT:g} s"
        except OrderdeckError as error:
            self.why_away = in_words(error)
            self._link.drop()
        else:
            if self._looks and seen.head < self._looks[-1][1].head:
                self._looks.clear()  # an older log was put in its place
            self._looks.append((began, seen))
            self.why_away = ""

    @property
    def newest(self) -> Seen | None:
        return self._looks[-1][1] if self._looks else None

    def newest_since(self, moment: float) -> Seen | None:
        """The newest look if it began after a moment of the monotonic clock."""
        return self._looks[-1][1] if self._looks and self._looks[-1][0] > moment else None

    @property
    def expected(self) -> Seen | None:
        """What a replica has to show: what the primary had BOUND seconds ago, or when it was seen last."""
        since = time.monotonic() - BOUND
        recent = (seen for began, seen in self._looks if began >= since)
        return next(recent, self.newest)

    @property
    def events(self) -> Mapping[int, UUID]:
        """The ids of events of the log, by their positions: those that were its last ones at the looks."""
        return {at: id_ for _, seen in self._looks for at, id_ in seen.event_ids.items()}

    @property
    def away(self) -> float:
        """For how many seconds it has not answered; 0 while it answers."""
        return time.monotonic() - self._looks[-1][0] if self._looks and self.why_away else 0

    def close(self) -> None:
        self._link.close()

    async def _open_and_identify(self) -> Connection:
        connection = await self._open()
        try:
            self.identity = (await who_is(connection)).identity
        except BaseException:
            connection.terminate()
            raise
        return connection
