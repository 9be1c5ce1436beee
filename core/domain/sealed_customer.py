"""Sealed customer: one whose data is sealed, whom the log names by a pseudonym only, and who may be erased."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from core.domain.decider import Decider
from core.domain.message import Command, Event, StreamId
from core.domain.validation import Fields, is_blank, unreadable

PSEUDONYM = "sealed:"
"""What a customer's pseudonym begins with. A UUID follows, which is also the id of the customer's stream."""

ERASED = "erased"
"""What is shown instead of anything that was sealed with a key that is destroyed."""

UNREADABLE = "unreadable"
"""What is shown instead of something sealed that does not fit its key, as when somebody has changed it."""


class CustomerErased(Event, tag="CustomerErased", frozen=True, kw_only=True):
    """An operator has had the customer's key destroyed, so that nobody can read what was sealed with it."""

    customer: UUID
    by: str
    reason: str


EVENTS: tuple[type[CustomerErased], ...] = (CustomerErased,)


class EraseCustomer(Command, frozen=True, kw_only=True):
    customer: UUID
    by: str
    reason: str


class SealedCustomer(Struct, frozen=True, kw_only=True):
    erased: bool = False


def evolve(_: SealedCustomer, _event: CustomerErased) -> SealedCustomer:
    return SealedCustomer(erased=True)


def decide(command: EraseCustomer, customer: SealedCustomer) -> Sequence[CustomerErased]:
    check_erasure(str(command.customer), command.reason)
    if customer.erased:
        return []
    return [CustomerErased(customer=command.customer, by=command.by, reason=command.reason)]


def check_erasure(customer_id: str, reason: str) -> None:
    """Raises InvalidInput. The reference may be one that an earlier release took and that no order may have today."""
    fields = Fields()
    blank = "must not be blank" if is_blank(customer_id) else None
    fields.check("customer_id", blank or unreadable(customer_id, 100))
    fields.text("reason", reason, 500)
    fields.done()


def customer_stream(pseudonym: UUID) -> StreamId:
    return StreamId(pseudonym)


def pseudonym_of(customer: UUID) -> str:
    """What stands in an event in the place of the customer's own reference."""
    return f"{PSEUDONYM}{customer}"


def customer_of(reference: str) -> UUID | None:
    """The customer, if the reference is a pseudonym."""
    if not reference.startswith(PSEUDONYM):
        return None
    try:
        return UUID(reference.removeprefix(PSEUDONYM))
    except ValueError:
        return None


CUSTOMER = Decider(category="customer", initial=SealedCustomer(), decide=decide, evolve=evolve)
