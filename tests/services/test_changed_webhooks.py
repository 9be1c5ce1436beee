"""A webhook that is changed keeps its secret and its position, and what waits is sent to where it leads then."""

from __future__ import annotations

import uuid

import pytest
from standardwebhooks import Webhook as Verifier

from core.adapters.postgres.connection import Connection
from core.ports.webhooks import TEST, CallResult, WebhookChange
from core.services.webhooks import change_webhook, found, replay_events
from tests.support.locks import while_it_waits
from tests.support.notifying import HERE, PostOffice, until
from tests.support.webhook_receiver import Receiver


async def test_a_changed_webhook_keeps_its_position_and_sends_what_waits_to_its_new_address_at_once(
    office: PostOffice, shop: Receiver, admin: Connection
) -> None:
    hook, secret = await office.add(shop.url("/old"))
    await office.calls.plan(await office.lead())
    await office.record(2)
    await office.calls.plan(await office.lead())
    await admin.execute("UPDATE webhook_deliveries SET due_at = now() + '10 h'")
    await send_at_leisure(office, hook)
    moved = await change_webhook(office.hooks, hook, WebhookChange(url=shop.url("/new"), description="moved"), HERE)
    assert (moved.position, moved.waiting, moved.event_types, moved.description) == (2, 3, (), "moved")
    async with office.running():
        await until(lambda: len(shop.at("/new")) == 3)
    assert shop.at("/old") == []
    for one in shop.received:
        Verifier(secret).verify(one.body, dict(one.headers))


async def test_a_changed_filter_forgets_what_waits_of_other_types_and_a_replay_sends_it_after_all(
    office: PostOffice, shop: Receiver
) -> None:
    hook, _ = await office.add(shop.url())
    await office.calls.plan(await office.lead())
    await office.record()
    await office.calls.plan(await office.lead())
    await send_at_leisure(office, hook)
    other = await change_webhook(office.hooks, hook, WebhookChange(event_types=("OrderShipped",)), HERE)
    assert (other.waiting, other.position) == (1, 1)  # the test
    await office.record()
    await office.calls.plan(await office.lead())
    every = await change_webhook(office.hooks, hook, WebhookChange(event_types=()), HERE)
    assert (every.waiting, every.position, every.event_types) == (1, 2, ())
    again = await replay_events(office.hooks, hook, 0)
    assert again.behind == 2
    await office.calls.plan(await office.lead())
    assert (await office.hooks.deliveries(hook))[0].position == 2


async def test_what_the_address_of_before_still_answers_neither_disables_a_changed_webhook_nor_puts_anything_off(
    office: PostOffice, shop: Receiver
) -> None:
    hook, _ = await office.add(shop.url("/old"))
    await office.calls.plan(await office.lead())
    await office.record(2)
    await office.calls.plan(await office.lead())
    gone, late = await office.calls.due({}, 8, [])
    await change_webhook(office.hooks, hook, WebhookChange(url=shop.url("/new")), HERE)
    await office.calls.save(
        [
            CallResult(gone, "failed", 410, "answered 410", gone=True),
            CallResult(late, "waiting", 500, "answered 500", again=3_600),
        ]
    )
    now = await found(office.hooks, hook)
    assert (now.enabled, now.failed) == (True, 1)
    assert [call.url for call in await office.calls.due({}, 8, [])] == [shop.url("/new")]


@pytest.mark.parametrize("says", ["gone", "later"])
async def test_what_the_old_address_says_does_nothing_when_the_webhook_is_changed_in_that_moment(
    office: PostOffice, shop: Receiver, admin: Connection, says: str
) -> None:
    hook, _ = await office.add(shop.url("/old"))
    await office.calls.plan(await office.lead())
    await office.record()
    await office.calls.plan(await office.lead())
    (call,) = await office.calls.due({}, 8, [])
    gone = CallResult(call, "failed", 410, "answered 410", gone=True)
    later = CallResult(call, "waiting", 500, "answered 500", again=3_600)
    saving = office.calls.save([gone if says == "gone" else later])
    async with while_it_waits(saving, admin, "UPDATE webhooks SET url = $2 WHERE id = $1", hook, shop.url("/new")):
        pass
    assert (await found(office.hooks, hook)).enabled
    due = [one.url for one in await office.calls.due({}, 8, [])]
    assert due == ([] if says == "gone" else [shop.url("/new")])


async def send_at_leisure(office: PostOffice, hook: str) -> None:
    """A test that waits, since no notifier runs."""
    await office.hooks.send(hook, uuid.uuid4(), TEST, {})
