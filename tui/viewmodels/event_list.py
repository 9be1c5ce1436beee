"""EventList: the events that fit a filter, around one place of the log: from the ring while it has them, else read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tui.gateway import Gateway, GatewayError
from tui.viewmodels.event_filter import EventFilter
from tui.viewmodels.event_row import EventRow
from tui.viewmodels.event_window import EventWindow, Gap, Item
from tui.viewmodels.log_reader import MOST_SEARCHED, PAGE, Found, read_after, read_before
from tui.viewmodels.ring import Ring, RingFrame
from tui.viewmodels.viewport import Viewport


@dataclass
class Edge:
    """One end of the list: what is known of the events beyond it. `searched`: so many did not fit, then it stopped."""

    reading: bool = False
    error: str = ""
    searched: int = 0

    @property
    def waits(self) -> bool:
        """Whether it goes on only when the operator moves towards it."""
        return self.reading or bool(self.error) or bool(self.searched)


class EventList:
    """Rows between two edges. While there are events beyond an edge, it is a row too, that says what happens there."""

    def __init__(self, ring: Ring, choice: EventFilter, most: int = 1_000) -> None:
        self.ring = ring
        self.choice = choice
        self.window = EventWindow(most)
        self.older = Edge()
        self.newer = Edge()
        self.live = True  # it grows with the feed, so nothing is beyond its newer edge
        self.newest = 0  # the last position that came in

    @property
    def first(self) -> int:
        return self.window.start - self.more_before

    @property
    def end(self) -> int:
        return self.window.end + self.more_after

    @property
    def more_before(self) -> bool:
        return self.window.low > 1 and self.newest > 0

    @property
    def more_after(self) -> bool:
        return not self.live and self.window.high < self.newest

    def reset(self, position: int) -> None:
        """Forget the rows; the list goes on at this position, in both directions."""
        self.window.reset(position)
        self.older, self.newer = Edge(), Edge()

    def grow(self, fresh: Sequence[RingFrame | Gap], first: int, newest: int) -> None:
        """Events came in, from one position up to another; those that fit become rows if the list is live."""
        self.newest = newest
        if self.live:
            if self.window.low > self.window.high:
                self.window.reset(first)
            fits = fresh if self.choice.everything else [i for i in fresh if isinstance(i, Gap) or self.choice.takes(i)]
            self.window.add_newer(fits, newest)

    def row(self, rank: int) -> EventRow | Gap | Edge | None:
        if rank == self.window.start - 1 and self.more_before:
            return self.older
        if rank == self.window.end and self.more_after:
            return self.newer
        return self.window.get(rank)

    def take_older(self) -> bool:
        """Add what the ring has from just before the list; False when it has not the event before the first."""
        low, looked, fits = self.window.low, 0, list[Item]()
        number = self.ring.number_at(low - 1)
        while looked < MOST_SEARCHED and len(fits) < PAGE:
            frame = self.ring.get(number - looked)
            if frame is None or frame.position != low - 1:
                break
            low, looked = frame.position, looked + 1
            if self.choice.takes(frame):
                fits.append(frame)
        if looked:
            self.window.add_older(fits[::-1], low)
        return looked > 0

    def take_newer(self) -> bool:
        """Add what the ring has from just after the list; False when it has not the event after the last."""
        high, looked, fits = self.window.high, 0, list[Item]()
        number = self.ring.number_at(high + 1)
        while looked < MOST_SEARCHED and len(fits) < PAGE:
            frame = self.ring.get(number + looked)
            if frame is None or frame.position != high + 1:
                break
            high, looked = frame.position, looked + 1
            if self.choice.takes(frame):
                fits.append(frame)
        if looked:
            self.window.add_newer(fits, high)
        return looked > 0

    def wants(self, view: Viewport, *, moved: bool) -> tuple[bool, bool]:
        """Whether older and newer events shall be read now; after an error or a long search only when told to."""
        near_start = view.cursor < self.window.start + view.height
        near_end = view.cursor + view.height >= self.window.end
        at_start = moved and view.cursor <= self.window.start
        at_end = moved and view.cursor >= self.window.end - 1
        older = self.more_before and near_start and not self.older.reading and (not self.older.waits or at_start)
        newer = self.more_after and near_end and not self.newer.reading and (not self.newer.waits or at_end)
        return older, newer

    async def read_older(self, gateway: Gateway) -> None:
        await self._read(gateway, self.older, older=True)

    async def read_newer(self, gateway: Gateway) -> None:
        await self._read(gateway, self.newer, older=False)

    async def _read(self, gateway: Gateway, edge: Edge, *, older: bool) -> None:
        generation, window = self.window.generation, self.window
        edge.reading, edge.error = True, ""
        try:
            if older:
                found = await read_before(gateway, self.choice, window.low)
            else:
                found = await read_after(gateway, self.choice, window.high)
        except GatewayError as error:
            edge.error = str(error)
        else:
            if generation == window.generation:
                self._add(edge, found, older=older)
        finally:
            edge.reading = False

    def _add(self, edge: Edge, found: Found, *, older: bool) -> None:
        edge.searched = 0 if found.frames else edge.searched + found.searched
        if older:
            if len(self.window) + len(found.frames) > self.window.most:
                self.live = False  # since its newest rows make room for older ones
            self.window.add_older(found.frames, found.low)
        elif not self.live:
            self.window.add_newer(found.frames, found.high)


def with_gaps(fresh: Iterable[RingFrame], newest: int) -> list[RingFrame | Gap]:
    """The frames, with a Gap wherever positions are missing after `newest`, the last one before them."""
    items: list[RingFrame | Gap] = []
    for frame in fresh:
        if newest and frame.position > newest + 1:
            items.append(Gap(newest, frame.position))
        items.append(frame)
        newest = frame.position
    return items
