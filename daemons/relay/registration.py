"""Has the schemas of our messages registered while the relay runs; what goes wrong with that stops no event."""

from __future__ import annotations

import asyncio
import contextlib

import structlog
from prometheus_client import Gauge

from core.errors import BrokerRefused, Unavailable
from core.ports.broker import Broker

FIRST_PAUSE = 1.0  # seconds before the second try; each pause is twice the one before
LONGEST_PAUSE = 60.0

REGISTERED = Gauge(
    "orderdeck_relay_schemas_registered", "1 when the schema registry has the schemas of all events; 0: no."
)
_log = structlog.get_logger(__name__)


class Registration:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._wrong: str | None = None

    def why_degraded(self) -> str | None:
        return None if self._wrong is None else f"the schemas of events are not registered: {self._wrong}"

    async def keep(self, stop: asyncio.Event) -> None:
        """Try until the registry has every schema, or `stop` is set. Never raises an error of the registry."""
        pause = FIRST_PAUSE
        while not stop.is_set():
            try:
                new = await self._broker.register_schemas()
            except (Unavailable, BrokerRefused) as error:
                if str(error) != self._wrong:
                    _log.warning("schemas not registered", reason=str(error))
                self._wrong = str(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, events go on being sent
                _log.exception("schemas not registered")
                self._wrong = f"a fault, {type(error).__name__}; the log has more"
            else:
                if new:
                    _log.info("registered schemas", new=new)
                self._wrong = None
                REGISTERED.set(1)
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE)
