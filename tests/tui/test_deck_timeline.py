from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from tests.support.deck_harness import desk_with
from tests.support.fake_gateway import FakeGateway
from tui.dialogs.event import _facts, _payload
from tui.viewmodels.fold import TimelineState, fold
from tui.viewmodels.statuses import STATUS_AFTER, STATUSES, after_event, legal, status_cell
from tui.viewmodels.timeline import Timeline, failed, summary
from tui.viewmodels.track import track
from tui.wire import WireEvent, WireNewerEvent, payload_of


def history(*, declined: bool = False) -> list[WireEvent]:
    gateway = FakeGateway()
    order_id = gateway.place(1, quantity=2)
    gateway.fulfil(order_id, declined=declined)
    return [e for e in map(gateway._wire_event, gateway.log) if e.order_id == order_id]


def text_of(timeline: Timeline, width: int) -> str:
    return "".join(cell.text for cell in track(timeline, width))


def test_the_state_after_each_event_is_the_fold_of_the_events_before() -> None:
    events = history()
    states = fold(events)
    for n in range(len(events)):
        assert states[n] == fold(events[: n + 1])[-1]
    assert states[0].lines["status"] == "CREATED"
    assert states[-1].lines == {
        "status": "CONFIRMED",
        "number": "ORD-0000000001",
        "customer": "customer-001",
        "total": "1,999.98 USD",
        "lines": "1   LAPTOP-001×2",
        "pays by": "card",
        "fulfil_order": "COMPLETED",
        "stock LAPTOP-001": "2 reserved",
        "payment": "authorised 1,999.98 USD",
    }


def test_a_declined_payment_shows_the_stock_that_was_released() -> None:
    lines = fold(history(declined=True))[-1].lines
    assert lines["status"] == "CANCELLED"
    assert lines["payment"] == "failed 1,999.98 USD: card_declined"
    assert lines["stock LAPTOP-001"] == "2 released"
    assert lines["fulfil_order"] == "COMPENSATED"


def test_the_state_shows_what_an_event_changed_and_the_value_before() -> None:
    timeline = Timeline()
    timeline.take(history())
    timeline.go(next(n for n, e in enumerate(timeline.events) if e.event_type == "OrderConfirmed"))
    changed = {line.label: (line.before, line.now) for line in timeline.state_at() if line.before is not None}
    assert changed == {"status": ("CREATED", "CONFIRMED")}


@given(st.permutations(range(7)), st.integers(1, 6))
def test_events_arrive_in_any_order_and_any_number_of_times(order: list[int], cut: int) -> None:
    events = history()
    timeline = Timeline()
    timeline.take(events[n] for n in order[:cut])
    timeline.take(events[n] for n in order)
    assert not timeline.take(events)
    assert timeline.events == events
    assert [timeline.state(n) for n in range(len(events) + 1)] == [TimelineState(), *fold(events)]
    assert timeline.live


def test_an_event_chosen_in_the_past_stays_chosen_when_others_arrive() -> None:
    events = history()
    timeline = Timeline()
    timeline.take(events[1:4])
    timeline.go(1)
    timeline.take(events)
    assert timeline.current == events[2]
    assert not timeline.live


def test_the_scrubber_shows_each_event_once_and_shortens_long_gaps() -> None:
    timeline = Timeline()
    timeline.take(history())
    assert text_of(timeline, 80) == "├●─·─▪─·┄38.0s┄$─●─◉┤"
    timeline.go(4)
    assert text_of(timeline, 80) == "├●─·─▪─·┄38.0s┄◉─●─·┤"


@given(st.integers(0, 299), st.integers(10, 120))
def test_the_scrubber_fits_and_shows_the_chosen_event(at: int, width: int) -> None:
    first = history()[0]
    timeline = Timeline()
    timeline.take(msgspec.structs.replace(first, position=n) for n in range(300))
    timeline.go(at)
    assert cell_len(text_of(timeline, width)) <= width
    assert "◉" in text_of(timeline, width)


def test_a_key_jumps_to_the_next_change_of_status() -> None:
    timeline = Timeline()
    timeline.take(history())
    timeline.go(0)
    timeline.next_status(1)
    assert timeline.current is not None
    assert timeline.current.event_type == "OrderConfirmed"
    timeline.next_status(1)
    assert timeline.current.event_type == "OrderConfirmed"
    timeline.next_status(-1)
    assert timeline.at == 0


def test_every_event_type_of_a_failure_is_pinned() -> None:
    kinds = ("PaymentFailed", "InventoryReservationFailed", "SagaStepFailed", "SagaCompensationFailed", "SagaFailed")
    assert all(failed(kind) for kind in kinds)
    assert not any(failed(kind) for kind in STATUS_AFTER)


def test_an_order_follows_its_events_and_ignores_older_ones() -> None:
    gateway = desk_with(2)
    order_id = list(gateway.views)[1]
    events = [e for e in map(gateway._wire_event, gateway.log) if e.aggregate_id == order_id]
    confirmed = gateway.views[order_id]
    assert after_event(confirmed, events[0]) is confirmed
    assert confirmed.status == "CONFIRMED"


def test_each_status_has_a_glyph_beside_its_word_and_its_legal_transitions() -> None:
    assert len({status_cell(status).text[0] for status in STATUSES}) == len(STATUSES)
    assert {status: [t.verb for t in legal(status)] for status in STATUSES} == {
        "CREATED": ["confirm", "cancel"],
        "CONFIRMED": ["ship", "cancel"],
        "SHIPPED": ["deliver"],
        "DELIVERED": [],
        "CANCELLED": [],
    }
    assert status_cell("HELD").text == "? HELD"


@given(
    st.sampled_from(
        [*STATUS_AFTER, "InventoryReserved", "InventoryReservationFailed", "PaymentFailed", "SagaStepFailed", "X"]
    ),
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["items", "sku", "amount", "reason", "name", "step"]), inner, max_size=4)
        ),
        max_leaves=8,
    ),
)
def test_a_payload_of_any_shape_is_folded_and_shown_on_one_line(event_type: str, payload: object) -> None:
    base = history()[0]
    category = "saga" if event_type.startswith("Saga") else "order"
    raw = msgspec.Raw(msgspec.json.encode(payload))
    event = msgspec.structs.replace(base, event_type=event_type, aggregate_type=category, payload=raw)
    lines = [summary(event), *fold([event])[0].lines.values()]
    assert all("\n" not in line and "\x1b" not in line for line in lines)


def test_money_in_a_payload_stays_exact() -> None:
    event = msgspec.structs.replace(history()[0], payload=msgspec.Raw(b'{"total_amount": 9999999999.99}'))
    assert str(payload_of(event)["total_amount"]) == "9999999999.99"
    assert payload_of(msgspec.structs.replace(event, payload=msgspec.Raw(b"[1]"))) == {}
    assert isinstance(payload_of(event)["total_amount"], Decimal)


@pytest.mark.parametrize(
    ("method", "shown"),
    [
        ("card", "card"), ({"type": "card"}, "card"), ({"type": "card", "label": "Visa 4242"}, "Visa 4242 (card)"),
        ({"type": "card", "label": ""}, "card"), ({"label": "\x1b[31mred"}, "·[31mred (–)"), (None, "–"), ([], "[]"),
    ],
)  # fmt: skip
def test_an_order_says_what_it_is_paid_with_in_every_shape_of_its_event(method: object, shown: str) -> None:
    [created, *_] = history()
    event = replace(created, payload=msgspec.Raw(msgspec.json.encode({"payment_method": method})))
    assert fold([event])[0].lines["pays by"] == shown


def test_the_dialog_of_an_event_says_in_which_shape_it_is_stored_and_in_which_it_is_shown() -> None:
    [event, *_] = history()
    for schema_version, said in ((0, "version 1"), (1, "version 1"), (2, "version 1, shown as version 2")):
        facts = dict(_facts(replace(event, event_version=1, schema_version=schema_version)))
        assert facts["schema"] == said


def test_the_dialog_of_an_event_that_is_no_longer_recorded_shows_the_events_as_which_it_counts() -> None:
    [event, *_] = history()
    became = [
        {"event_type": "StockReplenished", "schema_version": 4, "payload": {"quantity": 10}},
        {"event_type": "Stock\x1b[31mAdjusted", "schema_version": 1, "payload": {"quantity": -3}},
    ]
    newer = msgspec.json.decode(msgspec.json.encode(became), type=tuple[WireNewerEvent, ...])
    counted = replace(event, payload=msgspec.Raw(b'{"came": 10, "broken": 3}'), became=newer)
    shown = ["".join(cell.text for cell in line) for line in _payload(counted)]
    assert shown == [
        "{", '  "came": 10,', '  "broken": 3', "}", "",
        "counts as StockReplenished, version 4", "{", '  "quantity": 10', "}", "",
        "counts as Stock·[31mAdjusted, version 1", "{", '  "quantity": -3', "}",
    ]  # fmt: skip
    many = replace(counted, became=counted.became * 20)
    assert "".join(cell.text for cell in _payload(many)[-1]) == "and as 20 more"
    assert [cell.text for line in _payload(event) for cell in line if "counts as" in cell.text] == []
