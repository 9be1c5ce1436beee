"""What the deck relies on, of the fake gateway that most tests drive and of the real stack alike."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from decimal import Decimal

import msgspec
import pytest

from core.filters.order_query import OrderQuery
from tests.recipes.screen.sales_model import SalesAnswer
from tests.support.fake_gateway import FakeGateway
from tests.support.memory_folder import open_folder
from tests.support.stack import Stack
from tui.feed import Feed
from tui.gateway import CommandAccepted, CommandToSend, Gateway, ServiceRefused, Unreachable
from tui.http_gateway import HttpGateway
from tui.receipts import perform, settle
from tui.viewmodels.audit import PATH as AUDIT
from tui.viewmodels.audit import AuditedActs, AuditModel
from tui.viewmodels.draft import OrderDraft
from tui.viewmodels.ring import Ring
from tui.viewmodels.webhooks import WebhookModel, WebhooksModel, WireWebhook
from tui.wire import WireOrder


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with open_folder("od-deck-") as folder, Stack(folder / "home") as running:
        running.up()
        yield running


@pytest.fixture(params=["fake", "real"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    if request.param == "fake":
        yield FakeGateway()
        return
    stack: Stack = request.getfixturevalue("stack")
    ports = [stack.port(name) for name in ("command", "query")]
    gateway = HttpGateway(*(f"http://127.0.0.1:{port}" for port in ports))
    yield gateway
    await gateway.close()


def draft(**values: str) -> CommandToSend:
    form = OrderDraft()
    form.fill_in_example()
    for name, value in values.items():
        form.set(name, value)
    return CommandToSend("place", None, form.body())


def key() -> str:
    return f"test-{uuid.uuid4()}"


async def placed(desk: Gateway, **values: str) -> CommandAccepted:
    return await desk.send(draft(**values), key=key())


async def has_reached(desk: Gateway, order_id: str, status: str) -> WireOrder:
    async with asyncio.timeout(20):
        while (order := await desk.order(order_id)).status != status:
            await asyncio.sleep(0.01)
    return order


async def test_an_order_that_was_placed_is_read_back_at_once_with_its_history(desk: Gateway) -> None:
    receipt = await perform(desk, draft(customer_id="contract"), key=key(), clock=time.monotonic)
    assert receipt.accepted.status == "CREATED"
    assert receipt.accepted.version == 1
    assert receipt.order is not None
    assert receipt.order.order_number == receipt.accepted.order_number
    assert str(receipt.order.total_amount) == "999.99"
    assert receipt.visible_ms is not None
    history = await desk.timeline(receipt.accepted.subject_id)
    assert (history[0].event_type, history[0].position) == ("OrderCreated", receipt.accepted.position)
    assert {event.order_id for event in history} == {receipt.accepted.subject_id}
    assert (await desk.health()).head >= history[-1].position


async def test_the_same_key_records_once(desk: Gateway) -> None:
    command, same = draft(), key()
    first, again = await desk.send(command, key=same), await desk.send(command, key=same)
    assert (first.replayed, again.replayed) == (False, True)
    assert (first.subject_id, first.position) == (again.subject_id, again.position)


async def test_a_wrong_field_has_the_name_that_the_form_gives_it(desk: Gateway) -> None:
    with pytest.raises(ServiceRefused) as caught:
        await placed(desk, **{"items[0].quantity": "many"})
    assert caught.value.status == 400
    assert "items[0].quantity" in {problem.field for problem in caught.value.errors}
    assert OrderDraft().place(caught.value.errors).keys() == {"items[0].quantity"}
    with pytest.raises(ServiceRefused) as caught:
        await desk.dry_run(draft(customer_id=""))
    assert [problem.field for problem in caught.value.errors] == ["customer_id"]


async def test_a_dry_run_says_what_would_be_recorded_and_records_nothing(desk: Gateway) -> None:
    events = await desk.dry_run(draft())
    assert [event.event_type for event in events] == ["OrderCreated"]
    assert not msgspec.json.decode(events[0].payload)["order_number"]  # the order would get another one
    with pytest.raises(ServiceRefused) as caught:
        await desk.order(events[0].aggregate_id)
    assert caught.value.status == 404


async def test_a_command_that_the_status_does_not_allow_is_refused_in_a_sentence(desk: Gateway) -> None:
    order_id = (await placed(desk)).subject_id
    with pytest.raises(ServiceRefused, match="deliver") as caught:
        await desk.send(CommandToSend("deliver", order_id), key=key())
    assert caught.value.status == 400


async def test_an_order_is_placed_shipped_and_delivered(desk: Gateway) -> None:
    order_id = (await placed(desk)).subject_id
    if isinstance(desk, FakeGateway):
        desk.fulfil(order_id)
    await has_reached(desk, order_id, "CONFIRMED")
    parcel = {"carrier": "dhl", "tracking_number": "T-1"}
    shipped = await perform(desk, CommandToSend("ship", order_id, parcel), key=key(), clock=time.monotonic)
    assert shipped.order is not None
    assert (shipped.order.status, shipped.order.carrier, shipped.order.tracking_number) == ("SHIPPED", "dhl", "T-1")
    delivered = await perform(desk, CommandToSend("deliver", order_id), key=key(), clock=time.monotonic)
    assert delivered.accepted.status == "DELIVERED"
    with pytest.raises(ServiceRefused):
        await desk.send(CommandToSend("cancel", order_id, {"reason": "too late"}), key=key())


async def test_lists_page_both_ways_from_either_end(desk: Gateway) -> None:
    customer = f"pages-{uuid.uuid4()}"
    ids = [(await placed(desk, customer_id=customer)).subject_id for _ in range(7)]
    query = OrderQuery(customer_id=(customer,))
    async with asyncio.timeout(20):
        while (await desk.orders(query)).total != 7:
            await asyncio.sleep(0.01)
    for sort in ("-created_at", "created_at"):
        expected = ids if sort == "created_at" else ids[::-1]
        seen, page = list[str](), await desk.orders(query, sort=sort, limit=3)
        assert page.prev_cursor is None
        while True:
            seen += [order.order_id for order in page.orders]
            if page.next_cursor is None:
                break
            page = await desk.orders(query, cursor=page.next_cursor, sort=sort, limit=3)
        assert seen == expected
        page = await desk.orders(query, cursor=page.prev_cursor, sort=sort, limit=3)
        assert [order.order_id for order in page.orders] == expected[3:6]


async def test_the_desk_says_which_of_some_orders_match(desk: Gateway) -> None:
    mine = [(await placed(desk, customer_id="asked")).subject_id for _ in range(3)]
    other = (await placed(desk, customer_id="other")).subject_id
    nobody = str(uuid.uuid4())
    async with asyncio.timeout(20):
        while len((await desk.orders(OrderQuery(), order_ids=[*mine, other])).orders) != 4:
            await asyncio.sleep(0.01)
    page = await desk.orders(OrderQuery(customer_id=("asked",)), order_ids=[other, *mine[:2], nobody])
    assert sorted(order.order_id for order in page.orders) == sorted(mine[:2])
    for sort in ("-total_amount", "updated_at"):
        assert len((await desk.orders(OrderQuery(), sort=sort, limit=2)).orders) == 2


async def test_a_view_reads_what_only_it_shows_into_a_shape_of_its_own(desk: Gateway) -> None:
    order = await placed(desk)
    if isinstance(desk, FakeGateway):
        day = {"day": "2026-03-14", "currency": "USD", "orders": 1, "cancelled": 0, "revenue": 999.99, "confirmed": 0}
        desk.answers["/api/v1/stats"] = {"days": [day], "head": order.position}
    async with asyncio.timeout(20):
        while not (days := (await desk.read("/api/v1/stats", SalesAnswer)).days):
            await asyncio.sleep(0.01)
    assert days[0].orders >= 1
    assert isinstance(days[0].revenue, Decimal)
    assert not isinstance(desk, FakeGateway) or days[0].revenue == Decimal("999.99")
    with pytest.raises(ServiceRefused) as caught:
        await desk.read("/api/v1/nothing", SalesAnswer)
    assert caught.value.status == 404


async def test_the_feed_goes_on_after_a_position_without_gap_or_duplicate(desk: Gateway) -> None:
    after = (await desk.health()).head
    feed = Feed(desk, Ring(), time.monotonic)
    feed.position = after
    last = after
    for _ in range(3):
        last = (await placed(desk)).position or 0
        async with asyncio.timeout(20), aclosing(feed._follow(feed.position)) as open_feed:
            while feed.position < last:
                await anext(open_feed)
    assert (feed.lost, feed.duplicates, feed.malformed) == (0, 0, 0)
    positions = [frame.position for _, frame in feed.ring.since(0)]
    assert positions == list(range(after + 1, feed.position + 1))
    types = {frame.position: frame.event_type for _, frame in feed.ring.since(0)}
    assert types[last] == "OrderCreated"


async def test_a_position_beyond_the_log_is_refused_as_the_feed_expects(desk: Gateway) -> None:
    with pytest.raises(ServiceRefused) as caught:
        await anext(desk.feed(after=10**9))
    assert caught.value.status == 400


async def test_the_audit_has_each_command_and_is_read_page_by_page_down_to_its_first_row(desk: Gateway) -> None:
    order = await placed(desk)
    with pytest.raises(ServiceRefused):
        await desk.send(CommandToSend("deliver", order.subject_id), key=key())
    model = AuditModel(desk)
    async with asyncio.timeout(20):
        while [row.outcome for row in model.rows] != ["refused", "done"]:
            await model.search({"target": order.subject_id})
    refused, done = model.rows
    assert (done.action, done.status, done.event_position) == ("POST /api/v1/orders", 201, order.position)
    assert (refused.action, refused.status) == ("PUT /api/v1/orders/{order_id}/deliver", 400)
    assert refused.problem
    assert (refused.event_position, done.position < refused.position <= (model.head or 0)) == (0, True)
    assert model.older is None
    seen, before = list[int](), model.head or 0
    while before is not None and len(seen) < 500:
        page = await desk.read(AUDIT, AuditedActs, {"limit": "3", "before": str(before)})
        seen += [row.position for row in page.rows]
        assert page.next_before in (None, seen[-1])
        before = page.next_before
    assert seen == list(range((model.head or 0) - 1, 0, -1))
    with pytest.raises(ServiceRefused, match="outcome") as caught:
        await desk.read(AUDIT, AuditedActs, {"outcome": "maybe"})
    assert caught.value.status == 400


async def test_a_webhook_is_added_changed_and_removed_and_what_cannot_be_is_refused_in_a_sentence(
    desk: Gateway,
) -> None:
    url, model = f"https://shop.example/{uuid.uuid4()}", WebhooksModel(desk)

    async def act(verb: str, id_: str | None = None, **body: object) -> CommandAccepted:
        return await settle(desk, CommandToSend(verb, id_, body, kind="webhook"), key())

    terms = {"url": url, "event_types": ["OrderShipped"], "description": "the shop"}
    made = await act("add", **terms)
    assert made.secret.startswith("whsec_")
    assert (made.status, made.secret in repr(made)) == ("gets OrderShipped from now on", False)
    for wrong, sentence in (
        (terms, "leads there already: rotate its secret"),
        ({**terms, "url": "ftp://shop.example"}, "url: must begin with https://"),
        ({**terms, "event_types": ["Nonsense"]}, "must be a type of event"),
    ):
        with pytest.raises(ServiceRefused, match=sentence):
            await act("add", **wrong)
    changed = await act("change", made.subject_id, event_types=["OrderShipped", "OrderCancelled"], description="shops")
    assert (changed.status, changed.secret) == ("gets OrderShipped, OrderCancelled", "")
    with pytest.raises(ServiceRefused, match="url: must begin with https://"):
        await act("change", made.subject_id, url="ftp://shop.example")
    other = await act("add", **{**terms, "url": f"{url}/other"})
    with pytest.raises(ServiceRefused, match="leads there already"):
        await act("change", other.subject_id, url=url)
    await act("remove", other.subject_id)
    assert (await act("disable", made.subject_id, reason="it moves")).secret == ""

    async def shown() -> WireWebhook:
        await model.read()
        return next(hook for hook in model.webhooks or () if hook.id == made.subject_id)

    hook = await shown()
    wanted = (url, ("OrderShipped", "OrderCancelled"), "shops", False)
    assert (hook.url, hook.event_types, hook.description, hook.enabled) == wanted
    assert hook.disabled_why.endswith(": it moves")
    assert (await act("rotate", made.subject_id, overlap="1h")).secret not in ("", made.secret)
    await act("enable", made.subject_id)
    assert (await shown()).secrets == 2
    await act("replay", made.subject_id, after=0)
    assert (await shown()).position == 0
    with pytest.raises(ServiceRefused, match="after: must be a position"):
        await act("replay", made.subject_id, after=10**9)
    one = WebhookModel(desk, made.subject_id)
    await one.read()
    assert (one.error, one.webhook and one.webhook.url) == ("", url)
    await act("remove", made.subject_id)
    await one.read()
    assert one.is_gone
    with pytest.raises(ServiceRefused) as caught:
        await act("enable", made.subject_id)
    assert caught.value.status == 404


async def test_a_service_that_is_not_there_is_unreachable() -> None:
    nowhere = HttpGateway("http://127.0.0.1:9", "http://127.0.0.1:9")
    for request in (nowhere.health(), nowhere.send(draft(), key=key()), anext(nowhere.feed(after=0))):
        with pytest.raises(Unreachable):
            await request
    await nowhere.close()
