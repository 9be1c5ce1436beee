"""Switches the faults of the payment sandbox for the demo, reads its ledger, and restores its faults afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from core.credentials import Show, show_nothing
from core.errors import ConfigurationError, Unavailable
from daemons.cli.demo.customer import DemoFailed, DemoOrder
from daemons.cli.demo.transport import BoundedTransport
from daemons.cli.output import say

AT_MOST = 180.0  # seconds after which the faults end by themselves, should the demo be killed before it restores them


@dataclass(frozen=True)
class Provider:
    http: httpx.Client

    def switch(self, **faults: float) -> None:
        """Switch these faults on, and all others off."""
        body = {**faults, "seconds": AT_MOST} if faults else {}
        self.http.post("/faults", json=body).raise_for_status()
        names = "  ".join(f"{name} {value}" for name, value in faults.items() if name != "seed")
        say(f"   POST {self.http.base_url}/faults  {names or 'all off'}")

    def has_charged_once(self, orders: Sequence[DemoOrder], state: str) -> None:
        """Print that the ledger has one charge for each of these orders, in this state and over the order's amount.

        Raises DemoFailed when it has not.
        """
        charges = self._charges()
        for order in orders:
            captured = order.total if state == "CAPTURED" else Decimal(0)
            ledger = [
                (charge["state"], Decimal(charge["authorised"]), Decimal(charge["captured"]))
                for charge in charges
                if charge["order_id"] == order.id
            ]
            if ledger != [(state, order.total, captured)]:
                raise DemoFailed(
                    f"{order.number}: expected one charge, {state} {order.total}, in the ledger of "
                    f"{self.http.base_url}, which has {', '.join(f'{s} {a}' for s, a, _ in ledger) or 'none'}"
                )
            say(f"   {order.number}: charged once, says the provider's ledger: {state} {order.total}")

    def _charges(self) -> list[dict[str, Any]]:
        charges: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            answer = self.http.get("/ledger", params={"after": after}).raise_for_status()
            # Numbers stay the texts they are: a float could change an amount.
            page = json.loads(answer.text, parse_float=str, parse_int=str)
            charges += page["charges"]
            more = page["next_cursor"]
            if more is not None and int(more) <= after:
                raise DemoFailed(f"the ledger of {self.http.base_url} has no end: {more} follows {after}")
            after = None if more is None else int(more)
        return charges


@contextmanager
def borrowed(url: str, show: Show = show_nothing) -> Generator[Provider]:
    """The sandbox at this address; after the block its faults are again those that were on before, also after an error.

    Raises ConfigurationError when the provider at this address is not our sandbox.
    """
    with httpx.Client(base_url=url, transport=BoundedTransport(show)) as http:
        before, began = _faults(http), time.monotonic()
        try:
            yield Provider(http)
        finally:
            _restore(http, before, time.monotonic() - began)


def _faults(http: httpx.Client) -> dict[str, Any]:
    try:
        answer = http.get("/faults")
    except httpx.HTTPError as error:
        raise Unavailable(
            f"nothing answers at {http.base_url} ({error}): `orderdeck up` first, or set ORDERDECK_PAYMENT_URL"
        ) from None
    if not answer.is_success or "drop_rate" not in answer.text:
        raise ConfigurationError(
            f"the payment provider at {http.base_url} has no /faults: only our sandbox fails on demand, "
            "so unset ORDERDECK_PAYMENT_URL"
        )
    return answer.json()


def _restore(http: httpx.Client, before: dict[str, Any], later: float) -> None:
    body = before
    if before["seconds"]:  # 0 means that they do not end by themselves
        left = before["seconds"] - later
        body = before | {"seconds": left} if left > 0 else {}
    try:
        http.post("/faults", json=body).raise_for_status()
    except httpx.HTTPError as error:
        raise Unavailable(
            f"the faults of {http.base_url} could not be switched off ({error}): they end within {AT_MOST:.0f} s"
        ) from None
