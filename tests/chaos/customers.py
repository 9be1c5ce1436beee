"""Customers of a run: each places an order, sends every command until it is answered for good, some of it twice."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.chaos.books import Books, Told
from tests.chaos.plan import Fate, Plan, Wish
from tests.support.command_api import ADDRESS
from tests.support.customers import Customers

PRICE = "12.50"
SOON = 0.2  # seconds between tries; who is told to wait a second would, but this is a crowd
AT_ONCE = 256  # customers
IMPATIENT = 0.05  # seconds after which some never come back
BODIES: dict[str, dict[str, str] | None] = {
    "confirm": None, "cancel": {"reason": "changed my mind"}, "ship": {"tracking_number": "1Z999", "carrier": "UPS"},
    "deliver": None,
}  # fmt: skip


@dataclass
class Crowd:
    """`give_up_at` by the monotonic clock: a command that is not answered by then is a violation."""

    customers: Customers
    books: Books
    give_up_at: float

    async def live(self, plan: Plan) -> None:
        """Everybody comes at their time, and stays until they are answered."""
        began, room = time.monotonic(), asyncio.Semaphore(AT_ONCE)

        async def one(wish: Wish) -> None:
            await asyncio.sleep(began + wish.at - time.monotonic())
            async with room:
                await self._live(wish)

        async with asyncio.TaskGroup() as group:
            for wish in plan.wishes:
                group.create_task(one(wish))

    async def _live(self, wish: Wish) -> None:
        if wish.fate is Fate.GIVE_UP:
            with contextlib.suppress(httpx.TransportError, TimeoutError):
                async with asyncio.timeout(IMPATIENT):
                    await self._send(wish, "place", "/api/v1/orders", _order(wish))
            return
        placed = await self._until_answered(wish, "place", "/api/v1/orders", _order(wish))
        if placed is None or placed.status != 201:
            return
        order = f"/api/v1/orders/{placed.order_id}"
        self.books.orders[placed.order_id] = wish
        for verb, later in _verbs(wish.fate):
            if later:
                await self._settled(order)
            done = await self._until_answered(wish, verb, f"{order}/{verb}", BODIES[verb])
            if done is None or done.status != 200:
                return

    async def _until_answered(self, wish: Wish, verb: str, path: str, body: Mapping[str, Any] | None) -> Told | None:
        copies = [self._patiently(wish, verb, path, body) for _ in range(wish.copies)]
        return (await asyncio.gather(*copies))[0]

    async def _patiently(self, wish: Wish, verb: str, path: str, body: Mapping[str, Any] | None) -> Told | None:
        while time.monotonic() < self.give_up_at:
            try:
                answer = await self._send(wish, verb, path, body)
            except httpx.TransportError as error:
                self.books.answers[type(error).__name__] += 1
            else:
                if (told := self._told(wish, verb, answer)) is not None:
                    return told
            await asyncio.sleep(SOON)
        self.books.unanswered.append(f"{verb} of {wish.customer}")
        return None

    async def _send(self, wish: Wish, verb: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        key = key_of(wish, verb)
        self.books.asked[key] = wish
        headers = {"Idempotency-Key": key, "X-Request-Id": key}
        method = "POST" if verb == "place" else "PUT"
        return await self.customers.commands.request(method, path, headers=headers, json=body)

    def _told(self, wish: Wish, verb: str, answer: httpx.Response) -> Told | None:
        """The answer, when it is one for good; 503 and 409 ask to come again, and anything else is a fault of ours."""
        status = answer.status_code
        said = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        self.books.answers[f"{status} {said.get('code', '')}".strip()] += 1
        if status in {200, 201, 400}:
            told = Told(key_of(wish, verb), verb, status, str(said.get("order_id", "")), said.get("version"))
            self.books.tell(told)
            return told
        if status not in {503, 409}:
            self.books.wrong.append(f"{verb} of {wish.customer} was answered {status}: {answer.text[:200]}")
        return None

    async def _settled(self, order: str) -> None:
        """Until the order is no longer CREATED; who cannot be told asks again."""
        while time.monotonic() < self.give_up_at:
            with contextlib.suppress(httpx.HTTPError, ValueError):
                answer = await self.customers.queries.get(order)
                if answer.status_code == 200 and answer.json()["status"] != "CREATED":
                    return
            await asyncio.sleep(SOON)


def key_of(wish: Wish, verb: str) -> str:
    return f"{wish.customer}-{verb}"


def _verbs(fate: Fate) -> Sequence[tuple[str, bool]]:
    """What is done by hand, and whether that is once the order is settled."""
    match fate:
        case Fate.CANCEL_AT_ONCE:
            return [("cancel", False)]
        case Fate.CANCEL_LATER:
            return [("cancel", True)]
        case Fate.CONFIRM:
            return [("confirm", False)]
        case Fate.SHIP:
            return [("ship", True)]
        case Fate.DELIVER:
            return [("ship", True), ("deliver", False)]
        case _:
            return []


def _order(wish: Wish) -> dict[str, Any]:
    lines = [] if wish.fate is Fate.NONSENSE else wish.lines
    items = [{"product_id": sku, "sku": sku, "quantity": quantity, "unit_price": PRICE} for sku, quantity in lines]
    return {
        "customer_id": wish.customer,
        "items": items,
        "shipping_address": ADDRESS,
        "payment_method": wish.method,
    }
