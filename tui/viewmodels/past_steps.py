"""PastSteps: from one moment of the past to another one, by events, hours or releases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from tui.gateway import Gateway
from tui.past_gateway import PastMoment, parameter
from tui.viewmodels.log_reader import PATH
from tui.wire import Count, Moment, WireEvent

By = Literal["event", "hour", "release"]
RELEASES = "/api/v1/releases"
MOST_WAITING = 20  # different steps that wait to be gone; the same key again is one step of more
_LATEST = 2**62  # no log is so long


class WireRelease(Struct, frozen=True):
    """A release of the programs that began to run when the log ended at this position."""

    version: str
    began_at: Moment
    position: Count


class _Releases(Struct, frozen=True):
    releases: Sequence[WireRelease]


class _LogEvents(Struct, frozen=True):
    events: Sequence[WireEvent]


class PastSteps:
    """Steps that are asked for quickly one after the other are gone at once: no key has a request of its own."""

    def __init__(self, gateway: Gateway, moment: PastMoment, now: Callable[[], datetime]) -> None:
        self.gateway = gateway  # of now
        self.moment = moment
        self.now = now
        self._waiting: list[tuple[By, int]] = []
        self._releases: Sequence[WireRelease] | None = None
        self._said = ""

    def add(self, by: By, steps: int) -> None:
        """Have so many steps gone with the next call of `go`; backwards if the number is negative."""
        if self._waiting and self._waiting[-1][0] == by:
            steps += self._waiting.pop()[1]
        if steps and len(self._waiting) < MOST_WAITING:
            self._waiting.append((by, steps))
        self._tell()

    def _tell(self) -> None:
        self.moment.steps = ", ".join(
            f"{steps:+,} {by}{'' if abs(steps) == 1 else 's'}" for by, steps in self._waiting[-3:]
        )

    async def go(self) -> str:
        """Move the moment by the steps that wait; why it came less far, or ''. Raises GatewayError.

        A step that was not gone, because this was cancelled or refused, is gone with the next call.
        """
        self._said = ""
        if self.moment.position is None or (self.moment.position and not self.moment.event):
            await self._stand_at(self.moment.place)
        while self._waiting:
            by, steps = self._waiting[0]
            if by == "event":
                await self._by_events(steps)
            elif by == "hour":
                await self._by_hours(steps)
            else:
                await self._by_releases(steps)
            self._waiting.pop(0)
            self._tell()
        return self._said

    def forget(self) -> None:
        self._waiting.clear()
        self._tell()

    async def _by_events(self, steps: int) -> None:
        await self._stand_at(max(0, (self.moment.position or 0) + steps))

    async def _by_hours(self, steps: int) -> None:
        start = self.moment.at
        if start is None:
            first = (await self._events({"after": "0", "limit": "1"})) if steps > 0 else ()
            if not first:
                self._said = "there is nothing before the first event"
                return
            start = first[0].timestamp
        try:
            wanted = start + timedelta(hours=steps)
        except OverflowError:
            self._said = "the calendar does not go so far"
            return
        if wanted > self.now():
            self._said = "that is in the future: this is the newest event"
            await self._stand_at(_LATEST)
        else:
            await self._stand_at(wanted)

    async def _by_releases(self, steps: int) -> None:
        if self._releases is None:
            self._releases = (await self.gateway.read(RELEASES, _Releases, {"limit": "100"})).releases
        here = self.moment.position or 0
        places = sorted({release.position for release in self._releases})
        beyond = [place for place in places if place > here] if steps > 0 else [p for p in places if p < here][::-1]
        if not beyond:
            self._said = f"no release began {'after' if steps > 0 else 'before'} this moment"
            return
        place = beyond[min(abs(steps), len(beyond)) - 1]
        await self._stand_at(place)
        named = [release.version for release in self._releases if release.position == place]
        self._said = f"the moment before {', '.join(named[:3])} began to run"

    async def _stand_at(self, place: int | datetime) -> None:
        """Show the moment after the event at a position, or at a time; beyond the end of the log, its last event."""
        if isinstance(place, datetime):
            found = await self._events({"as_of": parameter(place), "before": str(_LATEST), "limit": "1"})
        elif place == 0:
            found = ()
        else:
            found = await self._events({"after": str(place - 1), "limit": "1"})
            if not found:
                found = await self._events({"before": str(_LATEST), "limit": "1"})
                place = found[0].position if found else 0
                self._said = self._said or "the log ends here"
        moment, last = self.moment, found[0] if found else None
        moment.place = place
        moment.position = 0 if last is None else last.position
        moment.event = "" if last is None else last.event_type
        moment.at = place if isinstance(place, datetime) else None if last is None else last.timestamp

    async def _events(self, asked: dict[str, str]) -> Sequence[WireEvent]:
        return (await self.gateway.read(PATH, _LogEvents, asked)).events[:1]
