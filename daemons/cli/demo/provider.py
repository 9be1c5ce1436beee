"""The demo's hand on the payment sandbox: switches its faults, reads its ledger, and leaves it as it was."""

# ruff: noqa: T201 - it tells its story to a terminal
from __future__ import annotations

import json
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from core.errors import ConfigurationError, Unavailable
from daemons.cli.demo.customer import DemoFailed, DemoOrder

AT_MOST = 180.0  # seconds; a demo that was killed by force leaves no provider behind that fails for ever


@dataclass(frozen=True)
class Provider:
    http: httpx.Client

    def switch(self, **faults: float) -> None:
        """Switch these on, and all others off."""
        body = {**faults, "seconds": AT_MOST} if faults else {}
        self.http.post("/faults", json=body).raise_for_status()
        said = "  ".join(f"{name} {value}" for name, value in faults.items() if name != "seed")
        print(f"   POST {self.http.base_url}/faults  {said or 'all off'}", flush=True)

    def has_charged_once(self, orders: Sequence[DemoOrder], state: str) -> None:
        """Tell what its ledger says of these orders; raises DemoFailed unless that is one charge each, as expected."""
        charges = self._charges()
        for order in orders:
            found = [charge for charge in charges if charge["order_id"] == order.id]
            taken = order.total if state == "CAPTURED" else Decimal(0)
            said = [(each["state"], Decimal(each["authorised"]), Decimal(each["captured"])) for each in found]
            if said != [(state, order.total, taken)]:
                raise DemoFailed(
                    f"{order.number}: expected one charge, {state} {order.total}, in the ledger of "
                    f"{self.http.base_url}, which has {', '.join(f'{s} {a}' for s, a, _ in said) or 'none'}"
                )
            print(f"   {order.number}: charged once, says the provider's ledger: {state} {order.total}")

    def _charges(self) -> list[dict[str, Any]]:
        charges: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            answer = self.http.get("/ledger", params={"after": after}).raise_for_status()
            page = json.loads(answer.text, parse_float=str, parse_int=str)  # money is never a float
            charges += page["charges"]
            after = page["next_cursor"]
        return charges


@contextmanager
def borrowed(url: str) -> Generator[Provider]:
    """The sandbox at this address; what was switched on before is switched on again afterwards, whatever happens.

    Raises ConfigurationError when that is no sandbox of ours.
    """
    with httpx.Client(base_url=url, trust_env=False) as http:
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
    if before["seconds"]:  # 0: they do not end by themselves
        left = before["seconds"] - later
        body = before | {"seconds": left} if left > 0 else {}
    try:
        http.post("/faults", json=body).raise_for_status()
    except httpx.HTTPError as error:
        raise Unavailable(
            f"the faults of {http.base_url} could not be switched off ({error}): they end within {AT_MOST:.0f} s"
        ) from None
