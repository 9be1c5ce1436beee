"""What an EventSource of a browser is answered: it gives up for ever at any other status than 200."""

from __future__ import annotations

from typing import Any

STREAM = b"text/event-stream"
RETRY = 3.0  # seconds after which a browser connects again


def is_event_source(accept: bytes) -> bool:
    """Whether a caller takes a stream of events only. One who also takes problem documents is told a problem as one."""
    return STREAM in accept and b"problem+json" not in accept


def come_back(seconds: float, *events: bytes) -> bytes:
    """A stream that tells a browser to connect again after this time; it ends after these events."""
    return b"retry: %d\n\n" % (1000 * seconds) + b"".join(events)


def surviving(send: Any) -> Any:
    """Send a stream that ends at once in the place of an outage or a fault."""
    replaced = False

    async def send_stream(message: Any) -> None:
        nonlocal replaced
        if message["type"] != "http.response.start":
            if not replaced:
                await send(message)
            return
        if message["status"] not in (500, 503):
            await send(message)
            return
        replaced = True
        given = dict(message["headers"]).get(b"retry-after", b"")
        body = come_back(float(given) if given.isdigit() else RETRY)
        headers = [(b"content-type", STREAM + b"; charset=utf-8"), (b"cache-control", b"no-store")]
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return send_stream
