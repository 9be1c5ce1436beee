"""The ends that an order may come to, checked against all its events and the ledger of the payment provider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Event = Mapping[str, Any]

# Of each end: how the order's sagas ended, the state of its charge, and (reserved, released, shipped) of each SKU.
ALLOWED: Mapping[str, Sequence[tuple[Mapping[str, str], set[str | None], set[tuple[int, int, int]]]]] = {
    "CONFIRMED": [({"fulfil_order": "SagaCompleted"}, {"AUTHORISED"}, {(1, 0, 0)})],
    "SHIPPED": [
        ({"fulfil_order": "SagaCompleted", "settle_order": "SagaCompleted"}, {"CAPTURED"}, {(1, 0, 1)}),
    ],
    "CANCELLED": [
        ({"fulfil_order": "SagaCompensated"}, {None, "DECLINED", "VOIDED"}, {(0, 0, 0), (1, 1, 0)}),
        ({"fulfil_order": "SagaCompleted", "unwind_order": "SagaCompleted"}, {"VOIDED"}, {(1, 1, 0)}),
    ],
}


def end_of(story: Sequence[Event], charge: Mapping[str, Any] | None) -> str:
    """Return the end of the order, after a check that it is allowed and that money, stock, sagas and order agree."""
    kinds = Counter(event["event_type"] for event in story)
    assert all(kinds[kind] <= 1 for kind in kinds if kind.startswith(("Order", "Payment"))), kinds
    assert not {"OrderCancelled", "OrderShipped"} <= kinds.keys(), kinds
    assert not {"PaymentCaptured", "PaymentVoided"} <= kinds.keys(), kinds
    if kinds["OrderCancelled"]:
        end = "CANCELLED"
    else:
        end = "SHIPPED" if kinds["OrderShipped"] else "CONFIRMED"
        assert kinds["OrderConfirmed"] == 1, kinds
    state = charge["state"] if charge else None
    for sagas, states, moves in ALLOWED[end]:
        if sagas == _saga_ends(story):
            assert state in states, (end, state)
            assert _stock_moves(story) <= moves, (end, _stock_moves(story))
            break
    else:
        raise AssertionError(f"{end}, and its sagas {_saga_ends(story)}")
    if charge:
        total = story[0]["payload"]["total_amount"]
        taken = (charge["authorised"], charge["captured"], charge["refunded"])
        held = 0 if state == "DECLINED" else total
        assert taken == (held, total if end == "SHIPPED" else 0, 0), (end, taken)
    return end


def story_lines(story: Sequence[Event]) -> list[str]:
    """A line of text for each event; that of a saga begins with the saga's name and has its step, try and error."""
    names = _saga_names(story)
    lines: list[str] = []
    for event in story:
        words, payload = [event["event_type"]], event["payload"]
        if event["aggregate_type"] == "saga":
            words = [names[event["aggregate_id"]], event["event_type"].removeprefix("Saga")]
            words += [str(payload[name]) for name in ("step", "attempt", "error", "reason") if payload.get(name)]
            words += ["final"] if payload.get("final") else []
        lines.append(" ".join(words))
    return lines


def _saga_ends(story: Sequence[Event]) -> dict[str, str]:
    """How each saga ended, by its name."""
    names = _saga_names(story)
    return {names[event["aggregate_id"]]: event["event_type"] for event in story if event["aggregate_type"] == "saga"}


def _stock_moves(story: Sequence[Event]) -> set[tuple[int, int, int]]:
    """How often each SKU was reserved, released and shipped for the order."""
    counts: dict[str, Counter[str]] = {item["sku"]: Counter() for item in story[0]["payload"]["items"]}
    for event in story:
        if event["aggregate_type"] == "inventory":
            counts[event["payload"]["sku"]][event["event_type"]] += 1
    kinds = ("InventoryReserved", "InventoryReleased", "InventoryShipped")
    return {(each[kinds[0]], each[kinds[1]], each[kinds[2]]) for each in counts.values()}


def _saga_names(story: Sequence[Event]) -> dict[str, str]:
    """The sagas' names by their ids."""
    return {event["aggregate_id"]: event["payload"]["name"] for event in story if event["event_type"] == "SagaStarted"}
