"""The customers of a run: each places an order and sends every command until it has a final answer, some in copies."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.chaos.answers import Answers, FinalAnswer
from tests.chaos.plan import Fate, Plan, Wish
from tests.support.command_api import ADDRESS
from tests.support.customers import Customers

PRICE = "12.50"
SOON = 0.2  # seconds between tries; a real customer would wait the second that Retry-After names
AT_ONCE = 256  # customers
ANSWERED_WITHIN = 60.0  # seconds
IMPATIENT = 0.05  # seconds after which some customers give up
BODIES: dict[str, dict[str, str] | None] = {
    "confirm": None, "cancel": {"reason": "changed my mind"}, "ship": {"tracking_number": "1Z999", "carrier": "UPS"},
    "deliver": None,
}  # fmt: skip


@dataclass
class Crowd:
    """`calm_at` says when the last fault ended, by the monotonic clock, and None before.

    While faults last, a command may wait for as long as they do. It is a violation when it is not answered within
    ANSWERED_WITHIN after that, or after it was sent first. `patience`: seconds after the last fault
    until orders settle.
    """

    customers: Customers
    answers: Answers
    calm_at: Callable[[], float | None]
    patience: float

    async def play(self, plan: Plan) -> None:
        """Let each customer begin at its time, and go on until it is answered."""
        began, room = time.monotonic(), asyncio.Semaphore(AT_ONCE)

        async def one(wish: Wish) -> None:
            await asyncio.sleep(began + wish.at - time.monotonic())
            async with room:
                await self._play(wish)

        async with asyncio.TaskGroup() as group:
            for wish in plan.wishes:
                group.create_task(one(wish))

    async def _play(self, wish: Wish) -> None:
        if wish.fate is Fate.GIVE_UP:
            with contextlib.suppress(httpx.TransportError, TimeoutError):
                async with asyncio.timeout(IMPATIENT):
                    await self._send(wish, "place", "/api/v1/orders", _order(wish))
            return
        placed = await self._send_copies(wish, "place", "/api/v1/orders", _order(wish))
        if placed is None or placed.status != 201:
            return
        order = f"/api/v1/orders/{placed.order_id}"
        self.answers.orders[placed.order_id] = wish
        for verb, later in _commands_by_hand(wish.fate):
            if later:
                await self._wait_until_settled(order)
            done = await self._send_copies(wish, verb, f"{order}/{verb}", BODIES[verb])
            if done is None or done.status != 200:
                return

    async def _send_copies(
        self, wish: Wish, verb: str, path: str, body: Mapping[str, Any] | None
    ) -> FinalAnswer | None:
        copies = [self._send_until_answered(wish, verb, path, body) for _ in range(wish.copies)]
        return (await asyncio.gather(*copies))[0]

    async def _send_until_answered(
        self, wish: Wish, verb: str, path: str, body: Mapping[str, Any] | None
    ) -> FinalAnswer | None:
        began = time.monotonic()
        while not self._is_over(began, ANSWERED_WITHIN):
            try:
                answer = await self._send(wish, verb, path, body)
            except httpx.TransportError as error:
                self.answers.counts[type(error).__name__] += 1
            else:
                if (final := self._final_answer(wish, verb, answer)) is not None:
                    return final
            await asyncio.sleep(SOON)
        self.answers.unanswered.append(f"{verb} of {wish.customer}, for {ANSWERED_WITHIN:.0f} s without a fault")
        return None

    async def _send(self, wish: Wish, verb: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        key = key_of(wish, verb)
        self.answers.sent[key] = wish
        headers = {"Idempotency-Key": key, "X-Request-Id": key}
        method = "POST" if verb == "place" else "PUT"
        return await self.customers.commands.request(method, path, headers=headers, json=body)

    def _final_answer(self, wish: Wish, verb: str, answer: httpx.Response) -> FinalAnswer | None:
        """The answer if it is final, else None: 503 and 409 ask to try again, any other status is noted as wrong."""
        status = answer.status_code
        body = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        self.answers.counts[f"{status} {body.get('code', '')}".strip()] += 1
        if status in {200, 201, 400}:
            final = FinalAnswer(key_of(wish, verb), verb, status, str(body.get("order_id", "")), body.get("version"))
            self.answers.add(final)
            return final
        if status not in {503, 409}:
            self.answers.wrong.append(f"{verb} of {wish.customer} was answered {status}: {answer.text[:200]}")
        return None

    async def _wait_until_settled(self, order: str) -> None:
        """Wait until the order is no longer CREATED; a query that fails is repeated."""
        began = time.monotonic()
        while not self._is_over(began, self.patience):
            with contextlib.suppress(httpx.HTTPError, ValueError):
                answer = await self.customers.queries.get(order)
                if answer.status_code == 200 and answer.json()["status"] != "CREATED":
                    return
            await asyncio.sleep(SOON)

    def _is_over(self, began: float, limit: float) -> bool:
        """Whether so many seconds have passed without a fault since `began`."""
        calm_at = self.calm_at()
        return calm_at is not None and time.monotonic() > max(began, calm_at) + limit


def key_of(wish: Wish, verb: str) -> str:
    return f"{wish.customer}-{verb}"


def _commands_by_hand(fate: Fate) -> Sequence[tuple[str, bool]]:
    """The commands that the customer gives, each with whether it waits until the order is settled."""
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
