"""A service that is broken or hostile cannot crash the deck, fill its memory or keep it waiting."""

from __future__ import annotations

import json
import time
import tracemalloc
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.filters.order_query import OrderQuery
from core.printable import clean
from core.terminal_text import money
from tests.support.hostile_service import (
    CHUNK,
    DRIPPING,
    ENDLESS,
    ENDLESS_LINE,
    NINES,
    OSC,
    HostileService,
    answer,
    bomb,
    hostile_bodies,
    hostile_service,
)
from tui import http_gateway
from tui.feed import Feed
from tui.gateway import CommandToSend, GatewayError
from tui.http_gateway import HttpGateway
from tui.viewmodels.fold import TimelineState, changes, evolve
from tui.viewmodels.ring import Ring
from tui.viewmodels.stream import StreamModel, decode
from tui.viewmodels.text import plain, pretty
from tui.viewmodels.timeline import Timeline, summary
from tui.wire import WireEvent, WireOrder

MOST_MEMORY = 120 * 1024 * 1024  # bytes; an answer may have 16 MiB, and is in memory as parts and as a whole

ORDER = {
    "order_id": "o", "order_number": "ORD-1", "customer_id": "c", "status": "CREATED", "total_amount": 1,
    "currency": "USD", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "version": 1,
}  # fmt: skip
EVENT = {
    "event_type": "OrderCreated", "position": 1, "aggregate_id": "o", "aggregate_type": "order",
    "timestamp": "2026-01-01T00:00:00Z", "version": 1, "payload": {},
}  # fmt: skip


@pytest.fixture
def service() -> Iterator[HostileService]:
    with hostile_service() as running:
        yield running


@pytest.fixture
async def gateway(service: HostileService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HttpGateway]:
    monkeypatch.setattr(http_gateway, "ANSWER_WITHIN", 1.0)
    gateway = HttpGateway(service.url, service.url)
    yield gateway
    await gateway.close()


def requests(gateway: HttpGateway) -> dict[str, Callable[[], Awaitable[object]]]:
    command = CommandToSend("confirm", "o")
    return {
        "orders": lambda: gateway.orders(OrderQuery()),
        "order": lambda: gateway.order("o"),
        "timeline": lambda: gateway.timeline("o"),
        "health": gateway.health,
        "send": lambda: gateway.send(command, key="k"),
        "dry run": lambda: gateway.dry_run(command),
    }


async def shown(request: Awaitable[object]) -> object:
    """What the deck gets: an answer, or an error that it shows."""
    try:
        return await request
    except GatewayError as error:
        return error


async def test_whatever_a_service_answers_the_deck_has_an_order_or_an_error_of_its_own(
    service: HostileService, gateway: HttpGateway
) -> None:
    bodies = {f"{key}: {what}": body for key in ORDER for what, body in hostile_bodies(ORDER, key).items()}
    for what, body in bodies.items():
        service.will(answer(body, Connection="close"))
        order = await shown(gateway.order("o"))
        if isinstance(order, WireOrder):
            assert len(money(order.total_amount, order.currency)) < 3_000, what
            assert clean(order.order_id).isprintable(), what
    for name, request in requests(gateway).items():
        for what, body in hostile_bodies({"events": [EVENT], "head": 1, "readers": []}, "head").items():
            service.will(answer(body, Connection="close"))
            assert len(str(await shown(request()))) < 1_000, (name, what)


@pytest.mark.parametrize("what", ["bomb", "endless", "dripping"])
async def test_an_answer_without_end_or_that_would_unpack_to_gigabytes_is_given_up(
    service: HostileService, gateway: HttpGateway, what: str
) -> None:
    match what:
        case "bomb":
            service.will(bomb(150))
        case "endless":
            service.will(ENDLESS, CHUNK)
        case _:
            service.will(DRIPPING, b" ", 0.05)
    tracemalloc.start()
    try:
        for name, request in list(requests(gateway).items())[: 6 if what == "bomb" else 1]:
            began = time.monotonic()
            with pytest.raises(GatewayError):
                await request()
            assert time.monotonic() - began < 20, name
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


async def test_a_feed_whose_line_never_ends_is_given_up(service: HostileService, gateway: HttpGateway) -> None:
    service.will(ENDLESS_LINE, b"x" * 65536)
    feed = Feed(gateway, Ring(), time.monotonic)
    with pytest.raises(GatewayError, match="without an end"):
        async for _ in feed._follow(0):
            pass


async def test_a_history_that_never_ends_or_runs_backwards_is_given_up(
    service: HostileService, gateway: HttpGateway
) -> None:
    service.will(answer({"events": [{**EVENT, "position": n + 1} for n in range(1_000)]}, Connection="close"))
    with pytest.raises(GatewayError, match="not in the order of the log"):
        await gateway.timeline("o")


async def test_an_id_that_is_no_name_is_asked_for_as_it_is(service: HostileService, gateway: HttpGateway) -> None:
    service.will(answer(ORDER, Connection="close"))
    for name in ["../../x", "a/b?c#d", OSC, "\ud800", "9" * 5_000_000, "", "東京", "%2e%2e"]:
        assert await shown(gateway.order(name))


# --- the feed's frames --------------------------------------------------------------------------------------
def taken(*frames: bytes) -> tuple[Feed, StreamModel]:
    ring = Ring()
    gateway: Any = None
    feed = Feed(gateway, ring, time.monotonic)
    for frame in frames:
        feed.take(frame)
    model = StreamModel(ring)
    return feed, model


@pytest.mark.parametrize("id_", [NINES, NINES + "9", "9" * 100_000, str(2**63), "-1", "1.5", "[]", "\u0661", ""])
def test_a_frame_whose_number_no_log_has_is_counted_and_not_taken_in(id_: str) -> None:
    feed, _ = taken(f"id: {id_}\ndata: {{}}".encode())
    assert (feed.malformed, feed.lost, feed.position) == (1, 0, None)
    feed, _ = taken(f'event: skipped\ndata: {{"before": {id_ or "x"}, "count": {id_ or "x"}}}'.encode())
    assert feed.malformed == 1
    assert f"{feed.lost:,}" == "0"


def test_types_of_events_without_number_and_length_fill_no_memory() -> None:
    frames = [b"id: %d\nevent: %d%s\ndata: {}" % (n, n, b"x" * 10_000) for n in range(1, 3_000)]
    feed, model = taken(*frames)
    model.absorb(list(feed.ring.since(0)))
    assert len(model.types) <= 501
    assert max(map(len, (frame.event_type for _, frame in feed.ring.since(0)))) <= 100


# --- what is painted ----------------------------------------------------------------------------------------
HOSTILE_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(
        [OSC, int(NINES), Decimal("1e999999"), Decimal("NaN"), Decimal("sNaN"), Decimal(NINES), "x" * 10_000]
    )
    | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(["sku", "name", OSC]), children, max_size=3)
    ),
    max_leaves=6,
)
NAMES = [
    "items", "amount", "currency", "reason", "sku", "quantity", "total_amount", "name", "step", "error", "order_number",
    "shipping_address", "customer_id", "carrier", "tracking_number", "requested", "available", "retry_at", "open_items",
    "direction", "attempt", "created_at", "payment_method", "deadline", "by",
]  # fmt: skip
TYPES = [
    "OrderCreated", "OrderConfirmed", "OrderCancelled", "OrderShipped", "OrderDelivered", "InventoryReserved",
    "InventoryReservationFailed", "InventoryReleased", "InventoryShipped", "PaymentAuthorized", "PaymentFailed",
    "PaymentCaptured", "PaymentCaptureFailed", "PaymentVoided", "PaymentRefunded", "SagaStarted", "SagaStepStarted",
    "SagaStepCompleted", "SagaStepFailed", "SagaCompensationStarted", "SagaFailed", "SagaResolved", OSC,
]  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from(NAMES), HOSTILE_VALUES, max_size=8), st.sampled_from(TYPES))
def test_an_event_of_any_type_with_any_payload_is_shown_as_safe_text(payload: dict[str, Any], event_type: str) -> None:
    raw = msgspec.json.Encoder(decimal_format="number").encode({name: safe(value) for name, value in payload.items()})
    category = event_type[:4].lower() if event_type.startswith("Saga") else "order"
    event = WireEvent(
        event_type=event_type,
        position=1,
        aggregate_id="o",
        aggregate_type=category,
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        version=1,
        payload=msgspec.Raw(raw),
    )
    shown = [summary(event), *pretty(raw), *(plain(value) for value in payload.values())]
    state = evolve(TimelineState(), event)
    shown += [line.now for line in changes(TimelineState(), state)]
    timeline = Timeline()
    timeline.take([event])
    shown += [line.now for line in timeline.state_at()]
    for line in shown:
        assert not {unicodedata.category(character) for character in line} & {"Cc", "Cf", "Cs", "Zl", "Zp"}, line


def safe(value: Any) -> Any:
    """The value as JSON can have it."""
    match value:
        case Decimal() if not value.is_finite():
            return str(value)
        case int() if abs(value) > 2**63:
            return Decimal(value)
        case list():
            return [safe(each) for each in value]
        case dict():
            return {name: safe(each) for name, each in value.items()}
        case _:
            return value


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (Decimal("1e999999"), "1e+999999"),
        (Decimal(NINES), "1.00000e+4300"),
        (Decimal("NaN"), "NaN"),
        (Decimal("1e-999999"), "1e-999999"),
    ],
)
def test_an_amount_that_no_currency_has_is_shown_short(amount: Decimal, shown: str) -> None:
    assert money(amount, "USD") == f"{shown} USD"


def test_a_document_that_is_deep_and_wide_is_shown_in_part() -> None:
    raw = b"[" * 900 + b"0," * 400_000 + b"0" + b"]" * 900
    tracemalloc.start()
    try:
        lines = pretty(raw)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert len(lines) < 2_100
    assert decode(json.dumps(EVENT).encode()) is not None
    assert decode(raw) is None
