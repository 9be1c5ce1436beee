"""Webhooks over HTTP: an admin adds one, and the notifier, which is killed again and again, sends it every event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook as Verifier

from core.adapters.postgres.embedded import EmbeddedPostgres
from tests.support.command_api import CommandApi, command_api, problem
from tests.support.daemon_process import DaemonProcess
from tests.support.notifying import until
from tests.support.webhook_receiver import Receiver, answer, receiver

PATH = "/api/v1/admin/webhooks"
NETWORKS = {"ORDERDECK_WEBHOOK_NETWORKS": "127.0.0.0/8"}
FAILPOINTS = ", ".join(
    f"notifier.{point}=0.1" for point in ("mid_transaction", "after_plan", "after_call", "after_record")
)


@pytest.fixture(scope="module")
async def api(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CommandApi]:
    async with command_api(postgres, template, tmp_path_factory.mktemp("api"), NETWORKS) as ready:
        yield ready


@pytest.fixture
async def shop() -> AsyncIterator[Receiver]:
    async with receiver() as ready:
        yield ready


async def add(api: CommandApi, **body: Any) -> dict[str, Any]:
    made = await api.http.post(PATH, json=body)
    assert made.status_code == 201, made.text
    assert made.headers["cache-control"] == "no-store"
    return made.json()


async def act(api: CommandApi, hook: str, what: str, body: Any = None) -> httpx.Response:
    """`what`: /rotate, /disable, /enable, /replay, /test or /remove."""
    return await api.http.post(f"{PATH}/{hook}/{what}", json=body, headers={"Orderdeck-Actor": "ana"})


async def test_an_admin_adds_changes_rotates_disables_enables_replays_and_removes_a_webhook(api: CommandApi) -> None:
    made = await add(api, url="https://shop.example/a", event_types=["OrderShipped"], description="the shop")
    hook = made["id"]
    assert made["secret"].startswith("whsec_")
    assert (made["enabled"], made["event_types"], made["behind"]) == (True, ["OrderShipped"], 0)
    other = await add(api, url="https://shop.example/other")
    changed = (await act(api, hook, "change", {"url": "https://shop.example/b", "event_types": []})).json()
    assert (changed["url"], changed["event_types"], changed["description"]) == (
        "https://shop.example/b",
        [],
        "the shop",
    )
    assert (changed["position"], changed["secrets"], "secret" in changed) == (made["position"], 1, False)
    problem(await act(api, hook, "change", {"url": other["url"]}), 400, "not_allowed")
    problem(await act(api, hook, "change", {"url": "ftp://shop.example"}), 400, "validation_failed", "url")
    problem(await act(api, hook, "change", {"event_types": ["Nope"]}), 400, "validation_failed", "event_types[0]")
    for inside in ("https://[::ffff:10.1.2.3]", "https://2852039166"):
        problem(await act(api, hook, "change", {"url": inside}), 400, "validation_failed", "url")
    problem(await act(api, "wh_none", "change", {}), 404, "not_found")
    back = {"url": made["url"], "event_types": made["event_types"]}
    assert (await act(api, hook, "change", back)).json()["event_types"] == ["OrderShipped"]
    rotated = await act(api, hook, "rotate", {"overlap": "1h"})
    assert rotated.json()["secret"] not in (made["secret"], None)
    assert rotated.json()["secrets"] == 2
    stopped = await api.http.post(
        f"{PATH}/{hook}/disable", json={"reason": "it moves"}, headers={"Orderdeck-Actor": "ana"}
    )
    assert (stopped.json()["enabled"], stopped.json()["disabled_why"]) == (False, "ana: it moves")
    await api.placed_order()
    started = await act(api, hook, "enable")
    assert (started.json()["enabled"], started.json()["behind"]) == (True, 0)
    replayed = await act(api, hook, "replay", {"after": 0})
    assert (replayed.json()["position"], replayed.json()["behind"]) == (0, await api.head())
    problem(await act(api, hook, "replay", {"after": 10**6}), 400, "validation_failed", "after")
    problem(await act(api, hook, "rotate", {"overlap": "31d"}), 400, "validation_failed", "overlap")
    problem(await api.http.post(PATH, json={"url": "https://shop.example/a"}), 400, "not_allowed")
    removed = await act(api, hook, "remove")
    assert "secret" not in removed.json()
    problem(await act(api, hook, "remove"), 404, "not_found")
    problem(await act(api, "x" * 300, "enable"), 404, "not_found")
    problem(await act(api, "a%00b", "enable"), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": 7}, "url"),
        ({"url": "https://user:pass@shop.example"}, "url"),
        ({"url": "https://10.1.2.3/"}, "url"),
        ({"url": "http://0xa9fea9fe/latest/meta-data"}, "url"),
        ({"url": "https://shop.example", "event_types": ["Nonsense"]}, "event_types[0]"),
        ({"url": "https://shop.example", "event_types": ["OrderShipped"] * 2}, "event_types"),
        ({"url": "https://shop.example", "description": "two\nlines"}, "description"),
    ],
)
async def test_a_webhook_that_cannot_be_is_refused(api: CommandApi, body: dict[str, Any], field: str) -> None:
    problem(await api.http.post(PATH, json=body), 400, "validation_failed", field)
    problem(await api.http.post(f"{PATH}?dry_run=true", json=body), 400, "validation_failed", "dry_run")


async def test_a_notifier_that_is_killed_anywhere_sends_every_event_under_one_id(
    api: CommandApi, shop: Receiver, tmp_path: Path
) -> None:
    made = await add(api, url=shop.url("/orders"))
    before = await api.head()
    notifier = DaemonProcess("notifier", api.dsn, tmp_path, {**NETWORKS, "ORDERDECK_FAILPOINTS": FAILPOINTS})
    notifier.start()
    deaths = 0
    for n in range(200):
        if n >= 12 and deaths:
            break
        await api.placed_order()
        if notifier.process is not None and notifier.process.poll() is not None:
            deaths += 1
            notifier.start()
        await asyncio.sleep(0.1)
    notifier.kill()
    steady = DaemonProcess("notifier", api.dsn, tmp_path, NETWORKS)
    steady.start()
    try:
        wanted = set(range(before + 1, await api.head() + 1))
        await until(lambda: {one.document["data"]["position"] for one in shop.at("/orders")} >= wanted, seconds=30)
    finally:
        steady.kill()
    assert deaths > 0, notifier.output()
    ids: dict[int, set[str]] = {}
    for one in shop.at("/orders"):
        document = Verifier(made["secret"]).verify(one.body, dict(one.headers))
        ids.setdefault(document["data"]["position"], set()).add(one.id)
    assert set(ids) == wanted
    assert all(len(each) == 1 for each in ids.values())


async def test_a_second_notifier_stands_by_and_takes_over_and_a_test_says_what_came_of_it(
    api: CommandApi, shop: Receiver, tmp_path: Path
) -> None:
    shop.answers["/closed"] = answer(503, body="closed on Sundays")
    good, bad = [await add(api, url=shop.url(path)) for path in ("/good", "/closed")]
    pair = [DaemonProcess("notifier", api.dsn, tmp_path / name, NETWORKS) for name in ("one", "two")]
    for one in pair:
        one.home.mkdir()
        one.start()
    try:
        for one in pair:
            await until(lambda one=one: _ready(one), seconds=30)
        sent = (await act(api, good["id"], "test")).json()
        assert (sent["state"], sent["status"], sent["message_type"]) == ("delivered", 200, "webhook.test")
        refused = (await act(api, bad["id"], "test")).json()
        assert (refused["state"], refused["error"]) == ("failed", "answered 503: closed on Sundays")
        pair[0].kill()
        assert (await act(api, good["id"], "test")).json()["state"] == "delivered"
        pair[1].kill()
    finally:
        for one in pair:
            one.kill()
    assert len(shop.at("/good")) == 2


async def _ready(daemon: DaemonProcess) -> bool:
    return (await daemon.ready())[0] == 200
