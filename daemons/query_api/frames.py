"""The frames of the live stream: events encoded once for all readers, and the ring that holds the latest."""

from __future__ import annotations

from dataclasses import dataclass

from core import codec
from core.codec import Shape, StoredEvent

RING_BYTES = 32 << 20  # of frames that the ring holds at most; large events must not make it grow


@dataclass(frozen=True, slots=True)
class Frame:
    """An event as the bytes of a server-sent event, with what a filter looks at.

    `data` has the payload in its newest shape, `as_stored` as it is stored; None where the two are the same.
    """

    position: int
    category: str
    type: str
    data: bytes
    as_stored: bytes | None = None

    @property
    def size(self) -> int:
        return len(self.data) + len(self.as_stored or b"")

    def bytes_in(self, shape: Shape) -> bytes:
        return self.as_stored if shape == "stored" and self.as_stored is not None else self.data


@dataclass(frozen=True, slots=True)
class Filter:
    """The categories and types of events that a reader gets, and in which shape; an empty tuple lets all pass."""

    categories: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    shape: Shape = "latest"

    def passes(self, frame: Frame) -> bool:
        return (not self.categories or frame.category in self.categories) and (
            not self.types or frame.type in self.types
        )


def frame(event: StoredEvent) -> Frame:
    as_stored = _bytes(event, "stored") if event.outdated else None
    return Frame(event.position, event.category, event.event_type, _bytes(event, "latest"), as_stored)


def _bytes(event: StoredEvent, shape: Shape) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (
        event.position,
        event.event_type.encode(),
        event.envelope(shape).encode(),
    )


def skipped(after: int, before: int) -> bytes:
    data = codec.json({"after": after, "before": before, "count": before - after - 1})
    return b"id: %d\nevent: skipped\ndata: %b\n\n" % (before - 1, data)


class FrameRing:
    """The latest frames, of positions without gaps, so that a frame's place in the list follows from its position."""

    def __init__(self, size: int, most_bytes: int = RING_BYTES) -> None:
        self._size = size
        self._most_bytes = most_bytes
        self._bytes = 0
        self._frames: list[Frame] = []
        self._first = 0  # the oldest frame that counts; those before it are deleted many at once

    def add(self, frame: Frame) -> None:
        self._frames.append(frame)
        self._bytes += frame.size
        while len(self._frames) - self._first > self._size or self._bytes > self._most_bytes:
            self._bytes -= self._frames[self._first].size
            self._first += 1
        if self._first > self._size // 4:
            del self._frames[: self._first]
            self._first = 0

    def holds(self, position: int) -> bool:
        return self._first < len(self._frames) and self._frames[self._first].position <= position

    def after(self, position: int, most: int) -> list[Frame]:
        """At most so many of the frames after a position; the ring has to hold the frame that follows it."""
        start = self._first + position + 1 - self._frames[self._first].position
        return self._frames[start : start + most]
