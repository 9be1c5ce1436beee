"""Splits the live stream of the query API, which is server-sent events, into the entries of the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from daemons.grpc_api.json_messages import fill, read_json
from daemons.grpc_api.orderdeck_pb2 import LogEntry

LONGEST_FRAME = 4 << 20  # bytes; an event is at most a quarter of that


class Frames:
    """Takes in the bytes as they come, in parts of any size."""

    def __init__(self) -> None:
        self._rest = b""

    def entries(self, part: bytes) -> Iterator[LogEntry]:
        """The entries that are complete now. Raises ValueError if what came is no such stream."""
        *frames, self._rest = (self._rest + part).split(b"\n\n")
        if len(self._rest) > LONGEST_FRAME:
            raise ValueError("a frame of the live stream does not end")
        for frame in frames:
            fields = dict(_field(line) for line in frame.split(b"\n"))
            if b"data" in fields and b"id" in fields:
                yield _entry(int(fields[b"id"]), fields.get(b"event", b""), read_json(fields[b"data"]))


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")  # a comment, which keeps the line alive, has no name
    return name, value.removeprefix(b" ")


def _entry(position: int, event_type: bytes, document: dict[str, Any]) -> LogEntry:
    entry = LogEntry(position=position)
    fill(entry.skipped if event_type == b"skipped" else entry.event, document)
    return entry
