"""Erase: records that a customer is erased, and then destroys the key with which the customer's data is sealed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from core.domain.sealed_customer import CUSTOMER, EraseCustomer, SealedCustomer, check_reason, customer_stream
from core.ports.customer_keys import CustomerKeys
from core.ports.log import Answer, EventStore, Result
from core.services.execute import Outcome, Terms, answered_before, execute


async def erase(
    store: EventStore, keys: CustomerKeys, customer_id: str, reason: str, now: datetime, terms: Terms
) -> Outcome:
    """Erase a customer, who is named as in orders or by the pseudonym. Raises what `run_command` raises.

    The act is recorded first. If the key is not destroyed then, because the process dies, `verify` says so, and the
    same command destroys it.
    """
    check_reason(reason)
    customer = await keys.find(customer_id)
    if customer is None:
        known = await answered_before(store, terms)
        return known or Outcome(Answer(Result.DONE, None, 0, 0, {"customer": None, "status": "NOTHING_SEALED"}))
    command = EraseCustomer(now=now, customer=customer, by=terms.user_id or "anonymous", reason=reason)

    def described(_: SealedCustomer) -> tuple[Result, Mapping[str, Any]]:
        return Result.DONE, {"customer": customer, "status": "ERASED"}

    stream = customer_stream(customer)
    outcome = await execute(store, CUSTOMER, stream, command, terms, described, correlation_id=customer)
    if outcome.preview is None:
        await keys.destroy(customer)
    return outcome
