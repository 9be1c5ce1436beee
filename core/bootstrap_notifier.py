"""Opens the webhooks for those who manage them, and what the notifier sends them and e-mails with."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from core.adapters.drill import drill
from core.adapters.postgres.connection import Link, connect
from core.adapters.postgres.hints import Hints
from core.adapters.postgres.mailed_alarms import PostgresMailedAlarms
from core.adapters.postgres.webhook_calls import PostgresWebhookCalls
from core.adapters.postgres.webhooks import PostgresWebhooks
from core.bootstrap import App
from core.home import database_url
from core.ports.mail_sender import MailSender
from core.ports.mailed_alarms import MailedAlarms
from core.ports.webhook_sender import WebhookSender
from core.ports.webhooks import WebhookCalls, Webhooks
from core.services import relay


@asynccontextmanager
async def open_webhooks(app: App) -> AsyncGenerator[Webhooks]:
    dsn = database_url(app.settings)
    link = Link(lambda: connect(dsn, name=app.name))
    try:
        yield PostgresWebhooks(link)
    finally:
        link.close()


@asynccontextmanager
async def open_webhook_calls(app: App) -> AsyncGenerator[tuple[WebhookCalls, Hints]]:
    """The deliveries, and what tells of new events."""
    dsn = database_url(app.settings)
    link, planning = (Link(lambda: connect(dsn, name=app.name)) for _ in range(2))
    hints = Hints(lambda: connect(dsn, name=app.name), "events")
    try:
        yield drill(app.settings, "notifier").webhook_calls(PostgresWebhookCalls(link, planning)), hints
    finally:
        for opened in (link, planning, hints):
            opened.close()


@asynccontextmanager
async def open_webhook_sender(app: App) -> AsyncGenerator[WebhookSender]:
    """The HTTP client is imported here, since only the notifier sends webhooks."""
    from core.adapters.webhooks.sender import HttpWebhookSender  # noqa: PLC0415 - as the docstring says

    sender = HttpWebhookSender(app.settings.allowed_networks)
    try:
        yield drill(app.settings, "notifier").webhook_sender(sender)
    finally:
        await sender.close()


@asynccontextmanager
async def open_mail(app: App) -> AsyncGenerator[tuple[MailedAlarms, MailSender] | None]:
    """What operators are told by e-mail, and what sends it; None if no mail server is set."""
    if not app.settings.smtp_host:
        yield None
        return
    from core.adapters.mail.smtp import SmtpMailSender  # noqa: PLC0415 - only who sends e-mails needs the client

    dsn = database_url(app.settings)
    link = Link(lambda: connect(dsn, name=app.name))
    unused = () if app.settings.kafka_brokers else (relay.READER,)
    try:
        yield PostgresMailedAlarms(link, unused), SmtpMailSender(app.settings)
    finally:
        link.close()
