"""Notifier: makes the deliveries of webhooks from the log, and sends each until its receiver has taken it.

It may be killed at any time: a delivery is made together with the position up to which the log was read, and ends only
when its receiver's answer is saved. So a message may be sent twice, under the same id, and none is lost.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

import structlog

from core.errors import ShareLost, Unavailable
from core.pace import Pace, together
from core.ports.webhook_sender import Answered, WebhookSender
from core.ports.webhooks import LONGEST_PAUSE, TEST, TRIES_AFTER, CallResult, DueCall, WebhookCalls
from core.services.open_answers import AnswerOpener
from core.services.webhook_messages import message_of, trace_of
from core.tracing import span

AT_ONCE = 8  # calls of one webhook that are under way; of one whose last call failed, one
BUSY = 0.05  # seconds between two looks at the log while events come
QUIET = 0.25  # seconds after the last events until the next look, in case a notification is lost
LONGEST_QUIET = 2.0  # seconds between two looks while none have come for long
IDLE = 1.0  # seconds after the last webhook is gone until the next look whether there is one again
LONGEST_IDLE = 2.0  # seconds between two looks while there has been none for long
GATHER = 0.005  # seconds in which more calls may end before their results are saved together
AWAY = 0.5  # seconds between two tries while the database is away
SWEEP_EVERY = 60.0  # seconds
FINISH = 5.0  # seconds in which calls under way may end when the notifier stops
JITTER = 0.1  # a pause is up to so much of itself longer, so that what failed together is not tried again together

log = structlog.get_logger(__name__)


class NewEvents(Protocol):
    """Tells when there are new events, as soon as possible; a lost notification only costs time."""

    async def listen(self) -> None: ...
    def coming(self) -> asyncio.Event: ...
    async def wait(self, coming: asyncio.Event, *, at_most: float, stop: asyncio.Event) -> None: ...


class Notifier:
    """`ended` is called with each result and the seconds that its call took. `waits`: the database is away."""

    def __init__(
        self,
        calls: WebhookCalls,
        sender: WebhookSender,
        opener: AnswerOpener,
        hints: NewEvents,
        *,
        ended: Callable[[CallResult, float], None],
        waits: Callable[[str], None],
    ) -> None:
        self._calls = calls
        self._sender = sender
        self._opener = opener
        self._hints = hints
        self._report = ended
        self._waits = waits
        self._under_way: dict[UUID, DueCall] = {}
        self._results: list[CallResult] = []
        self._failing: set[str] = set()
        self._wake = asyncio.Event()
        self._webhooks = 0
        self._pace = Pace(QUIET, LONGEST_QUIET)
        self._idle_pace = Pace(IDLE, LONGEST_IDLE)
        self.worked_at = time.monotonic()  # when the log was last looked at

    async def run(self, epoch: int, stop: asyncio.Event) -> None:
        """Make and send deliveries until `stop` is set, or somebody else leads. Raises DatabaseFault."""
        self.worked_at = time.monotonic()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._plan_all(epoch, stop))
                both.create_task(self._call_all(stop))
        except ExceptionGroup as group:
            error = group.exceptions[0]
            if not isinstance(error, ShareLost):
                raise error from None
            log.warning("stops, because another notifier has taken over", reason=str(error))
            stop.set()

    # --- from the log to deliveries ------------------------------------------------------------------------
    async def _plan_all(self, epoch: int, stop: asyncio.Event) -> None:
        swept = 0.0
        while not stop.is_set():
            coming = self._hints.coming()  # before the look, so that an event that comes meanwhile is seen next time
            try:
                planned = await self._calls.plan(epoch)
                again = await self._calls.plan_again()
                if time.monotonic() - swept > SWEEP_EVERY:
                    await self._calls.sweep()
                    swept = time.monotonic()
            except Unavailable as error:
                self._waits(str(error))
                await self._pause(stop, AWAY)
                continue
            self.worked_at = time.monotonic()
            self._webhooks = planned.webhooks
            if planned.made or again:
                self._pace.came()
                self._wake.set()
            if planned.webhooks:
                self._idle_pace.came()
            await self._pause(stop, BUSY if planned.webhooks else self._idle_pace.pause())
            if planned.webhooks and not planned.more:
                await self._hints.wait(coming, at_most=self._pace.pause(), stop=stop)

    async def _pause(self, stop: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            return

    # --- from deliveries to calls --------------------------------------------------------------------------
    async def _call_all(self, stop: asyncio.Event) -> None:
        running: set[asyncio.Task[None]] = set()
        try:
            while not stop.is_set():
                self._wake.clear()
                try:
                    await self._save()
                    for call in await self._due():
                        self._under_way[call.delivery_id] = call
                        task = asyncio.create_task(self._call(call))
                        running.add(task)
                        task.add_done_callback(running.discard)
                except Unavailable as error:
                    self._waits(str(error))
                    await self._pause(stop, AWAY)
                    continue
                await self._until_there_is_more(stop)
        finally:
            if running:
                await asyncio.wait(running, timeout=FINISH)
            for task in list(running):
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            try:
                await self._save()
            except Unavailable as error:
                self._waits(str(error))
            self._under_way.clear()

    async def _until_there_is_more(self, stop: asyncio.Event) -> None:
        stopping = asyncio.ensure_future(stop.wait())
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            seconds = together(QUIET if self._webhooks or self._under_way else LONGEST_IDLE)
            await asyncio.wait([stopping, waking], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            waking.cancel()
        if self._wake.is_set():
            await asyncio.sleep(GATHER)

    async def _due(self) -> list[DueCall]:
        busy = Counter(call.webhook_id for call in self._under_way.values())
        ids = busy.keys() | self._failing
        room = {id_: max(0, (1 if id_ in self._failing else AT_ONCE) - busy[id_]) for id_ in ids}
        return list(await self._calls.due(room, AT_ONCE, list(self._under_way)))

    async def _save(self) -> None:
        results = self._results[:]
        if not results:
            return
        await self._calls.save(results)
        del self._results[: len(results)]
        for result in results:
            self._under_way.pop(result.call.delivery_id, None)
            if result.gone:
                log.warning("webhook disabled, because its receiver wants no more", webhook=result.call.webhook_id)

    async def _call(self, call: DueCall) -> None:
        began = time.monotonic()
        try:
            with span("webhook", trace_of(call) or "", kind="client", notes={"orderdeck.tries": call.tries}) as own:
                message = await message_of(call, self._opener)
                answered = await self._sender.send(call.webhook_id, call.url, message.headers, message.body)
                if own is not None:
                    own.note("http.response.status_code", answered.status or 0)
        except Unavailable as error:
            self._waits(str(error))
            await asyncio.sleep(AWAY)
            self._under_way.pop(call.delivery_id, None)  # it was not tried
            self._wake.set()
            return
        except Exception as error:
            log.exception("a message could not be sent", delivery=str(call.delivery_id))
            answered = Answered(None, why_not=f"a fault of ours, {type(error).__name__}; the log has more")
        result = result_of(call, answered)
        if result.state == "delivered":
            self._failing.discard(call.webhook_id)
        else:
            self._failing.add(call.webhook_id)
        self._results.append(result)
        self._report(result, time.monotonic() - began)
        self._wake.set()


def result_of(call: DueCall, answered: Answered, spread: Callable[[], float] = random.random) -> CallResult:
    """What an answer means for a delivery: taken, to be tried again, or given up."""
    if answered.taken:
        return CallResult(call, "delivered", answered.status)
    if call.message_type == TEST or call.tries >= len(TRIES_AFTER):
        return CallResult(call, "failed", answered.status, answered.why_not, gone=answered.gone)
    pause = TRIES_AFTER[call.tries] * (1 + JITTER * spread())
    again = max(pause, min(answered.wait, LONGEST_PAUSE))
    return CallResult(call, "waiting", answered.status, answered.why_not, again, gone=answered.gone)
