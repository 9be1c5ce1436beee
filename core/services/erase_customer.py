"""Erase: records that a customer is erased, and then destroys the key with which the customer's data is sealed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from core.domain.sealed_customer import (
    CUSTOMER,
    EraseCustomer,
    SealedCustomer,
    check_erasure,
    customer_of,
    customer_stream,
)
from core.ports.customer_keys import CustomerKeys
from core.ports.log import Answer, EventStore, Result
from core.sealing import reference_of
from core.services.execute import Outcome, Terms, answered_before, execute
from core.services.open_answers import KEPT


async def erase(
    store: EventStore, keys: CustomerKeys, customer_id: str, reason: str, now: datetime, terms: Terms
) -> Outcome:
    """Erase a customer, who is named as in orders or by the pseudonym. Raises what `run_command` raises.

    The act is recorded first. If the key is not destroyed then, because the process dies, `verify` says so, and the
    same command destroys it. This returns when no process remembers the key any more, so that no answer after it shows
    what was sealed. The outcome says how many orders of the customer stay as they are, since they were recorded in the
    clear: as many as the read models have.
    """
    check_erasure(customer_id, reason)
    customer = await keys.find(customer_id)
    in_clear = await keys.orders_in_the_clear(await _own_reference(keys, customer_id, customer))
    if customer is None:
        known = await answered_before(store, terms)
        nothing = {"customer": None, "status": "NOTHING_SEALED", "orders_in_the_clear": in_clear}
        return known or Outcome(Answer(Result.DONE, None, 0, 0, nothing))
    command = EraseCustomer(now=now, customer=customer, by=terms.user_id or "anonymous", reason=reason)

    def described(_: SealedCustomer) -> tuple[Result, Mapping[str, Any]]:
        return Result.DONE, {"customer": customer, "status": "ERASED", "orders_in_the_clear": in_clear}

    stream = customer_stream(customer)
    outcome = await execute(store, CUSTOMER, stream, command, terms, described, correlation_id=customer)
    if outcome.preview is None:
        destroyed = await keys.destroy(customer)
        await asyncio.sleep(KEPT if destroyed else 0)
    return outcome


async def _own_reference(keys: CustomerKeys, given: str, customer: UUID | None) -> str:
    """The reference of a customer who may be named by a pseudonym; once it is destroyed, the pseudonym itself."""
    if customer is None or customer_of(given) != customer:
        return given
    key = (await keys.read([customer])).get(customer)
    return given if key is None else reference_of(key)
