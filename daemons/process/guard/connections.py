"""The open connections of a service: bounded in all and for each address, and none may wait for ever.

A connection on which nothing is being answered can be closed at any time. So while every place is taken, a new
caller gets the place of the one that has waited longest: who only holds connections open loses them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Protocol

from daemons.process.guard.bounds import Limits
from daemons.process.guard.places import Places
from daemons.process.guard.turns import Turns

SWEEP = 0.5  # seconds between two looks at all connections; a deadline is kept within this time
TURNED_AWAY = 64  # connections that are told at one time that there is no place for them; others are cut off


class OpenConnection(Protocol):
    owner: str

    @property
    def waits_since(self) -> float | None:
        """Since when nothing is being answered on it; None while a caller is being answered and takes the answer."""
        ...

    def look(self, now: float) -> None:
        """Close it if its time is over."""
        ...

    def cut_off(self) -> None: ...


class Connections:
    """Every connection is admitted or not when it is made, and looked at regularly until it is gone."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._places = Places(limits.connections, limits.share)
        self._admitted: dict[str, set[OpenConnection]] = {}
        self._turned_away: set[OpenConnection] = set()
        self.turns = Turns()
        self._sweep: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return self._places.taken

    def admit(self, connection: OpenConnection) -> bool:
        """Give it a place, that of another one if need be; False: there is none, so tell it so."""
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP, self._look)
        owner = connection.owner
        if not self._places.take(owner):
            full = len(self._admitted.get(owner, ())) >= self.limits.share
            candidates = self._admitted[owner] if full else self._of_the_greatest()
            waiting = [one for one in candidates if one.waits_since is not None]
            if not waiting:
                self._turn_away(connection)
                return False
            longest = min(waiting, key=lambda one: one.waits_since or 0.0)
            self.leave(longest)
            longest.cut_off()
            self._places.take(owner)
        self._admitted.setdefault(owner, set()).add(connection)
        return True

    def leave(self, connection: OpenConnection) -> None:
        """Forget a connection; to forget it twice does no harm."""
        self._turned_away.discard(connection)
        admitted = self._admitted.get(connection.owner)
        if admitted is not None and connection in admitted:
            admitted.remove(connection)
            self._places.leave(connection.owner)
            if not admitted:
                del self._admitted[connection.owner]

    def _of_the_greatest(self) -> set[OpenConnection]:
        """The connections of the address that has most."""
        return max(self._admitted.values(), key=len)

    def _turn_away(self, connection: OpenConnection) -> None:
        if len(self._turned_away) >= TURNED_AWAY:
            connection.cut_off()
        else:
            self._turned_away.add(connection)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._all()):
            connection.look(now)
        self._sweep = loop.call_later(SWEEP, self._look) if self._admitted or self._turned_away else None

    def _all(self) -> Iterator[OpenConnection]:
        yield from self._turned_away
        for connections in self._admitted.values():
            yield from connections
