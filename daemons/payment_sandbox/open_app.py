"""Opens the payment sandbox: its ledger, and the service that answers from it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from core.home import Home
from core.settings import Settings
from daemons.payment_sandbox.app import Sandbox, make_service
from daemons.payment_sandbox.ledger import Ledger
from daemons.process.vitals import ASGIApp, Vitals


@asynccontextmanager
async def open_app(settings: Settings, vitals: Vitals) -> AsyncGenerator[ASGIApp]:
    ledger = Ledger(Home(settings.home).ledger, settings.sandbox_authorization_seconds)
    try:
        service = make_service(Sandbox(ledger, vitals.stop))
        vitals.started(ledger.why_not_ready)
        yield service
    finally:
        ledger.close()
