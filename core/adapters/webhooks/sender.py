"""Sends webhook messages over HTTP: one request for each call, to no address but the one of the webhook.

It follows no redirect, obeys no proxy of the environment, and reads only the beginning of an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from urllib.parse import urlsplit

import httpcore

from core.adapters.webhooks.open_network import OpenNetwork, Resolve, resolve
from core.ports.webhook_sender import Answered
from core.printable import clean
from core.public_addresses import Network

WITHIN = 15.0  # seconds for a whole call, as the specification advises
CONNECT = 5.0  # seconds for one address
BODY_WITHIN = 2.0  # seconds for the beginning of the answer's body, of which only the status matters
LONGEST_BODY = 4_096  # bytes of it that are read
LONGEST_SAID = 200  # characters of it that operators are shown
GONE = 410
AT_ONCE = 8  # connections to one webhook
IDLE = 10.0  # seconds that a connection stays open for the next call

NO_ANSWER = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError, TimeoutError)


class HttpWebhookSender:
    """See `core.ports.webhook_sender.WebhookSender`. `networks` are those that are allowed besides the internet."""

    def __init__(
        self,
        networks: Sequence[Network],
        *,
        within: float = WITHIN,
        resolve_name: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._within = within
        self._version = version("orderdeck")
        self._tls = tls or ssl.create_default_context()
        self._networks = {
            scheme: OpenNetwork(networks, secret=scheme == "https", resolve_name=resolve_name)
            for scheme in ("http", "https")
        }
        self._pools: dict[tuple[str, str], httpcore.AsyncConnectionPool] = {}  # by webhook and scheme

    async def send(self, webhook_id: str, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        try:
            async with asyncio.timeout(self._within):
                return await self._send(self._pool(webhook_id, url), url, headers, body)
        except TimeoutError:
            return Answered(None, why_not=f"it has not answered within {self._within:g} s")
        except NO_ANSWER as error:
            return Answered(None, why_not=_in_words(error))

    async def keep(self, webhook_ids: set[str]) -> None:
        for key in [key for key in self._pools if key[0] not in webhook_ids]:
            await self._pools.pop(key).aclose()

    async def close(self) -> None:
        await self.keep(set())

    def _pool(self, webhook_id: str, url: str) -> httpcore.AsyncConnectionPool:
        scheme = urlsplit(url).scheme  # a webhook may be changed to lead elsewhere, by other rules
        if (pool := self._pools.get((webhook_id, scheme))) is None:
            pool = self._pools[webhook_id, scheme] = httpcore.AsyncConnectionPool(
                self._tls,
                max_connections=AT_ONCE,
                keepalive_expiry=IDLE,
                network_backend=self._networks[scheme],
            )
        return pool

    async def _send(
        self, pool: httpcore.AsyncConnectionPool, url: str, headers: Mapping[str, str], body: bytes
    ) -> Answered:
        all_headers = [
            (b"Host", urlsplit(url).netloc.encode("ascii")),
            (b"Content-Length", b"%d" % len(body)),
            (b"Content-Type", b"application/json"),
            (b"User-Agent", f"orderdeck/{self._version}".encode("ascii")),
            *((name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()),
        ]
        extensions = {
            "timeout": {"connect": CONNECT, "read": self._within, "write": self._within, "pool": self._within}
        }
        async with pool.stream("POST", url, headers=all_headers, content=body, extensions=extensions) as response:
            said = b""
            # Whatever the body does, the status has come. A connection whose answer is not read to its end is closed.
            with contextlib.suppress(*NO_ANSWER):
                async with asyncio.timeout(BODY_WITHIN):
                    async for part in response.aiter_stream():
                        said += part[: LONGEST_BODY - len(said)]
                        if len(said) >= LONGEST_BODY:
                            break
            shown = clean(" ".join(said.decode("utf-8", "replace").split()), LONGEST_SAID)
            return _answered(response.status, shown, response.headers)


def _answered(status: int, said: str, headers: Sequence[tuple[bytes, bytes]]) -> Answered:
    if 200 <= status < 300:
        return Answered(status, taken=True)
    redirect = ", and redirects are not followed" if 300 <= status < 400 else ""
    why = f"answered {status}{redirect}" + (f": {said}" if said else "")
    return Answered(status, why_not=why, gone=status == GONE, wait=_retry_after(headers) or 0.0)


def _retry_after(headers: Sequence[tuple[bytes, bytes]]) -> float | None:
    """Seconds or a moment (RFC 9110), in seconds from now; None for what is neither."""
    value = next((value for name, value in headers if name.lower() == b"retry-after"), None)
    if value is None or len(value) > 40:
        return None
    text = value.decode("latin-1").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _in_words(error: BaseException) -> str:
    if isinstance(error, httpcore.ConnectTimeout):
        return "no connection in time"
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLError):
        return clean(f"its certificate is not accepted: {getattr(cause, 'verify_message', '') or cause}", LONGEST_SAID)
    return clean(str(error) or type(error).__name__, LONGEST_SAID)
