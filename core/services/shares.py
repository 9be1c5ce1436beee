"""Keeps the shares of a reader that this process holds: renews their leases, and takes over from owners that ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import timedelta
from types import MappingProxyType

import structlog

from core.errors import OrderdeckError, Unavailable, in_words
from core.pace import together
from core.ports.shares import Shares

LEASE = timedelta(seconds=12)
SURE = 0.7 * LEASE.total_seconds()  # seconds for which a share is held at least after a call of `Shares.keep`
LOOK_EVERY = 1.0  # seconds between two calls of `Shares.keep`
LOOK_ALONE = 3.0  # the same while this process holds all shares, so that there is nobody to take any from
NOTHING: Mapping[int, int] = MappingProxyType({})

log = structlog.get_logger(__name__)


class ShareKeeper:
    """`gone` says of an owner's name whether its process has ended, as far as that can be seen from here.

    An error of the database leaves what is held as it is until the leases have run out: then nothing is held.
    """

    def __init__(
        self, shares: Shares, reader: str, owner: str, *, count: int, gone: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._shares = shares
        self.reader = reader
        self._owner = owner
        self._count = count
        self._gone = gone
        self._held = NOTHING
        self._held_until = 0.0  # by the monotonic clock
        self._change = asyncio.Event()
        self.trouble: str | None = None
        self._said = False  # whether the log has the trouble
        """Why the leases could not be renewed when that was tried last, in words."""

    @property
    def held(self) -> Mapping[int, int]:
        """The epoch of each share that this process holds."""
        return self.held_for(0)

    def held_for(self, seconds: float) -> Mapping[int, int]:
        """The epoch of each share that this process holds now, and still holds after so many seconds."""
        return self._held if time.monotonic() + seconds < self._held_until else NOTHING

    @property
    def stands_by(self) -> bool:
        """Whether it could renew its leases when it last tried, and has none: others hold all shares."""
        return self.trouble is None and not self.held

    async def keep(self, stop: asyncio.Event) -> None:
        """Renew, take and give up until `stop` is set; then give up everything. Call it in a task of its own."""
        try:
            while not stop.is_set():
                await self.renew()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), together(LOOK_ALONE if self._holds_all else LOOK_EVERY))
        finally:
            self._hold(NOTHING, 0)
            with contextlib.suppress(OrderdeckError):  # leases that cannot be given up run out by themselves
                await self._shares.leave(self.reader, [self._owner])

    async def renew(self) -> None:
        began = time.monotonic()
        try:
            if not self._holds_all:
                await self._take_from_ended()
            held = await self._shares.keep(self.reader, self._owner, count=self._count, lease=LEASE)
        except OrderdeckError as error:
            self._troubled(error)
        else:
            if self._said:
                log.info("its shares can be renewed again", reader=self.reader)
            self.trouble, self._said = None, False
            self._hold(held, began + SURE)

    @property
    def _holds_all(self) -> bool:
        return len(self.held) == self._count

    async def _take_from_ended(self) -> None:
        if ended := [name for name in await self._shares.owners(self.reader) if self._ended(name)]:
            log.info("takes over", reader=self.reader, owners=ended)
            await self._shares.leave(self.reader, ended)

    async def changes(self, stop: asyncio.Event) -> AsyncGenerator[Mapping[int, int]]:
        """Yield what is held, now and each time it has changed, until `stop` is set."""
        last: Mapping[int, int] | None = None
        stopping = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                change = self._change  # before the look, so that a change that comes meanwhile is seen next time
                if (held := self.held) != last:
                    last = held
                    yield held
                    continue
                changed = asyncio.ensure_future(change.wait())
                # With the timeout it sees that the leases have run out, which no event tells.
                await asyncio.wait(
                    [stopping, changed], timeout=together(LOOK_EVERY), return_when=asyncio.FIRST_COMPLETED
                )
                changed.cancel()
        finally:
            stopping.cancel()

    def lost(self, number: int, epoch: int) -> bool:
        """Whether this process no longer holds a share under this epoch."""
        return self.held.get(number) != epoch

    def _ended(self, name: str) -> bool:
        return name != self._owner and self._gone(name)

    def _troubled(self, error: OrderdeckError) -> None:
        reason = in_words(error)
        if reason != self.trouble and not (isinstance(error, Unavailable) and error.logged):
            say = log.warning if isinstance(error, Unavailable) else log.error
            say("its shares cannot be renewed", reader=self.reader, reason=reason)
            self._said = True
        self.trouble = reason

    def _hold(self, held: Mapping[int, int], until: float) -> None:
        before = self.held
        self._held, self._held_until = MappingProxyType(dict(held)), until
        if held != before:
            log.info("holds", reader=self.reader, shares=sorted(held))
            change, self._change = self._change, asyncio.Event()
            change.set()
