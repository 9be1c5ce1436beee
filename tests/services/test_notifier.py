"""The notifier sends each event to each webhook that wants it, at least once, and one bad receiver delays no other."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace
from standardwebhooks import Webhook as Verifier
from uuid_utils.compat import uuid7

from core import tracing
from core.adapters.postgres.clock import DatabaseClock
from core.adapters.postgres.connection import Connection
from core.adapters.postgres.dead_letters import PostgresDeadLetters
from core.adapters.postgres.webhook_calls import PLAN
from core.domain.message import Metadata, StreamId
from core.ports.dead_letters import DeadLetterSearch
from core.ports.log import Append, Entry, NewEvent
from core.ports.webhook_sender import Answered
from core.ports.webhooks import TRIES_AFTER, DueCall
from core.services.dead_letters import LetterDesk, try_out
from core.services.notifier import result_of
from core.services.open_answers import KEPT
from core.services.seal import SealingStore
from core.services.webhooks import disable_webhook, enable_webhook, replay_events, rotate_secret, send_test
from tests.support.fake_tracer import GIVEN, FakeTracer
from tests.support.log import stream
from tests.support.notifying import PostOffice, until
from tests.support.opener import Opener
from tests.support.samples import created
from tests.support.webhook_receiver import Receiver, answer


async def test_an_event_is_sent_once_signed_with_its_id_and_what_the_query_api_shows_of_it(
    office: PostOffice, shop: Receiver
) -> None:
    await office.record()
    hook, secret = await office.add(shop.url())
    async with office.running():
        await office.record(2)
        await until(lambda: len(shop.received) == 2)
        await until(lambda: office.hooks.deliveries(hook, state="delivered"))
    assert len(shop.received) == 2, "what was recorded before the webhook was added is not sent"
    for position, received in enumerate(shop.received, start=2):
        document = Verifier(secret).verify(received.body, dict(received.headers))
        assert document["type"] == "StockReplenished"
        assert document["timestamp"] == document["data"]["timestamp"]
        assert document["data"]["position"] == position
        assert document["data"]["event_id"] == received.id
        assert received.headers["content-type"] == "application/json"
        assert received.headers["host"] == f"127.0.0.1:{shop.port}"


async def test_a_webhook_is_a_span_in_the_trace_of_its_event_and_its_receiver_is_told_of_it(
    office: PostOffice, shop: Receiver
) -> None:
    await office.add(shop.url())
    metadata = Metadata(correlation_id=uuid7(), traceparent=GIVEN)
    entry = Entry(StreamId(created.order_id), "order", 0, [NewEvent(uuid7(), created, metadata)])
    await office.store.append(Append([entry]))
    tracing.use(tracer := FakeTracer())
    async with office.running():
        await until(lambda: shop.received)
        await until(office.caught_up)
    [span] = tracer.spans
    assert (span.name, span.parent, span.ended, span.error) == ("webhook", GIVEN, True, "")
    assert span.notes == {"orderdeck.tries": 0, "http.response.status_code": 200}
    assert shop.received[0].headers["traceparent"] == span.traceparent


async def test_a_webhook_gets_only_the_types_of_events_that_it_wants(office: PostOffice, shop: Receiver) -> None:
    await office.add(shop.url("/all"))
    await office.add(shop.url("/some"), "OrderShipped", "StockAdjusted")
    async with office.running():
        await office.record(3)
        await until(lambda: len(shop.at("/all")) == 3)
        await until(office.caught_up)
    assert shop.at("/some") == []


async def test_a_secret_that_is_replaced_still_signs_until_its_overlap_ends(office: PostOffice, shop: Receiver) -> None:
    hook, old = await office.add(shop.url())
    new = (await rotate_secret(office.hooks, hook, overlap=timedelta(hours=1))).secret
    newest = (await rotate_secret(office.hooks, hook, overlap=timedelta(hours=1))).secret
    async with office.running():
        await office.record()
        await until(lambda: shop.received)
        last = (await rotate_secret(office.hooks, hook, overlap=timedelta(0))).secret
        await office.record()
        await until(lambda: len(shop.received) == 2)
    first, second = shop.received
    assert signs(first.body, first.headers, (old, new, newest, last)) == [False, True, True, False]
    assert signs(second.body, second.headers, (old, new, newest, last)) == [False, False, False, True]


def signs(body: bytes, headers: object, secrets: tuple[str, ...]) -> list[bool]:
    said: list[bool] = []
    for secret in secrets:
        try:
            Verifier(secret).verify(body, dict(headers))  # type: ignore[call-overload]
        except Exception:  # noqa: BLE001 - whatever it raises, it does not verify
            said.append(False)
        else:
            said.append(True)
    return said


async def test_410_disables_the_webhook_and_nothing_more_is_sent_until_it_is_enabled(
    office: PostOffice, shop: Receiver
) -> None:
    shop.answers["/gone"] = answer(410)
    hook, _ = await office.add(shop.url("/gone"))
    async with office.running():
        await office.record()
        await until(lambda: office.disabled(hook))
        await office.record(2)
        await asyncio.sleep(0.5)
        assert len(shop.received) == 1
        del shop.answers["/gone"]
        assert (await send_test(office.hooks, hook)).state == "delivered", "a test is sent also while it is disabled"
        assert (await enable_webhook(office.hooks, hook)).position == 3
        await office.record()
        await until(lambda: {each.document["data"].get("position") for each in shop.received} >= {1, 4} or None)
        assert {each.document["data"].get("position") for each in shop.received} == {None, 1, 4}
        await replay_events(office.hooks, hook, 1)
        await until(lambda: {each.document["data"].get("position") for each in shop.received} >= {2, 3})


async def test_an_operator_stops_and_starts_a_webhook_and_what_waited_goes_on(
    office: PostOffice, shop: Receiver
) -> None:
    hook, _ = await office.add(shop.url())
    await office.calls.plan(await office.lead())
    await office.record()
    await office.calls.plan(await office.lead())
    stopped = await disable_webhook(office.hooks, hook, why="ana: the shop moves")
    assert (stopped.enabled, stopped.disabled_why, stopped.waiting) == (False, "ana: the shop moves", 1)
    async with office.running():
        await office.record()
        await asyncio.sleep(0.3)
        assert shop.received == []
        await enable_webhook(office.hooks, hook)
        await until(lambda: shop.received)
        await until(office.caught_up)
    assert [each.document["data"]["position"] for each in shop.received] == [1]


async def test_a_look_that_finds_no_new_event_writes_nothing(
    office: PostOffice, shop: Receiver, opener: Opener
) -> None:
    connection = await opener()

    async def writes() -> bool:
        async with connection.transaction():
            await connection.fetchrow(PLAN, await office.lead(), 500, 10)
            return await connection.fetchval("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")

    await office.record()
    assert [await writes() for _ in range(2)] == [True, False]
    await office.add(shop.url())
    assert [await writes() for _ in range(2)] == [False, False], "it begins with the next event"
    await office.record()
    assert [await writes() for _ in range(2)] == [True, False]
    await connection.close()


async def test_what_is_sent_again_from_a_position_has_the_ids_that_it_had(office: PostOffice, shop: Receiver) -> None:
    hook, _ = await office.add(shop.url())
    async with office.running():
        await office.record(3)
        await until(lambda: len(shop.received) == 3)
        await until(office.caught_up)
        first = [each.id for each in shop.received]
        await replay_events(office.hooks, hook, 1)
        await until(lambda: len(shop.received) == 5)
        await until(office.caught_up)
    assert {each.id for each in shop.received[3:]} == set(first[1:])


async def test_a_message_that_is_given_up_is_a_dead_letter_which_is_retried_or_skipped(
    office: PostOffice, shop: Receiver, admin: Connection, opener: Opener
) -> None:
    shop.answers["/moody"] = answer(500)
    hook, _ = await office.add(shop.url("/moody"))
    letters = PostgresDeadLetters(opener)
    search = DeadLetterSearch(reader=f"notifier.{hook}")
    async with office.running():
        await office.record(2)
        await until(lambda: office.tried(hook, 1))
        await admin.execute(f"UPDATE webhook_deliveries SET tries = {len(TRIES_AFTER)}, due_at = now()")
        await until(lambda: _letters(letters, search, 2))
        one, other = await letters.find(search)
        assert (one.event_type, one.position, one.tries) == ("StockReplenished", 1, len(TRIES_AFTER) + 1)
        assert one.error == "answered 500"
        assert one.retry_at is None
        tried = await try_out(LetterDesk(office.store, letters, DatabaseClock(office.link)), one)
        assert (tried.applied, tried.error[:16]) == (0, "only a call tell")
        before = one.tries
        await letters.retry([one.id])
        await until(lambda: _tries(letters, search, before + 1))
        del shop.answers["/moody"]
        await letters.retry([one.id])
        await until(lambda: _letters(letters, search, 1))
        await letters.skip(other.id, by="ana", reason="nobody wants it")
        await until(lambda: _letters(letters, search, 0))
        await replay_events(office.hooks, hook, 0)
        await until(office.caught_up)
    states = {each.position: each.state for each in await office.deliveries(hook)}
    assert states == {1: "delivered", 2: "skipped"}
    letters.close()


async def _letters(letters: PostgresDeadLetters, search: DeadLetterSearch, count: int) -> bool:
    return len(await letters.find(search)) == count


async def _tries(letters: PostgresDeadLetters, search: DeadLetterSearch, tries: int) -> bool:
    return (await letters.find(search))[0].tries == tries


async def test_an_erased_customer_is_erased_in_what_is_sent_again(office: PostOffice, shop: Receiver) -> None:
    hook, _ = await office.add(shop.url())
    sealing = SealingStore(office.store, office.keys)
    new = NewEvent(uuid7(), created, Metadata(correlation_id=created.order_id))
    await sealing.append(Append([Entry(StreamId(created.order_id), "order", 0, [new])]))
    async with office.running():
        await until(lambda: shop.received)
        pseudonym = await office.keys.find(created.customer_id)
        assert pseudonym is not None
        await office.keys.destroy(pseudonym)
        await asyncio.sleep(KEPT)
        await until(office.caught_up)
        await replay_events(office.hooks, hook, 0)
        await until(lambda: len(shop.received) == 2)
    before, after = (each.document["data"]["payload"] for each in shop.received)
    assert (before["customer_id"], after["customer_id"]) == (created.customer_id, "erased")
    assert before["shipping_address"]["street"] == created.shipping_address.street
    assert after["shipping_address"]["street"] == "erased"


async def test_a_notifier_that_lost_the_lead_sends_nothing_more(office: PostOffice, shop: Receiver) -> None:
    await office.add(shop.url())
    epoch, stop = await office.lead("one"), asyncio.Event()
    await office.take_over("two", "one")
    await office.record()
    await asyncio.wait_for(office.notifier().run(epoch, stop), 5)
    assert stop.is_set()
    assert shop.received == []


def test_the_pauses_are_those_of_the_specification_and_a_receiver_may_ask_for_longer_ones() -> None:
    call = DueCall(
        delivery_id=stream(), webhook_id="wh_1", url="", secrets=(), message_id=stream(), message_type="OrderShipped",
        tries=0, created_at=datetime.now(UTC), event=None, data="{}",
    )  # fmt: skip

    pauses = [result_of(replace(call, tries=n), Answered(500), lambda: 0.0) for n in range(10)]
    hours = [each.again / 3600 for each in pauses]
    assert hours == [5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24, 0]
    assert [each.state for each in pauses] == ["waiting"] * 9 + ["failed"]
    assert result_of(call, Answered(500), lambda: 1.0).again == pytest.approx(5.5)
    assert result_of(call, Answered(429, wait=60), lambda: 0.0).again == 60
    assert result_of(call, Answered(503, wait=1e9), lambda: 0.0).again == 24 * 3600
    assert result_of(replace(call, tries=2), Answered(503, wait=1), lambda: 0.0).again == 1800
    assert result_of(replace(call, message_type="webhook.test"), Answered(500)).state == "failed"
    assert {result_of(call, Answered(200, taken=True)).state} == {"delivered"}
