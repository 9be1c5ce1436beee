"""The work of the notifier: of several notifiers one leads and sends, and another takes over when it is gone.

It may be killed at any time.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time

from prometheus_client import Counter, Gauge, Histogram

from core.bootstrap import App, bootstrap
from core.bootstrap_customers import open_customer_keys
from core.bootstrap_notifier import open_mail, open_webhook_calls, open_webhook_sender
from core.errors import OrderdeckError, in_words
from core.fault_board import FaultBoard
from core.pace import together
from core.ports.webhook_sender import WebhookSender
from core.ports.webhooks import READER, SHARE, CallResult, WebhookCalls
from core.services.notifier import NewEvents, Notifier
from core.services.open_answers import AnswerOpener
from core.services.shares import ShareKeeper
from core.settings import Settings
from daemons.notifier.mail import make_mailer, tell
from daemons.process.owner import gone, our_name
from daemons.process.share_work import ShareWork
from daemons.process.vitals import STEADY, Vitals
from daemons.process.work_again import cancel_after, keep_up

PART = "sending webhooks"  # its name on the FaultBoard
STANDS_STILL = 10.0  # seconds without a look at the log
MEASURE_EVERY = 5.0  # seconds
FINISH_MAIL = 2.0  # seconds in which a mail server may still take a mail when the notifier stops

LEADS = Gauge("orderdeck_notifier_leads", "1 while this notifier sends, 0 while it stands by for another one.")
CALLS = Counter(
    "orderdeck_webhook_calls", "Calls of webhooks, by webhook and what became of them.", ["webhook", "outcome"]
)
SECONDS = Histogram(
    "orderdeck_webhook_call_duration_seconds",
    "How long calls of webhooks took.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20),
)
OVERDUE = Gauge("orderdeck_webhook_overdue_seconds", "For how long the oldest delivery that is due has not been tried.")
DUE = Gauge("orderdeck_webhook_due_deliveries", "Deliveries that are due, of at most 1000 of each webhook.")
DISABLED = Gauge("orderdeck_webhooks_disabled", "Webhooks that are disabled because their receivers answered 410.")


class NotifierLeader:
    """Sends while this process holds the share, and says why when it does not get on."""

    def __init__(
        self,
        app: App,
        faults: FaultBoard,
        calls: WebhookCalls,
        sender: WebhookSender,
        opener: AnswerOpener,
        hints: NewEvents,
    ) -> None:
        self._app = app
        self._faults = faults
        self._notifier = Notifier(calls, sender, opener, hints, ended=_count, waits=self.waits)
        self.outage: str | None = None
        self.away_at = -math.inf  # by the monotonic clock
        self.share = ShareWork(SHARE, self._keep_up)

    async def _keep_up(self, epoch: int, lost: asyncio.Event) -> None:
        await keep_up(lambda: self._run(epoch, lost), lost, waits=self.waits, failed=self._failed)
        self._faults.clear(PART)

    async def _run(self, epoch: int, lost: asyncio.Event) -> None:
        steady = asyncio.get_running_loop().call_later(STEADY, self._faults.clear, PART)
        try:
            await self._notifier.run(epoch, lost)
        finally:
            steady.cancel()

    def waits(self, reason: str) -> None:
        self.outage, self.away_at = reason, time.monotonic()

    def _failed(self, error: Exception) -> None:
        self._faults.report(PART, error)

    async def why_not_ready(self) -> str | None:
        """An outage or a standstill, in words; its faults are on the board, which /ready reads too."""
        if self.share.epoch is None:
            return await self._app.why_not_ready()  # it stands by, which is what it is there for
        if self.outage is not None and self._notifier.worked_at < self.away_at:
            return self.outage
        if (still := time.monotonic() - self._notifier.worked_at) > STANDS_STILL:
            return f"has not looked at the log for {still:.0f} s"
        return await self._app.why_not_ready()


async def work(settings: Settings, vitals: Vitals) -> None:
    async with (
        bootstrap(settings, name=vitals.name, faults=vitals.faults) as app,
        open_customer_keys(app) as keys,
        open_webhook_calls(app) as (calls, hints),
        open_webhook_sender(app) as sender,
        open_mail(app) as mail,
    ):
        leader = NotifierLeader(app, vitals.faults, calls, sender, AnswerOpener(keys), hints)
        keeper = ShareKeeper(app.shares, READER, our_name(), count=1, gone=gone)
        LEADS.set_function(lambda: leader.share.epoch is not None)

        async def why_not_ready() -> str | None:
            return keeper.trouble or await leader.why_not_ready()

        await hints.listen()
        await keeper.renew()  # before it says that it is ready, so that it does not yet wait for its share then
        vitals.started(why_not_ready)
        async with asyncio.TaskGroup() as following:
            following.create_task(keeper.keep(vitals.stop))
            following.create_task(leader.share.follow(keeper, vitals.stop))
            following.create_task(_measure(leader, calls, sender, vitals.stop))
            if mail is not None:
                mailer = make_mailer(mail, settings)
                vitals.degraded.append(lambda: mailer.trouble)
                telling = tell(mailer, lambda: leader.share.epoch, vitals)
                following.create_task(cancel_after(vitals.stop, FINISH_MAIL, telling))


def _count(result: CallResult, seconds: float) -> None:
    outcome = {"waiting": "failed", "failed": "given_up"}.get(result.state, result.state)
    CALLS.labels(result.call.webhook_id, "gone" if result.gone else outcome).inc()
    SECONDS.observe(seconds)


async def _measure(leader: NotifierLeader, calls: WebhookCalls, sender: WebhookSender, stop: asyncio.Event) -> None:
    """Bring the gauges up to date now and then, and close what is open to webhooks that are gone."""
    while not stop.is_set():
        if leader.share.epoch is not None:
            try:
                found = await calls.look()
            except OrderdeckError as error:
                leader.waits(in_words(error))
            else:
                await sender.keep(set(found.webhooks))
                DISABLED.set(found.ended)
                DUE.set(found.due)
                OVERDUE.set(found.seconds)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), together(MEASURE_EVERY))
