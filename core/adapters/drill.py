"""Adapters with failpoints: each does what the real adapter does, and sometimes kills the process meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from core.codec import StoredEvent
from core.domain.provider import PaymentAnswer
from core.domain.saga import SagaStepCompensated
from core.failpoints import UNDER_WAY, Failpoints, failpoints
from core.home import Home
from core.ports.broker import Broker
from core.ports.deliveries import Delivery, Topics
from core.ports.log import Accepted, Append, EventStore, Verdict
from core.ports.payments import PaymentGateway
from core.ports.reading import Subscription
from core.ports.sagas import Claim, SagaLog
from core.ports.webhook_sender import Answered, WebhookSender
from core.ports.webhooks import CallResult, Planned, WebhookCalls
from core.settings import Settings

P = TypeVar("P")


@dataclass(frozen=True)
class Drill:
    """Wraps a daemon's adapters, so that they die at its failpoints. Without failpoints it returns them as they are."""

    points: Failpoints | None

    def store(self, store: EventStore) -> EventStore:
        return self._wrap(_Store, store)

    def saga_log(self, sagas: SagaLog) -> SagaLog:
        return self._wrap(_SagaLog, sagas)

    def gateway(self, gateway: PaymentGateway) -> PaymentGateway:
        return self._wrap(_Gateway, gateway)

    def subscription(self, subscription: Subscription) -> Subscription:
        return self._wrap(_Subscription, subscription)

    def topics(self, topics: Topics) -> Topics:
        return self._wrap(_Topics, topics)

    def read_models(self, read_models: P) -> P:
        return self._wrap(_ReadModels, read_models)

    def broker(self, broker: Broker) -> Broker:
        return self._wrap(_Broker, broker)

    def webhook_calls(self, calls: WebhookCalls) -> WebhookCalls:
        return self._wrap(_WebhookCalls, calls)

    def webhook_sender(self, sender: WebhookSender) -> WebhookSender:
        return self._wrap(_WebhookSender, sender)

    def _wrap(self, kind: Any, real: P) -> P:
        return kind(real, self.points) if self.points else real


def drill(settings: Settings, daemon: str) -> Drill:
    return Drill(failpoints(settings.failpoints, daemon, Home(settings.home).written_by_daemons))


class _Wrapped:
    """A wrapped adapter. Methods that a subclass does not define are those of the real adapter."""

    def __init__(self, real: Any, points: Failpoints) -> None:
        self._real = real
        self._points = points

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def _die_during(self, point: str, work: Coroutine[Any, Any, object]) -> NoReturn:
        """Start the work, and kill the process at a random moment before or after it is done."""
        task = asyncio.ensure_future(work)
        await asyncio.wait([task], timeout=random.uniform(0, UNDER_WAY))  # noqa: S311 - a random moment
        self._points.die(point)


class _Store(_Wrapped):
    async def append(self, append: Append) -> Verdict:
        if self._points.hit("after_enqueue"):
            await self._die_during("after_enqueue", self._real.append(append))
        verdict = await self._real.append(append)
        if isinstance(verdict, Accepted):
            for point in ("after_commit", "after_record"):
                self._points.reach(point)
            if any(isinstance(new.event, SagaStepCompensated) for entry in append.entries for new in entry.events):
                self._points.reach("mid_compensation")
        return verdict


class _SagaLog(_Wrapped):
    async def claim(self, *args: Any, **kwargs: Any) -> Sequence[Claim]:
        claims = await self._real.claim(*args, **kwargs)
        if claims:
            self._points.reach("after_claim")
        return claims


class _Gateway(_Wrapped):
    async def authorise(self, key: str, **charge: Any) -> PaymentAnswer:
        return self._after_call(await self._real.authorise(key, **charge))

    async def capture(self, key: str, **charge: Any) -> PaymentAnswer:
        return self._after_call(await self._real.capture(key, **charge))

    async def void(self, key: str, **charge: Any) -> PaymentAnswer:
        return self._after_call(await self._real.void(key, **charge), undone=True)

    async def refund(self, key: str, **charge: Any) -> PaymentAnswer:
        return self._after_call(await self._real.refund(key, **charge), undone=True)

    def _after_call(self, answer: PaymentAnswer, *, undone: bool = False) -> PaymentAnswer:
        self._points.reach("after_call")
        if undone:
            self._points.reach("mid_compensation")
        return answer


class _Subscription(_Wrapped):
    async def batches(self, stop: asyncio.Event, **arguments: Any) -> AsyncGenerator[Sequence[StoredEvent]]:
        async with aclosing(self._real.batches(stop, **arguments)) as batches:
            async for batch in batches:
                self._points.reach("after_poll")
                yield batch


class _Topics(_Wrapped):
    async def poll(self) -> Delivery:
        delivery = await self._real.poll()
        if delivery.marks:
            self._points.reach("after_poll")
        return delivery


class _ReadModels(_Wrapped):
    async def save(self, changes: Any) -> None:
        if self._points.hit("mid_transaction"):
            await self._die_during("mid_transaction", self._real.save(changes))
        await self._real.save(changes)
        self._points.reach("after_commit")


class _Broker(_Wrapped):
    async def open(self) -> Any:
        return _Sending(await self._real.open(), self._points)


class _Sending(_Wrapped):
    async def send(self, prepared: Any) -> None:
        if self._points.hit("mid_send"):
            await self._die_during("mid_send", self._real.send(prepared))
        await self._real.send(prepared)
        self._points.reach("before_checkpoint")


class _WebhookCalls(_Wrapped):
    async def plan(self, epoch: int) -> Planned:
        if self._points.hit("mid_transaction"):
            await self._die_during("mid_transaction", self._real.plan(epoch))
        planned = await self._real.plan(epoch)
        if planned.made:
            self._points.reach("after_plan")
        return planned

    async def save(self, results: Sequence[CallResult]) -> None:
        await self._real.save(results)
        self._points.reach("after_record")


class _WebhookSender(_Wrapped):
    async def send(self, *arguments: Any) -> Answered:
        answered = await self._real.send(*arguments)
        self._points.reach("after_call")
        return answered
