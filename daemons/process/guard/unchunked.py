"""Answers of unknown length over HTTP/1.0, which has no chunks: the end of the connection ends them."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def unchunked(app: Any, cycle: RequestResponseCycle) -> Any:
    """The application, whose answer is sent without chunks. uvicorn closes every connection of HTTP/1.0 afterwards."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        unknown = False

        async def send_plainly(message: Any) -> None:
            nonlocal unknown
            if message["type"] == "http.response.start":
                unknown = all(name.lower() != b"content-length" for name, _ in message["headers"])
                if unknown:
                    cycle.chunked_encoding = False
            elif unknown:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plainly)

    return answer
