"""The words that an operator types into the stream: what to show of it, and where to go in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from core.filters.log_places import place_in_log
from core.filters.words import FilterError
from tests.support.deck_harness import desk_with
from tui.gateway import Unreachable
from tui.viewmodels.event_filter import parse_events
from tui.viewmodels.event_search import understood
from tui.viewmodels.ring import RingFrame

ORDER, SAGA = "01960000-0000-7000-8000-00000000000a", "0196ffff-0000-5000-8000-98ae2ce0c8f8"
EVENTS = {
    1: ("OrderCreated", "order", ORDER, {"note": 'Grüße aus "Köln"'}, "ada"),
    2: ("SagaStarted", "saga", SAGA, {"name": "fulfil_order"}, None),
    3: ("PaymentFailed", "payment", "0196aaaa-0000-7000-8000-000000000003", {"reason": "CARD_declined"}, "bob"),
    4: ("PaymentAuthorized", "payment", "0196aaaa-0000-7000-8000-000000000004", {"amount": "19.99"}, "adam"),
}  # fmt: skip


def frame(position: int) -> RingFrame:
    name, category, stream, payload, by = EVENTS[position]
    event = {
        "event_id": f"0196bbbb-0000-7000-8000-00000000000{position}", "event_type": name, "aggregate_id": stream,
        "aggregate_type": category, "payload": payload, "position": position,
        "metadata": {"correlation_id": ORDER if position < 4 else "other", "user_id": by},
    }  # fmt: skip
    return RingFrame(position, name, json.dumps(event, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", [1, 2, 3, 4]),
        ("type:payment", [3, 4]),
        ("TYPE:PaymentF", [3]),
        ("type:*failed", [3]),
        ("type:order,saga", [1, 2]),
        ("-type:payment", [1, 2]),
        ("type:payment -type:*failed", [4]),
        ("category:pay", [3, 4]),
        ("category:order,saga", [1, 2]),
        ("by:ada", [1, 4]),
        ("by:*a", [1]),
        ("-by:ada", [2, 3]),
        (f"order:{ORDER.upper()}", [1, 2, 3]),
        (f"stream:{SAGA}", [2]),
        (f"stream:saga-{SAGA}", [2]),
        ("stream:saga-98ae2ce0c8f8", [2]),
        ("stream:ae2ce0c8f8", [2]),
        ("card_DECLINED", [3]),
        ("grüße", [1]),
        ("GRÜSSE", []),
        ('"aus \\"KÖLN"', [1]),
        ('"grüße aus"', [1]),
        ("aus", [1]),
        ('type="paymentfailed"', [3]),
        ("fulfil -zzz", [2]),
        ("-fulfil -card", [1, 4]),
        ("0196bbbb-0000-7000-8000-000000000004", [4]),
        ("  type:payment   19.99 ", [4]),
    ],
)
def test_a_filter_lets_through_the_events_that_fit(text: str, fits: list[int]) -> None:
    choice = parse_events(text)
    assert [n for n in EVENTS if choice.takes(frame(n))] == fits
    assert choice.everything == (not text.strip())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("typ:x", "no field typ: did you mean type:?"),
        ("zzz:x", "no field zzz: there are type, category, stream, order, by"),
        ("type>x", "type cannot be compared: write type:x"),
        ('by:"ada', "a quotation mark is not closed"),
        ("type:", "type: needs a value"),
        ("type:,", "type: "),
        ("category:money", "no category money: there are order, inventory, payment, saga"),
        ("category:paymnt", "no category paymnt: did you mean payment?"),
        ("category:o,x", "no category x"),
        ("stream:abc", "stream:abc is too short: an id, or at least its last 6 characters"),
        ("order:1", "order:1 is neither an order number nor an order's id"),
        ("x" * 5_000, "the filter has 5,000 characters"),
    ],
)
def test_a_filter_that_is_none_is_answered_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(FilterError, match=r"^" + sentence.replace("?", r"\?")):
        parse_events(text)


@pytest.mark.parametrize(
    ("text", "params", "searches"),
    [
        ("", {}, False),
        ("type:payment,*failed category:order", {"type": "payment*,*failed", "category": "order"}, False),
        (f"order:{ORDER}", {"order_id": ORDER}, False),
        (f"stream:{SAGA} type:saga", {"stream_id": SAGA, "type": "saga*"}, False),
        ("stream:ce0c8f8", {}, True),
        ("type:a type:b", {"type": "a*"}, True),
        ("-type:a", {}, True),
        ("type:a? by:ada", {}, True),
        ("type:a text", {"type": "a*"}, True),
    ],
)
def test_what_the_service_can_select_it_is_asked_to_select(text: str, params: dict[str, str], searches: bool) -> None:  # noqa: FBT001
    choice = parse_events(text)
    assert (choice.params(), choice.searches) == (params, searches)
    assert choice.hiding(frozenset({"A"})).searches


async def test_a_number_becomes_its_order_and_an_id_what_it_is_the_id_of() -> None:
    gateway = desk_with(9)
    first = gateway.log[0]
    found = await understood(gateway, parse_events("order:ord-0000000000"))
    assert found.choice.params() == {"order_id": first["aggregate_id"]}
    for asked, field in ((first["aggregate_id"], "order_id"), (gateway.log[2]["aggregate_id"], "stream_id")):
        assert (await understood(gateway, parse_events(asked))).choice.params() == {field: asked}
    milliseconds = int(datetime.fromisoformat(gateway.log[5]["timestamp"]).timestamp() * 1_000)
    gateway.log[5]["event_id"] = event_id = (
        f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7abc-8abc-0123456789ab"
    )
    assert (await understood(gateway, parse_events(event_id))).position == 6
    assert (await understood(gateway, parse_events(str(uuid4())))).position is None
    with pytest.raises(FilterError, match="there is no order ORD-NOBODY"):
        await understood(gateway, parse_events("order:ord-nobody"))
    with pytest.raises(FilterError, match=r"^no type of event is like paymentfaild: did you mean PaymentFailed\?$"):
        await understood(gateway, parse_events("type:PaymentFaild"))
    assert not any(parse_events("order:ord-nobody").takes(frame(n)) for n in EVENTS)
    gateway.queries_down = Unreachable("desk.test does not answer")
    assert (await understood(gateway, parse_events("type:Later"))).choice == parse_events("type:later")
    with pytest.raises(Unreachable):
        await understood(gateway, parse_events("order:ord-0000000000"))


NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("10:42", "2026-03-13T10:42"),
        ("9:05", "2026-03-14T09:05"),
        ("09:26:53", "2026-03-14T09:26:53"),
        ("10:42pm", "2026-03-13T22:42"),
        ("12:05 AM", "2026-03-14T00:05"),
        ("2026-03-14 10:42", "2026-03-14T10:42"),
        ("2026-03-14T10:42Z", "2026-03-14T10:42"),
        ("2026-03-14T10:42:11.5+02:00", "2026-03-14T08:42:11.500"),
        ("2026-03-14", "2026-03-14T00:00"),
        ("14.3.2026 8:00", "2026-03-14T08:00"),
        ("yesterday 18:00", "2026-03-13T18:00"),
        ("today", "2026-03-14T00:00"),
        ("now", "2026-03-14T09:26:53"),
        ("-5m", "2026-03-14T09:21:53"),
        ("5 min ago", "2026-03-14T09:21:53"),
        ("-1.5h", "2026-03-14T07:56:53"),
        ("2 days ago", "2026-03-12T09:26:53"),
        ("#48201330", 48201330),
        ("48,201,330", 48201330),
        ("12", 12),
    ],
)
def test_a_place_in_the_log_is_understood_as_people_write_it(text: str, place: str | int) -> None:
    expected = place if isinstance(place, int) else datetime.fromisoformat(place).replace(tzinfo=UTC)
    assert place_in_log(text, NOW) == expected


@pytest.mark.parametrize(
    "text",
    ["", "25:00", "13:00pm", "2026-02-30", "tomorrow", "#x", "-999999w", "#9999999999999999999", "10:42 +99:99"],
)
def test_a_place_that_is_none_is_answered_with_a_sentence(text: str) -> None:
    with pytest.raises(FilterError, match=r"^[^\n]{10,200}$"):
        place_in_log(text, NOW)
