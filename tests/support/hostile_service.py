"""A service that answers as no honest one does: without end, byte by byte, compressed, nested, in endless numbers."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

NINES = "9" * 4_300
NESTED = b"[" * 200_000
OSC = "\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\u202e\u200b"  # writes to the clipboard, clears the screen, turns text round

SAGA: dict[str, Any] = {
    "saga_id": OSC,
    "name": OSC,
    "status": f"RUNNING{OSC}",
    "step": OSC,
    "state": OSC,
    "order_id": OSC,
    "started_at": OSC,
    "last_error": f"said\r\n{OSC}",
    "next_attempt_at": OSC,
    "attempts": 1,
    "open": {"items": [OSC], "money": None, "stock": []},
    "steps": {OSC: OSC},
    "events": [{"timestamp": OSC, "event_type": OSC, "payload": {"error": OSC, "by": OSC}}],
}
LETTER: dict[str, Any] = {
    "id": OSC, "reader": OSC, "row": OSC, "event_type": OSC, "category": OSC, "stream": OSC, "version": 2,
    "position": 7, "error": OSC, "fingerprint": OSC, "tries": 3, "waiting": 1, "first_failed_at": OSC,
    "last_failed_at": OSC,
}  # fmt: skip
RESULT = {"id": OSC, "event_type": OSC, "position": 7, "state": OSC, "error": OSC}
REBUILD: dict[str, Any] = {
    "id": 1, "group": "orders", "purpose": "rebuild", "state": "live", "note": OSC, "error": OSC, "position": 1,
    "head": 2, "rate": 3.5, "seconds_left": 1, "requested_by": OSC, "reason": OSC, "revision": OSC,
    "requested_at": OSC, "started_at": OSC, "ended_at": OSC, "drop_at": OSC, "max_rate": None, "target": None,
}  # fmt: skip
CHANGE = {"before": 1, "after": 2}
STREAM = {
    "stream_id": OSC, "category": OSC, "version": 1, "first_position": 1, "first_at": OSC, "last_position": 1,
    "last_at": OSC, "last_type": OSC, "snapshot_version": 1,
}  # fmt: skip
CHECKPOINT = {
    "reader": OSC, "group": OSC, "generation": 1, "revision": OSC, "position": 1, "lag_events": 1, "lag_seconds": 1.0,
    "epoch": 1, "saved_at": OSC, "shares": [{"share": 0, "owner": OSC, "epoch": 1}],
}  # fmt: skip
SNAPSHOT = {
    "stream_id": OSC, "category": OSC, "version": 1, "behind": 1, "bytes": 1, "schema": OSC, "taken_at": OSC,
}  # fmt: skip
WHOLE: dict[str, Any] = {
    "dead_letters": [LETTER], "dead_letter": LETTER, "event": {"payload": {"a": OSC}}, "results": [RESULT],
    "failing": 1, "events": [], "trials": [{"id": OSC, "applied": 1, "error": OSC}], "rebuilds": [REBUILD],
    "statuses": {OSC: CHANGE}, "payments": {}, "sales": [], "stock": [], "status": OSC, "customer": OSC,
    "next_before": None, "next_after": None, "streams": [STREAM], "stream": STREAM, "checkpoints": [CHECKPOINT],
    "snapshots": [SNAPSHOT], "forgotten": 1, "rows": [], "head": 1, "hash": OSC, "cut": 0,
}  # fmt: skip
"""One answer that has what each command on readers and customers reads."""


def answer(body: object, **headers: str) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (lines.encode(), len(content), content)


def bomb(megabytes: int) -> bytes:
    return answer(gzip.compress(b" " * (megabytes << 20)), Content_Encoding="gzip")


ENDLESS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
DRIPPING = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
ENDLESS_LINE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: "


class HostileService:
    """Answers /health as if it were well, and every other request with `says`; then it sends `rest` again and again."""

    def __init__(self) -> None:
        self.says, self.rest, self.pause = b"", b"", 0.0
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def will(self, says: bytes, rest: bytes = b"", pause: float = 0.0) -> None:
        self.says, self.rest, self.pause = says, rest, pause

    def close(self) -> None:
        self._stop.set()
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536) or b"\r\n\r\n"
            if b" /health" in head:
                connection.sendall(answer({"status": "healthy"}))
                return
            connection.sendall(self.says)
            while self.rest and not self._stop.wait(self.pause):
                connection.sendall(self.rest)


@contextlib.contextmanager
def hostile_service() -> Iterator[HostileService]:
    service = HostileService()
    try:
        yield service
    finally:
        service.close()


def hostile_bodies(honest: Mapping[str, Any], key: str) -> dict[str, bytes]:
    """Bodies that are not what they should be, by what is wrong with them; `honest` is right but for its `key`."""
    text = json.dumps({**honest, key: "VALUE"})
    values = {
        "4 300 nines": NINES,
        "4 301 nines": NINES + "9",
        "a million nines": "9" * 1_000_000,
        "1e999999999": "1e999999999",
        "NaN": "NaN",
        "a negative number": "-1",
        "a fraction": "0.5",
        "null": "null",
        "a list": "[]",
        "an object": "{}",
        "a text": '"\\ud800"',
        "a list in lists": "[" * 900 + "]" * 900,
        "a list in 200 000 lists": NESTED.decode(),
    }
    bodies = {what: text.replace('"VALUE"', value).encode() for what, value in values.items()}
    return {**bodies, "nothing": b"", "not JSON": b"<html>", "not UTF-8": b'{"a": "\xff\xfe"}', "nested": NESTED}
