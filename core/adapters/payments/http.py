"""The payment provider over HTTP: one request for each call. It does not retry, because the sagas do.

It uses aiohttp, whose parser is C: every order makes such calls, and with httpx or httpcore one costs half a
millisecond of CPU more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Self, TypeVar
from uuid import UUID

import aiohttp
import msgspec
from yarl import URL

from core.adapters.payments.breaker import Admitted, Breaker
from core.adapters.payments.exchange import NO_ANSWER, NOT_SENT, Asked, content_of
from core.credentials import Show, show_nothing
from core.domain.provider import Approved, Declined, PaymentAnswer, Refused
from core.domain.validation import tidy
from core.errors import GatewayNotTried, GatewayTimeout, GatewayUnavailable
from core.tracing import trace_headers

CONNECTIONS = 64
LONGEST_WAIT = 1.0  # seconds that a call waits for a free connection; after that, its saga tries again later
LONGEST_CONNECT = 2.0  # with the look-up of the name; less than the limit of a call, so that "never sent" is known
IDLE = 5.0  # seconds that a connection stays open for the next call; servers keep theirs longer
LONGEST_QUESTION = 2.0  # seconds for the question whether the provider answers at all
NOBODYS_KEY = "orderdeck-does-the-provider-answer"
ADDED_BY_AIOHTTP = ("Accept", "Accept-Encoding", "User-Agent")
T = TypeVar("T")
Headers = Mapping[str, str]
MAY_COME_LATER = {401, 408, 425, 429}  # 401: an operator gives us the right key


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Headers
    content: bytes


class _Success(msgspec.Struct, frozen=True):
    reference: str
    expires_at: Any = None


class _Problem(msgspec.Struct, frozen=True):
    detail: str = ""


class _Operation(msgspec.Struct, frozen=True):
    outcome: str
    reference: str = ""
    reason: str = ""
    expires_at: Any = None


class HttpPaymentGateway:
    """See `core.ports.payments.PaymentGateway`. `timeout`: how many seconds a call may take once it has a connection.

    A call that gets no connection raises GatewayNotTried. `show` is what shows the provider who asks.
    """

    def __init__(self, base_url: str, *, timeout: float = 8.0, show: Show = show_nothing) -> None:
        self._base, self._show, self._timeout = base_url.rstrip("/"), show, timeout
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._calls = 0
        self._breaker = Breaker()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=IDLE),
            timeout=aiohttp.ClientTimeout(connect=min(LONGEST_CONNECT, self._timeout / 2)),
            request_class=Asked,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=ADDED_BY_AIOHTTP,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def authorise(
        self, key: str, *, payment_id: UUID, order_id: UUID, amount: Decimal, currency: str, method: str
    ) -> PaymentAnswer:
        body = {"order_id": order_id, "amount": amount, "currency": currency, "payment_method": method}
        return await self._post(key, payment_id, "authorise", body)

    async def capture(self, key: str, *, payment_id: UUID, amount: Decimal) -> PaymentAnswer:
        return await self._post(key, payment_id, "capture", {"amount": amount})

    async def void(self, key: str, *, payment_id: UUID, reason: str) -> PaymentAnswer:
        return await self._post(key, payment_id, "void", {"reason": reason})

    async def refund(self, key: str, *, payment_id: UUID, amount: Decimal, reason: str) -> PaymentAnswer:
        return await self._post(key, payment_id, "refund", {"amount": amount, "reason": reason})

    async def look_up(self, key: str) -> PaymentAnswer | None:
        try:
            response = await self._send(key.partition(":")[0], "GET", f"/api/v1/operations/{key}")
        except (*NOT_SENT, *NO_ANSWER) as error:
            raise GatewayUnavailable(f"the payment provider cannot be asked: {_text(error)}") from error
        if response.status == 404:
            return None
        if response.status != 200:
            raise _unavailable(response)
        try:
            operation = _decoded(response, _Operation)
        except ValueError as error:
            raise GatewayUnavailable(f"an answer of the payment provider that says nothing: {error}") from error
        match operation.outcome:
            case "approved":
                return Approved(_named(operation.reference), _moment(operation.expires_at))
            case "declined":
                return Declined(tidy(operation.reason))
            case _:
                return Refused(tidy(operation.reason))

    def room(self) -> int:
        self._breaker.log_change()
        if self._breaker.closed:
            return max(CONNECTIONS - self._calls, CONNECTIONS // 4)
        return int(self._breaker.may_probe)

    def is_away(self) -> bool:
        return self._breaker.holds_back

    async def _send(
        self, charge: str, method: str, path: str, headers: Headers | None = None, content: bytes | None = None
    ) -> Response:
        """Make one call once there is room for it, and tell the breaker how it went."""
        call = self._breaker.admit()
        try:
            await self._take_room()
        except BaseException:
            self._breaker.not_made(call)
            raise
        try:
            return await self._call(call, charge, method, path, headers, content)
        finally:
            self._calls -= 1
            self._room.release()

    async def _call(
        self, call: Admitted, charge: str, method: str, path: str, headers: Headers | None, content: bytes | None
    ) -> Response:
        breaker = self._breaker
        try:
            response = await self._exchange(method, path, headers, content, self._timeout)
        except NOT_SENT:
            breaker.failed(call, charge, reached=False)
            raise
        except NO_ANSWER:
            if breaker.failed(call, charge, reached=True):
                await self._ask_about_nothing(call)
            raise
        except BaseException:
            breaker.not_made(call)
            raise
        if response.status >= 500 or response.status == 429:
            if breaker.failed(call, charge, reached=True):
                await self._ask_about_nothing(call)
        else:
            breaker.answered(call, executed=response.status != 404)
        return response

    async def _ask_about_nothing(self, call: Admitted) -> None:
        """Look up a key that no charge has, and tell the breaker whether the provider answers that.

        It is asked in the room of the call that failed: among all those that wait for room, it might never get any.
        """
        breaker, within = self._breaker, min(LONGEST_QUESTION, self._timeout)
        try:
            response = await self._exchange("GET", f"/api/v1/operations/{NOBODYS_KEY}", None, None, within)
        except (*NOT_SENT, *NO_ANSWER):
            breaker.asked(call, answers=False)
        except BaseException:
            breaker.not_made(call)
            raise
        else:
            breaker.asked(call, answers=response.status < 500 and response.status != 429)

    async def _exchange(
        self, method: str, path: str, headers: Headers | None, content: bytes | None, within: float
    ) -> Response:
        """Send one request and read its answer, in at most `within` seconds. The caller has taken room for it."""
        key = self._show(self._base)
        shown = {"Authorization": f"Bearer {key}"} if key else {}
        traced = {name.decode(): value.decode() for name, value in trace_headers()}
        async with (
            asyncio.timeout(within),
            self._session.request(
                method,
                URL(self._base + path, encoded=True),
                headers={**shown, **traced, **(headers or {})},
                data=content,
                allow_redirects=False,
            ) as response,
        ):
            return Response(response.status, response.headers, await content_of(response))

    async def _take_room(self) -> None:
        if self._room.locked():
            try:
                async with asyncio.timeout(min(LONGEST_WAIT, self._timeout)):
                    await self._room.acquire()
            except TimeoutError as error:
                raise GatewayNotTried("too many calls to the payment provider are under way", LONGEST_WAIT) from error
        else:
            await self._room.acquire()
        self._calls += 1

    async def _post(self, key: str, payment_id: UUID, operation: str, body: Mapping[str, object]) -> PaymentAnswer:
        content = msgspec.json.encode(body)  # decimals become strings
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        try:
            response = await self._send(
                str(payment_id), "POST", f"/api/v1/charges/{payment_id}/{operation}", headers, content
            )
        except NOT_SENT as error:
            raise GatewayUnavailable(f"the payment provider cannot be reached: {_text(error)}") from error
        except NO_ANSWER as error:
            raise GatewayTimeout(f"no answer from the payment provider: {_text(error)}") from error
        if (status := response.status) == 200:
            try:
                success = _decoded(response, _Success)
            except ValueError as error:
                raise GatewayTimeout(f"an answer of the payment provider that says nothing: {error}") from error
            return Approved(_named(success.reference), _moment(success.expires_at))
        if status == 402:
            return Declined(_detail(response))
        if 400 <= status < 500 and status not in MAY_COME_LATER:
            return Refused(_detail(response))
        raise _unavailable(response)


def _unavailable(response: Response) -> GatewayUnavailable:
    more = ": it does not know our key (ORDERDECK_PAYMENT_KEY)" if response.status == 401 else ""
    return GatewayUnavailable(f"the payment provider answered {response.status}{more}", _retry_after(response.headers))


def _retry_after(headers: Headers) -> float | None:
    """The seconds in Retry-After (RFC 9110): a number, or a date, which is compared with the answer's own Date."""
    value = headers.get("Retry-After", "")
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError):  # TypeError: one of the dates has a time zone and the other has not
        return None
    return max(0.0, wait.total_seconds())


def _moment(value: Any) -> datetime | None:
    """A moment in ISO 8601, which is in UTC if it names no time zone. Anything else says nothing, and does no harm."""
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _decoded(response: Response, shape: type[T]) -> T:
    """The answer's body; raises ValueError, also for one that is nested without end."""
    try:
        return msgspec.json.decode(response.content, type=shape)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)[:200]) from None


def _named(reference: str) -> str:
    """A reference as it can be stored: the database takes no NUL, and nobody reads thousands of characters."""
    return tidy(reference, 255) if reference else ""


def _detail(response: Response) -> str:
    try:
        detail = _decoded(response, _Problem).detail
    except ValueError:
        detail = ""
    return tidy(detail) if detail else f"the payment provider answered {response.status}"


def _text(error: Exception) -> str:
    """What went wrong. Of an answer that is not HTTP, aiohttp says it before a colon, and quotes bytes after it."""
    words = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    unreadable = isinstance(error, (aiohttp.ClientResponseError, aiohttp.ClientPayloadError))
    return (words.partition(":")[0] if unreadable else words) or type(error).__name__
