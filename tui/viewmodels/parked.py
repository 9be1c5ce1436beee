"""Parked: the events that readers could not apply, by cause, and the commands about one or all of a cause."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from core.printable import clean
from core.terminal_text import span
from tui.gateway import CommandToSend, Gateway, GatewayError
from tui.viewmodels.not_let_in import refused_as
from tui.viewmodels.text import Cell

PATH = "/api/v1/admin/dead-letters"
MOST = 200
KIND = "dead-letter"


class ParkedEvent(Struct):
    """A dead letter, as far as the deck shows it."""

    id: str
    reader: str
    row: str
    event_type: str
    event_version: int
    category: str
    version: int
    position: int
    correlation_id: str
    error: str
    fingerprint: str
    tries: int
    waiting: int
    first_failed_at: datetime
    retry_at: datetime | None = None

    @property
    def waits(self) -> str:
        """What waits behind it: a saga, or a row of a read model."""
        return "saga" if self.reader == "saga-runner" else clean(self.category, 20)


class ParkedPage(Struct):
    dead_letters: list[ParkedEvent]
    total: int


class ParkedLine(NamedTuple):
    """A line of the list: a cause with all its events, or one of its events."""

    events: Sequence[ParkedEvent]
    is_cause: bool

    @property
    def key(self) -> str:
        return self.events[0].fingerprint if self.is_cause else self.events[0].id

    @property
    def named(self) -> str:
        first = self.events[0]
        if self.is_cause:
            return f"{len(self.events)} × {clean(first.event_type, 40)} of cause {clean(first.fingerprint, 12)}"
        return f"{clean(first.event_type, 40)} at position {first.position:,}"


class ParkedModel:
    """`lines` are the causes, those with the most events first, each followed by its events."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.lines: Sequence[ParkedLine] = ()
        self.total: int | None = None
        self.error = ""
        self.refused = 0  # the status with which the service has refused whoever asks

    async def read(self) -> None:
        try:
            page = await self.gateway.read(PATH, ParkedPage, {"limit": str(MOST)})
        except GatewayError as error:
            self.error, self.refused = str(error), refused_as(error)
            if self.refused:
                self.lines, self.total = (), None
            return
        causes: dict[str, list[ParkedEvent]] = {}
        for event in page.dead_letters[:MOST]:
            causes.setdefault(event.fingerprint, []).append(event)
        found: list[ParkedLine] = []
        for events in sorted(causes.values(), key=len, reverse=True):
            found += [ParkedLine(events, is_cause=True), *(ParkedLine([event], is_cause=False) for event in events)]
        self.lines, self.total, self.error, self.refused = found, page.total, "", 0


def command(line: ParkedLine | None, verb: str, reason: str) -> CommandToSend:
    """`line` None: all of them."""
    if line is None:
        return CommandToSend(verb, None, {"reason": reason}, kind=KIND)
    if line.is_cause:
        return CommandToSend(verb, None, {"reason": reason, "fingerprint": line.key}, kind=KIND)
    return CommandToSend(verb, line.key, {"reason": reason}, kind=KIND)


def row_cells(line: ParkedLine, now: datetime) -> Sequence[Cell]:
    first = line.events[0]
    waiting = sum(event.waiting for event in line.events)
    since = span(max(0.0, (now - min(event.first_failed_at for event in line.events)).total_seconds()))
    if line.is_cause:
        what = f"{len(line.events)} × {clean(first.event_type, 40)}"
        return (
            Cell(what, "bad"),
            Cell(clean(first.reader, 40)),
            Cell(""),
            Cell(""),
            Cell(f"{waiting:,}"),
            Cell(since),
            Cell(clean(first.error, 300)),
        )
    return (
        Cell(f"  {first.waits} {clean(first.row[-12:], 12)}"),
        Cell(""),
        Cell(f"{first.position:,}"),
        Cell(f"{first.tries}"),
        Cell(f"{first.waiting:,}"),
        Cell(since),
        Cell("is tried again by itself" if first.retry_at is not None else "", "dim"),
    )


def whole_lines(line: ParkedLine | None) -> list[list[Cell]]:
    """All that is known of the chosen line."""
    if line is None:
        return []
    first = line.events[0]
    told = [
        [Cell("error   ", "dim"), Cell(clean(first.error, 400), "bad")],
        [Cell("event   ", "dim"), Cell(f"{clean(first.event_type, 60)}, version {first.event_version} of its type")],
        [Cell("cause   ", "dim"), Cell(f"{clean(first.fingerprint, 20)}  in {clean(first.reader, 60)}")],
    ]
    if not line.is_cause:
        told.append([Cell("row     ", "dim"), Cell(f"{first.waits} {clean(first.row, 60)}")])
    return told
