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
from tui.wire import Count

PATH = "/api/v1/admin/dead-letters"
MOST = 200  # events that are listed, of all causes together
EACH = 50  # of one cause
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


class ParkedCause(Struct):
    """What has set `letters` events aside, of which some may be listed. `event_types` are some of theirs."""

    fingerprint: str
    reader: str
    letters: Count
    event_types: list[str]
    error: str
    since: datetime


class ParkedPage(Struct):
    dead_letters: list[ParkedEvent]
    total: int
    causes: list[ParkedCause]


class ParkedLine(NamedTuple):
    """A line of the list: a cause, or one event of it."""

    cause: ParkedCause
    event: ParkedEvent | None = None

    @property
    def key(self) -> str:
        return self.cause.fingerprint if self.event is None else self.event.id

    @property
    def named(self) -> str:
        if self.event is None:
            return f"{many(self.cause)} of cause {clean(self.cause.fingerprint, 12)}"
        return f"{clean(self.event.event_type, 40)} at position {self.event.position:,}"


def many(cause: ParkedCause) -> str:
    """`9,990 × OrderCreated …`."""
    types = [clean(name, 40) for name in cause.event_types[:2]]
    return f"{cause.letters:,} × {types[0] if types else 'event'}{' …' if len(types) > 1 else ''}"


class ParkedModel:
    """`lines` are the causes, those with the most events first, each followed by the oldest of its events."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.lines: Sequence[ParkedLine] = ()
        self.total: int | None = None
        self.error = ""
        self.refused = 0  # the status with which the service has refused whoever asks

    async def read(self) -> None:
        try:
            page = await self.gateway.read(PATH, ParkedPage, {"limit": str(MOST), "each": str(EACH)})
        except GatewayError as error:
            self.error, self.refused = str(error), refused_as(error)
            if self.refused:
                self.lines, self.total = (), None
            return
        listed: dict[str, list[ParkedEvent]] = {}
        for event in page.dead_letters[:MOST]:
            listed.setdefault(event.fingerprint, []).append(event)
        found: list[ParkedLine] = []
        for cause in page.causes[:MOST]:
            found += [ParkedLine(cause), *(ParkedLine(cause, event) for event in listed.get(cause.fingerprint, ()))]
        self.lines, self.total, self.error, self.refused = found, page.total, "", 0


def command(line: ParkedLine | None, verb: str, reason: str) -> CommandToSend:
    """`line` None: all of them."""
    if line is None:
        return CommandToSend(verb, None, {"reason": reason}, kind=KIND)
    if line.event is None:
        return CommandToSend(verb, None, {"reason": reason, "fingerprint": line.key}, kind=KIND)
    return CommandToSend(verb, line.key, {"reason": reason}, kind=KIND)


def row_cells(line: ParkedLine, now: datetime) -> Sequence[Cell]:
    cause, event = line
    since = span(max(0.0, (now - (cause.since if event is None else event.first_failed_at)).total_seconds()))
    if event is None:
        empty = Cell("")
        whose = Cell(clean(cause.reader, 40))
        return (Cell(many(cause), "bad"), whose, empty, empty, empty, Cell(since), Cell(clean(cause.error, 300)))
    return (
        Cell(f"  {event.waits} {clean(event.row[-12:], 12)}"),
        Cell(""),
        Cell(f"{event.position:,}"),
        Cell(f"{event.tries}"),
        Cell(f"{event.waiting:,}"),
        Cell(since),
        Cell("is tried again by itself" if event.retry_at is not None else "", "dim"),
    )


def whole_lines(line: ParkedLine | None) -> list[list[Cell]]:
    """All that is known of the chosen line."""
    if line is None:
        return []
    cause, event = line
    types = ", ".join(clean(name, 60) for name in cause.event_types[:5])
    what = types if event is None else f"{clean(event.event_type, 60)}, version {event.event_version} of its type"
    error = cause.error if event is None else event.error
    told = [
        [Cell("error   ", "dim"), Cell(clean(error, 400), "bad")],
        [Cell("event   ", "dim"), Cell(what)],
        [Cell("cause   ", "dim"), Cell(f"{clean(cause.fingerprint, 20)}  in {clean(cause.reader, 60)}")],
    ]
    if event is not None:
        told.append([Cell("row     ", "dim"), Cell(f"{event.waits} {clean(event.row, 60)}")])
    return told
