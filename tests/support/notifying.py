"""A notifier of a test's own over a real database, and webhooks that lead to receivers on this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from core.adapters.postgres.connection import Link
from core.adapters.postgres.customer_keys import PostgresCustomerKeys
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.hints import Hints
from core.adapters.postgres.shares import PostgresShares
from core.adapters.postgres.webhook_calls import PostgresWebhookCalls
from core.adapters.postgres.webhooks import PostgresWebhooks
from core.adapters.webhooks.sender import HttpWebhookSender
from core.ports.webhooks import READER, SHARE, CallResult, WebhookDelivery, WebhookTerms
from core.services.notifier import Notifier
from core.services.open_answers import AnswerOpener
from core.services.webhooks import add_webhook
from tests.support.log import append, entry, stream
from tests.support.opener import Opener

HERE = (ipaddress.ip_network("127.0.0.0/8"),)


class PostOffice:
    """`hooks` is what operators do, and `running` a notifier that sends; `results` is what its calls came to."""

    def __init__(self, opener: Opener, store: PostgresEventStore, within: float) -> None:
        self._links = [Link(opener) for _ in range(5)]
        self.link = self._links[0]
        self._hints = Hints(opener, "events")
        self._shares = PostgresShares(self._links[0])
        self.hooks = PostgresWebhooks(self._links[1])
        self.calls = PostgresWebhookCalls(self._links[2], self._links[3])
        self.keys = PostgresCustomerKeys(self._links[4])
        self.sender = HttpWebhookSender(HERE, within=within)
        self.store = store
        self.results: list[CallResult] = []
        self.outages: list[str] = []

    async def add(self, url: str, *event_types: str) -> tuple[str, str]:
        """The id of a new webhook, and its secret."""
        made = await add_webhook(self.hooks, WebhookTerms(url=url, event_types=event_types), HERE, by="ana")
        return made.webhook.id, made.secret

    async def record(self, events: int = 1) -> None:
        await self.store.append(append(entry(stream(), 0, events)))

    async def lead(self, owner: str = "one") -> int:
        held = await self._shares.keep(READER, owner, count=1, lease=timedelta(seconds=12))
        return held[SHARE]

    async def take_over(self, owner: str, before: str) -> int:
        await self._shares.leave(READER, [before])
        return await self.lead(owner)

    def notifier(self, calls: Any = None, sender: Any = None) -> Notifier:
        return Notifier(
            calls or self.calls,
            sender or self.sender,
            AnswerOpener(self.keys),
            self._hints,
            ended=lambda result, _: self.results.append(result),
            waits=self.outages.append,
        )

    @asynccontextmanager
    async def running(self, notifier: Notifier | None = None) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task((notifier or self.notifier()).run(await self.lead(), stop))
        try:
            yield
        finally:
            stop.set()
            await task

    async def deliveries(self, webhook_id: str) -> Sequence[WebhookDelivery]:
        return await self.hooks.deliveries(webhook_id)

    async def caught_up(self, but: str = "") -> bool:
        """Whether there are deliveries of every event, and none of them waits; of all webhooks but one."""
        return all(each.behind == 0 and each.waiting == 0 for each in await self.hooks.all() if each.id != but)

    async def tried(self, webhook_id: str, times: int) -> bool:
        made = await self.deliveries(webhook_id)
        return bool(made) and all(each.tries >= times for each in made)

    async def disabled(self, webhook_id: str) -> bool:
        found = await self.hooks.one(webhook_id)
        return found is not None and not found.enabled

    async def close(self) -> None:
        await self.sender.close()
        for link in self._links:
            link.close()
        self._hints.close()


@asynccontextmanager
async def post_office(opener: Opener, store: PostgresEventStore, within: float = 1.0) -> AsyncIterator[PostOffice]:
    office = PostOffice(opener, store, within)
    try:
        yield office
    finally:
        await office.close()


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait for a condition, which may be a coroutine's result, and fail when it does not come."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.01)
