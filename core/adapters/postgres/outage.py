"""An outage of the database: it is logged once by each process, with its length, and nobody tries too often to connect.

A server that starts again after a crash refuses everybody until it has recovered, and writes a line for each of them.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import structlog

from core.errors import OrderdeckError, Unavailable
from core.tracing import elsewhere

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5  # seconds between two tries of this process to connect
ATTEMPT = 1.0  # seconds after which another caller tries beside one who still has no answer
AFTER_FAULT = 5.0  # seconds between two tries of `see_through` while a person has to change something
LOSSES_SAID_EVERY = 60.0  # seconds
LOSES_EACH = "the database can be reached, but connections to it are lost in the middle of statements"

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Terminable(Protocol):
    def terminate(self) -> None: ...


class Outage:
    """Of one database, as this process sees it.

    While it lasts, one caller after the other tries to connect, with growing pauses; the others are told at once what
    the last one has met. So a server that is back has all its callers again within LONGEST_PAUSE.
    """

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, spread: Callable[[], float] = random.random
    ) -> None:
        self._monotonic = monotonic
        self._spread = spread
        self._began = 0.0
        self._ended = 0  # how many outages have ended
        self._reason = ""  # why nobody can connect; empty while there is no outage
        self._next = 0.0
        self._pause = FIRST_PAUSE
        self._waiting = set[asyncio.Future[None]]()  # for the next outage to begin

    async def see_through(self, open_: Callable[[], Awaitable[Terminable]]) -> None:
        """Until cancelled: during an outage call `open_`, which is to use `connect`, until it succeeds.

        Without it, a process that has nothing to do would not learn that the database is back.
        """
        while True:
            await self._begun()
            pause = LONGEST_PAUSE
            while self._reason:
                await asyncio.sleep(pause)
                try:
                    (await open_()).terminate()
                except Unavailable:
                    pause = LONGEST_PAUSE
                except OrderdeckError:
                    pause = AFTER_FAULT

    async def _begun(self) -> None:
        if self._reason:
            return
        begins = asyncio.get_running_loop().create_future()
        self._waiting.add(begins)
        try:
            await begins
        finally:
            self._waiting.discard(begins)

    async def connect(self, open_: Callable[[], Awaitable[T]]) -> T:
        """What `open_` returns. Raises Unavailable, also at once when it is too early to try again."""
        if self._reason:
            if self._monotonic() < self._next:
                raise Unavailable(self._reason, logged=True)
            self._next = self._monotonic() + ATTEMPT
        ended = self._ended
        try:
            opened = await open_()
        except Unavailable as error:
            if self._ended == ended:  # else it began to try before another had success
                self._note(str(error))
            raise Unavailable(str(error), logged=True) from error
        except OrderdeckError as error:  # a person has to change something, and that is what all should hear
            if self._reason:
                self._reason, self._next = str(error), self._monotonic()
            raise
        self._end()
        return opened

    def _note(self, reason: str) -> None:
        if not self._reason:
            self._began, self._pause = self._monotonic(), FIRST_PAUSE
            _say(log.warning, "the database cannot be reached", reason=reason)
            for begins in self._waiting:
                if not begins.done():  # it may have been cancelled, or have begun before, a moment ago
                    begins.set_result(None)
        self._reason = reason
        self._next = self._monotonic() + self._pause * (0.75 + self._spread() / 4)
        self._pause = min(LONGEST_PAUSE, 2 * self._pause)

    def _end(self) -> None:
        if self._reason:
            self._reason, self._ended = "", self._ended + 1
            _say(log.info, "the database can be reached again", seconds=round(self._monotonic() - self._began, 1))


class Losses:
    """Connections that were lost in the middle of statements one after the other, although each could be opened.

    That is no outage, and who asks again may lose every connection for ever. A pooler does it with its own time limit.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._count = 0  # since they were last logged
        self._silent_until = -math.inf

    def note(self) -> None:
        self._count += 1
        if (now := self._monotonic()) >= self._silent_until:
            _say(log.warning, LOSES_EACH, times=self._count)
            self._count, self._silent_until = 0, now + LOSSES_SAID_EVERY


def _say(log_: Callable[..., object], event: str, **what: object) -> None:
    """Log it for the daemon, not for the request that has met it first. A command says it by itself, in a sentence."""
    if structlog.is_configured():
        elsewhere().run(log_, event, **what)


_outages: dict[str, Outage] = {}
losses_in_a_row = Losses()  # of all links of this process


def outage_of(dsn: str) -> Outage:
    """The one that all connections of this process to a database share."""
    return _outages.setdefault(dsn, Outage())
