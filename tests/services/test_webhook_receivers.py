"""Receivers that hang, fail, never end or break off get their messages again, and delay no other receiver."""

from __future__ import annotations

import pytest

from core.adapters.postgres.connection import Connection
from tests.support.notifying import PostOffice, until
from tests.support.webhook_receiver import Receiver, answer


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/500", "answered 500: sorry, we are·closed"),
        ("/301", "answered 301, and redirects are not followed"),
        ("/hang", "it has not answered within 1 s"),
        ("/endless-headers", ""),
        ("/hangs-up", ""),
        ("/no-http", ""),
    ],
)
async def test_a_receiver_that_does_not_take_a_message_gets_it_again_under_the_same_id(
    office: PostOffice, shop: Receiver, admin: Connection, path: str, said: str
) -> None:
    shop.answers = {
        "/500": answer(500, body="sorry,\r\nwe are\x1bclosed"),
        "/301": answer(301, f"Location: {shop.url('/elsewhere')}"),
    }
    hook, _ = await office.add(shop.url(path))
    async with office.running():
        await office.record()
        await until(lambda: office.results)
        await until(lambda: office.tried(hook, 1))
        (delivery,) = await office.deliveries(hook)
        assert (delivery.state, delivery.tries) == ("waiting", 1)
        assert delivery.error
        assert said in delivery.error
        assert delivery.due_at is not None
        assert delivery.tried_at is not None
        assert 4 < (delivery.due_at - delivery.tried_at).total_seconds() < 6
        await admin.execute("UPDATE webhook_deliveries SET due_at = now()")
        await until(lambda: len(shop.at(path)) == 2)
    assert len({each.id for each in shop.received}) == 1
    assert shop.at("/elsewhere") == []


@pytest.mark.parametrize("path", ["/endless", "/drip", "/breaks-off"])
async def test_an_answer_counts_by_its_status_whatever_its_body_does(
    office: PostOffice, shop: Receiver, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("core.adapters.webhooks.sender.BODY_WITHIN", 0.3)
    hook, _ = await office.add(shop.url(path))
    async with office.running():
        await office.record()
        await until(lambda: office.hooks.deliveries(hook, state="delivered"))
        await until(lambda: shop.open == 0)
    assert len(shop.received) == 1


async def test_receivers_that_hang_delay_no_other_and_get_one_call_at_a_time(
    office: PostOffice, shop: Receiver
) -> None:
    for number in range(20):
        await office.add(shop.url("/hang") + f"?{number}")
    await office.add(shop.url("/fast"))
    async with office.running():
        await office.record(30)
        await until(lambda: len(shop.at("/fast")) == 30, seconds=3)
        await until(lambda: sum(each.state == "waiting" for each in office.results) >= 20)
        await office.record(10)
        await until(lambda: len(shop.at("/fast")) == 40, seconds=3)
    assert shop.most_open["/fast"] <= 8


async def test_a_webhook_that_takes_too_little_holds_back_its_own_events_only(
    office: PostOffice, shop: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.adapters.postgres.webhook_calls.MOST_WAITING", 10)
    hook, _ = await office.add(shop.url("/hang"))
    await office.add(shop.url("/fast"))
    async with office.running():
        for events in (15, 15):
            await office.record(events)
            await until(lambda: office.caught_up(but=hook))
        found = await office.hooks.one(hook)
        assert found is not None
        assert (found.waiting, found.behind) == (15, 15)
