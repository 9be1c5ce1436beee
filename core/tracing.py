"""Tracing: which trace the work of now belongs to, and the spans that it leaves there while a daemon records them.

A trace is named as W3C Trace Context says (https://www.w3.org/TR/trace-context/): by a traceparent, which goes from a
request into the metadata of its events, and from there to everything that they cause. Spans are recorded only where a
daemon has called `use`, see daemons/process/trace_export.py; nothing here knows who receives them.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

Kind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
Note: TypeAlias = str | int | float | bool
"""What a span says about one of its attributes."""

TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
NAMED = re.compile(rf'"traceparent": ?"({TRACEPARENT.pattern})"')
LONGEST_TRACEPARENT = 200  # characters; a later version may add some to the 55 of version 00
LENGTH = 55
OLDEST = 600.0  # seconds
DATABASE: Mapping[str, Note] = {"db.system.name": "postgresql"}
"""What spans say of their work that is done by the database."""
MOST_LINKS = 16  # other traces of the same batch that a span names


class Span(Protocol):
    """A piece of work that is recorded from its beginning to its end. `traceparent` names it to what it causes."""

    @property
    def traceparent(self) -> str: ...
    def note(self, name: str, value: Note) -> None: ...
    def rename(self, name: str) -> None: ...
    def end(self, error: str = "") -> None:
        """`error` is the name of what went wrong, if anything did."""
        ...


class Tracer(Protocol):
    def takes_part(self, traceparent: str) -> bool:
        """Whether spans are recorded of the trace to which this belongs."""
        ...

    def root(self, name: str, kind: Kind) -> Span | str:
        """The first span of a new trace; the traceparent of a trace that is not recorded, if it is not chosen."""
        ...

    def begin(
        self,
        name: str,
        parent: str,
        *,
        kind: Kind = "internal",
        links: Sequence[str] = (),
        notes: Mapping[str, Note] | None = None,
    ) -> Span:
        """Begin a span. `parent` and `links` are traceparents."""
        ...

    def close(self) -> None:
        """Send what waits, if that takes no long time."""
        ...


class TracePlace(Struct, frozen=True):
    """Where in which trace the work of now is. With `recorded`, it is within a span that is recorded.

    With `kept`, the events that it records name the trace.
    """

    traceparent: str = ""
    recorded: bool = False
    kept: bool = False
    request_id: str = ""

    @property
    def trace_id(self) -> str:
        return self.traceparent[3:35]

    @property
    def span_id(self) -> str:
        return self.traceparent[36:52]


NOWHERE = TracePlace()
_tracer: ContextVar[Tracer | None] = ContextVar("tracer", default=None)
_place: ContextVar[TracePlace] = ContextVar("place", default=NOWHERE)


def use(tracer: Tracer | None) -> None:
    """Have this tracer record the spans of everything that is started from here on."""
    _tracer.set(tracer)


def tracer() -> Tracer | None:
    return _tracer.get()


def place() -> TracePlace:
    return _place.get()


def go_to(place: TracePlace) -> None:
    """Note where the work of the current task is from now on."""
    _place.set(place)


def kept_traceparent() -> str | None:
    """What events that are recorded now name in their metadata; None outside of a trace that somebody keeps."""
    here = _place.get()
    return here.traceparent if here.kept else None


def trace_headers() -> list[tuple[bytes, bytes]]:
    """The headers by which a service that we call learns of the trace; none outside of one."""
    kept = kept_traceparent()
    return [] if kept is None else [(b"traceparent", kept.encode())]


def elsewhere() -> Context:
    """A context for a task that serves many callers, so that it belongs to no trace, whoever has started it."""
    context = copy_context()
    context.run(_place.set, NOWHERE)
    return context


def exemplar() -> dict[str, str] | None:
    """What a histogram shows beside a value: the span that it was measured in, if that is recorded."""
    here = _place.get()
    return {"trace_id": here.trace_id, "span_id": here.span_id} if here.recorded else None


# --- names of traces ----------------------------------------------------------------------------------------
def read_traceparent(values: Sequence[bytes]) -> str | None:
    """The traceparent of a request with these headers of that name; None if there is none that counts.

    As the standard says, one that is malformed, zero, of version ff or there twice counts as missing, and of a later
    version only the part that version 00 has is used.
    """
    if len(values) != 1 or not LENGTH <= len(values[0]) <= LONGEST_TRACEPARENT:
        return None
    text = values[0].decode("latin-1")
    known, rest = text[:LENGTH], text[LENGTH:]
    if not TRACEPARENT.fullmatch(known) or (rest and (known.startswith("00") or not rest.startswith("-"))):
        return None
    return "00" + known[2:]


def traceparent_in(metadata: str) -> str | None:
    """The traceparent in the JSON text of an event's metadata, if there is a good one.

    It is searched for and not parsed, because every event of the log is asked. Within a text of JSON, the quotation
    marks would have backslashes.
    """
    if "traceparent" not in metadata:
        return None
    found = NAMED.search(metadata)
    return found[1] if found else None


def named_in_metadata(traceparent: str) -> str:
    """The metadata, as JSON, of an event of which only this is known; empty if it names no trace."""
    return f'{{"traceparent":"{traceparent}"}}' if TRACEPARENT.fullmatch(traceparent) else ""


# --- spans --------------------------------------------------------------------------------------------------
@contextmanager
def span(
    name: str, parent: str | None = None, *, kind: Kind = "internal", notes: Mapping[str, Note] | None = None
) -> Generator[Span | None]:
    """Record a span around the block, within the current one or the one that `parent` names.

    Yields None if nobody records that trace. In either case the block belongs to it.
    """
    before, recorder = _place.get(), _tracer.get()
    within = before.traceparent if parent is None else parent
    recorded = before.recorded if parent is None else bool(recorder and parent and recorder.takes_part(parent))
    if recorder is None or not recorded:
        token = _place.set(before if parent is None else TracePlace(within, kept=bool(within)))
        try:
            yield None
        finally:
            _place.reset(token)
        return
    begun = recorder.begin(name, within, kind=kind, notes=notes)
    token, error = _place.set(TracePlace(begun.traceparent, recorded=True, kept=True, request_id=before.request_id)), ""
    try:
        yield begun
    except BaseException as failure:
        error = type(failure).__name__
        raise
    finally:
        _place.reset(token)
        begun.end(error)


class Traced(Protocol):
    """An event, as far as tracing needs it."""

    @property
    def category(self) -> str: ...
    @property
    def metadata(self) -> str: ...
    @property
    def recorded_at(self) -> datetime: ...


def traceparents_of(events: Iterable[Traced]) -> Sequence[str]:
    """Those that these events name, if spans are recorded here.

    Events that are older than OLDEST are left out: they are read once more, and nobody waits for them.
    """
    if _tracer.get() is None:
        return ()
    since = time.time() - OLDEST
    return [
        found
        for event in events
        if "traceparent" in event.metadata
        and event.recorded_at.timestamp() > since
        and (found := traceparent_in(event.metadata)) is not None
    ]


class BatchSpans:
    """One span for each trace that has part in a batch, since each trace shows the whole of its own work.

    The spans of a batch name each other as links.
    """

    def __init__(self, name: str, traceparents: Iterable[str], kind: Kind, notes: Mapping[str, Note]) -> None:
        self._spans: list[Span] = []
        if (recorder := _tracer.get()) is None:
            return
        by_trace: dict[str, str] = {}
        for one in traceparents:
            by_trace.setdefault(one[3:35], one)
        parents = [one for one in by_trace.values() if recorder.takes_part(one)]
        for parent in parents:
            links = [other for other in parents if other != parent][:MOST_LINKS]
            self._spans.append(recorder.begin(name, parent, kind=kind, links=links, notes=notes))

    def end(self) -> None:
        for one in self._spans:
            one.end()


class SpansUnderWay:
    """The spans of batches that are worked on at the same time, and done with one after the other."""

    def __init__(self, name: str, categories: Collection[str]) -> None:
        """`categories` are those of the events that matter: a batch may have others, which are passed over."""
        self._name = name
        self._categories = categories
        self._batches: deque[tuple[int, BatchSpans]] = deque()

    def begin(self, batch: Sequence[Traced], upto: Sequence[int]) -> None:
        """Begin the spans of a batch, which ends at the highest of these positions."""
        if _tracer.get() is None:
            return
        ours = [event for event in batch if event.category in self._categories]
        if found := traceparents_of(ours):
            spans = BatchSpans(self._name, found, "consumer", {"messaging.batch.message_count": len(batch)})
            self._batches.append((max(upto, default=0), spans))

    def reached(self, upto: Sequence[int]) -> None:
        """End the spans of the batches up to the highest of these positions."""
        while self._batches and self._batches[0][0] <= max(upto, default=-1):
            self._batches.popleft()[1].end()

    def forget(self) -> None:
        """Forget the spans that are under way, since the work on their batches begins anew."""
        self._batches.clear()
