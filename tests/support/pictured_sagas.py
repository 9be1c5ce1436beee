"""Sagas as the query API answers them, for pictures: done, under way, undoing, stuck."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from core.pictures.shapes import PicturedSaga, WireLane, WireMoney, WireOpen, WireStock, WireTry

BEGAN = datetime(2026, 11, 26, 21, 2, 29, tzinfo=UTC)
HOLDS = WireOpen(
    money=WireMoney(Decimal("1299.00"), "USD"),
    stock=(WireStock("LAPTOP-001", 1),),
    items=("1299.00 USD may be authorised", "1 x LAPTOP-001 may be held"),
)
NO_ANSWER = "the payment provider answered 503"


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def tried(start: float, end: float | None, outcome: str = "ok", attempt: int = 1, **other: object) -> WireTry:
    """A try between two seconds since the saga began; without an end it is under way."""
    retry_at = other.pop("retry_at", None)
    return WireTry(
        attempt=attempt,
        started_at=at(start),
        ended_at=None if end is None else at(end),
        outcome=outcome,
        retry_at=at(retry_at) if isinstance(retry_at, (int, float)) else None,
        **other,  # pyright: ignore[reportArgumentType]
    )


def lane(step: str, does: str, undo: str | None, *tries: WireTry, **other: object) -> WireLane:
    fields = {"status": "DONE", "undo_status": "NOT_NEEDED"} | other
    return WireLane(step=step, does=does, undo=undo, tries=tries, **fields)  # pyright: ignore[reportArgumentType]


def saga(name: str, status: str, *lanes: WireLane, **other: object) -> PicturedSaga:
    fields: dict[str, object] = {"started_at": BEGAN, "updated_at": at(0.35), "order_number": "ORD-7KX2M9QA3C"}
    return PicturedSaga(
        saga_id="519e1318-3463-50a2-8414-a303cbd422c0",
        order_id="01a20e94-6be2-751e-a360-bd6fe21c743b",
        name=name,
        status=status,
        lanes=lanes,
        **(fields | other),  # pyright: ignore[reportArgumentType]
    )


OPENED = lane("open_order", "open the order", "cancel the order", tried(0, 0))
RESERVED = lane("reserve_inventory", "reserve the stock", "release the stock", tried(0, 0.02))

DONE = saga(
    "fulfil_order",
    "COMPLETED",
    OPENED,
    RESERVED,
    lane("authorize_payment", "authorise the payment", "void the payment", tried(0.02, 0.33)),
    lane("confirm_order", "confirm the order", None, tried(0.33, 0.35)),
)

UNDER_WAY = saga(
    "fulfil_order",
    "RUNNING",
    OPENED,
    RESERVED,
    lane(
        "authorize_payment",
        "authorise the payment",
        "void the payment",
        tried(0.02, None, "running"),
        status="RUNNING",
        open=("1299.00 USD may be authorised",),
    ),
    lane("confirm_order", "confirm the order", None, status="PENDING"),
    state="running",
    step="authorize_payment",
    claimed=True,
    held_by="saga-runner-4120",
    lease_until=at(30),
    deadline=at(360),
    open=HOLDS,
)

UNDOING = saga(
    "fulfil_order",
    "COMPENSATING",
    lane(
        "open_order",
        "open the order",
        "cancel the order",
        tried(0, 0),
        undo_status="PENDING",
        open=("order ORD-7KX2M9QA3C is not cancelled",),
    ),
    lane(
        "reserve_inventory",
        "reserve the stock",
        "release the stock",
        tried(0, 0.21),
        undo_status="PENDING",
        open=("1 x LAPTOP-001 may be held",),
    ),
    lane(
        "authorize_payment",
        "authorise the payment",
        "void the payment",
        tried(0.21, 1.6),
        tried(40, 40.4, "failed", 1, direction="backward", error=NO_ANSWER, retry_at=41.4),
        tried(41.4, 42, "failed", 2, direction="backward", error=NO_ANSWER, retry_at=53),
        undo_status="RUNNING",
        open=("1299.00 USD may be authorised",),
    ),
    lane(
        "confirm_order",
        "confirm the order",
        None,
        tried(1.6, 2, "failed", error="the order was cancelled", final=True),
        status="FAILED",
    ),
    state="retrying",
    step="authorize_payment",
    attempts=2,
    last_error=NO_ANSWER,
    updated_at=at(42),
    deadline=at(330),
    next_attempt_at=at(53),
    open=HOLDS,
)

PAUSES = [0.5 * 2**n for n in range(10)]
VOIDS = [
    tried(begun, begun + 0.2, "failed", n + 1, error=NO_ANSWER, retry_at=begun + 0.2 + PAUSES[n], final=n == 9)
    for n in range(10)
    for begun in [sum(PAUSES[:n]) + 0.2 * n]
]

STUCK = saga(
    "unwind_order",
    "FAILED",
    lane(
        "void_payment",
        "void the payment",
        None,
        *VOIDS,
        status="FAILED",
        open=("1299.00 USD may be authorised",),
    ),
    lane(
        "release_inventory",
        "release the stock",
        None,
        status="PENDING",
        open=("1 x LAPTOP-001 may be held",),
    ),
    state="failed",
    step="void_payment",
    attempts=10,
    last_error=NO_ANSWER,
    updated_at=at(258),
    open=HOLDS,
)

SCENES = {
    "done": (DONE, at(900)),
    "under_way": (UNDER_WAY, at(3.2)),
    "undoing": (UNDOING, at(45)),
    "stuck": (STUCK, at(9_300)),
}
