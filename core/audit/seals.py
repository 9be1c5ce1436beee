"""Seals: whether everything that is sealed in the log stands where it was sealed, and opens with its customer's key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from core.codec import StoredEvent
from core.domain.order import OrderCreated
from core.domain.sealed_customer import pseudonym_of
from core.ports.evidence import Evidence, Finding
from core.sealing import Seal, seals_of


class SealedPart(NamedTuple):
    """Something sealed, which stands where it belongs, and the event that has it."""

    stored: StoredEvent
    seal: Seal


def look_at_seals(stored: StoredEvent, event: OrderCreated) -> tuple[Sequence[SealedPart], Sequence[str]]:
    """The sealed parts that may open where they stand, and a sentence about each that was put there from elsewhere."""
    try:
        seals = list(seals_of(event))
    except ValueError as error:
        return [], [f"what is sealed in {stored.event_type} was changed: {error}"]
    wrong: list[str] = []
    parts: list[SealedPart] = []
    for seal in seals:
        if not seal.stands_in(event.order_id, stored.event_id):
            where = f"event {seal.event_id}" + (f" of order {seal.order_id}" if seal.order_id else "")
            wrong.append(f"{seal.field} was sealed for {where}, and does not open here")
        elif pseudonym_of(seal.pseudonym) != event.customer_id:
            wrong.append(f"{seal.field} is sealed with the key of {pseudonym_of(seal.pseudonym)}, another customer")
        else:
            parts.append(SealedPart(stored, seal))
    return parts, wrong


async def unopened(evidence: Evidence, parts: Sequence[SealedPart]) -> Sequence[Finding]:
    """A finding about each part that does not open, although its customer's key is there."""
    if not parts:
        return []
    keys = await evidence.customer_keys({part.seal.pseudonym for part in parts})
    findings: list[Finding] = []
    for stored, seal in parts:
        try:
            if (key := keys.get(seal.pseudonym)) is not None:
                seal.open(key)
        except ValueError as error:
            what = f"what is sealed in {stored.event_type} was changed, or its key was: {error}"
            findings.append(Finding("I2", what, stored.stream, stored.position))
    return findings
