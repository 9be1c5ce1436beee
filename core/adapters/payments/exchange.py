"""A request to the payment provider and its answer, and which errors say that nothing was sent."""

from __future__ import annotations

import aiohttp

LONGEST_ANSWER = 64 * 1024  # bytes; the provider's answers are some hundred bytes long


class SpokeFirst(aiohttp.ClientError):
    """The provider has said something on a connection on which nobody had asked."""


NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL, SpokeFirst)
NO_ANSWER = (aiohttp.ClientError, TimeoutError)


class Asked(aiohttp.ClientRequest):
    """A request whose answer comes after it: aiohttp would take for it what an idle connection has already received."""

    async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        if conn.protocol is None or conn.protocol.should_close:
            raise SpokeFirst("it has answered before it was asked")
        return await super().send(conn)


async def content_of(response: aiohttp.ClientResponse) -> bytes:
    parts, size = list[bytes](), 0
    while not response.content.at_eof():
        part = await response.content.readany()
        parts.append(part)
        size += len(part)
        if size > LONGEST_ANSWER:
            response.close()
            raise aiohttp.ClientPayloadError(f"the answer is longer than {LONGEST_ANSWER} bytes")
    return b"".join(parts)
