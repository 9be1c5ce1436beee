from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import httpx
import msgspec
import pytest

from core.filters.order_language import parse
from core.filters.order_query import OrderQuery
from core.services.webhooks import WITHIN
from tests.support.deck_harness import desk_with
from tests.support.fake_desk import START
from tui.gateway import CommandToSend, GatewayError, ServiceRefused, TimedOut, Unreachable
from tui.http_gateway import HttpGateway

ORDER = {
    "order_id": "o-1",
    "order_number": "ORD-1",
    "customer_id": "c",
    "status": "CREATED",
    "total_amount": 10.20,
    "currency": "USD",
    "created_at": "2026-03-14T09:26:53Z",
    "updated_at": "2026-03-14T09:26:53Z",
    "version": 1,
    "items": [],
    "something_new": True,
}


def gateway(answer: Callable[[httpx.Request], httpx.Response]) -> HttpGateway:
    return HttpGateway("http://desk:1", "http://desk:2", transport=httpx.MockTransport(answer))


def answering(
    status: int = 200, body: Any = None, seen: list[httpx.Request] | None = None, **headers: str
) -> HttpGateway:
    def answer(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.Response(status, stream=httpx.ByteStream(content), headers=headers)

    return gateway(answer)


async def test_a_command_names_its_actor_and_its_key() -> None:
    seen: list[httpx.Request] = []
    body = {"order_id": "o-1", "status": "CANCELLED", "version": 2, "position": 9}
    desk = answering(200, body, seen, **{"Idempotent-Replayed": "true"})
    accepted = await desk.send(CommandToSend("cancel", "o-1", {"reason": "no stock"}), key="k-1")
    assert accepted.replayed
    assert accepted.position == 9
    request = seen[0]
    assert (request.method, str(request.url)) == ("PUT", "http://desk:1/api/v1/orders/o-1/cancel")
    assert json.loads(request.content) == {"reason": "no stock"}
    assert request.headers["Idempotency-Key"] == "k-1"
    assert request.headers["Orderdeck-Actor"]


async def test_a_command_without_a_body_sends_none() -> None:
    seen: list[httpx.Request] = []
    body = {"order_id": "o-1", "status": "CONFIRMED", "version": 2, "position": 9}
    await answering(200, body, seen).send(CommandToSend("confirm", "o-1"), key="k")
    assert seen[0].content == b""
    assert "Content-Type" not in seen[0].headers


async def test_a_webhooks_command_carries_no_key_and_a_test_is_waited_for_longer_than_by_the_service() -> None:
    seen: list[httpx.Request] = []
    desk = answering(200, {"webhook_id": "wh_1", "state": "delivered", "status": 204, "error": ""}, seen)
    accepted = await desk.send(CommandToSend("test", "wh_1", kind="webhook"), key="k")
    assert (accepted.subject_id, accepted.status) == ("wh_1", "delivered: answered 204")
    assert (seen[0].method, str(seen[0].url)) == ("POST", "http://desk:1/api/v1/admin/webhooks/wh_1/test")
    assert "Idempotency-Key" not in seen[0].headers
    assert seen[0].extensions["timeout"]["read"] > WITHIN


async def test_a_dry_run_says_so_and_carries_no_key() -> None:
    seen: list[httpx.Request] = []
    event = {"event_type": "OrderCreated", "position": 0, "aggregate_id": "o", "aggregate_type": "order", "version": 1}
    desk = answering(200, {"events": [{**event, "timestamp": "2026-03-14T09:26:53Z", "payload": {"x": 1}}]}, seen)
    events = await desk.dry_run(CommandToSend("place", None, {"items": []}))
    assert [e.event_type for e in events] == ["OrderCreated"]
    assert seen[0].url.params["dry_run"] == "true"
    assert "Idempotency-Key" not in seen[0].headers


async def test_an_order_says_whether_it_was_read_from_the_view_or_from_the_log() -> None:
    order = json.loads(msgspec.json.encode(next(iter(desk_with(1).views.values()))))
    assert (await answering(200, order).order("o-1")).read_from == "view"
    assert (await answering(200, order, None, **{"Orderdeck-Read-From": "log"}).order("o-1")).read_from == "log"


async def test_a_list_is_asked_for_by_filter_cursor_and_order() -> None:
    seen: list[httpx.Request] = []
    desk = answering(200, {"orders": [ORDER], "next_cursor": "n", "total": 1}, seen)
    page = await desk.orders(parse("status:created min:5 ORD-1", START), cursor="abc")
    assert str(page.orders[0].total_amount) == "10.2"
    assert page.next_cursor == "n"
    params = dict(seen[0].url.params)
    assert params == {
        "status": "CREATED",
        "min_total": "5",
        "q": "ORD-1",
        "limit": "100",
        "sort": params["sort"],
        "cursor": "abc",
    }


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (
            400,
            {"error": "some fields are wrong", "errors": [{"field": "items[0].sku", "message": "blank"}]},
            "some fields",
        ),
        (503, {"detail": "the queue is full", "code": "unavailable"}, "the queue is full"),
        (502, b"<html>", "the service answered 502"),
        (500, [1], "the service answered 500"),
    ],
)
async def test_an_error_of_the_service_is_shown_in_its_own_words(status: int, body: Any, sentence: str) -> None:
    with pytest.raises(ServiceRefused, match=sentence) as caught:
        await answering(status, body).order("o-1")
    assert caught.value.status == status
    assert caught.value.retryable is (status == 503)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", {"orders": [{"order_id": 7}]}])
async def test_an_answer_that_cannot_be_read_is_an_error_and_no_crash(body: Any) -> None:
    with pytest.raises(ServiceRefused, match="cannot read"):
        await answering(200, body).orders(parse("", START))


@pytest.mark.parametrize(
    ("raised", "ours"),
    [
        (httpx.ConnectError("refused"), Unreachable),
        (httpx.ConnectTimeout("slow"), Unreachable),
        (httpx.ReadTimeout("slow"), TimedOut),
        (httpx.WriteError("cut"), TimedOut),
        (httpx.RemoteProtocolError("cut"), TimedOut),
    ],
)
async def test_an_error_says_whether_the_request_may_have_been_sent(
    raised: Exception, ours: type[GatewayError]
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise raised

    with pytest.raises(ours, match="http://desk:1"):
        await gateway(answer).send(CommandToSend("confirm", "o-1"), key="k")


class Breaks(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"id: 8\nevent: E\ndata: {}\n\n"
        raise httpx.ReadError("cut")


async def test_the_feed_sends_its_last_event_id_and_raises_our_error_when_it_breaks() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, stream=Breaks())

    chunks: list[bytes] = []

    async def follow() -> None:
        async with aclosing(gateway(answer).feed(after=7)) as feed:
            async for chunk in feed:
                chunks.append(chunk)  # noqa: PERF401 - what came before the break counts

    with pytest.raises(TimedOut):
        await follow()
    assert chunks == [b"", b"id: 8\nevent: E\ndata: {}\n\n"]
    assert seen[0].headers["Last-Event-ID"] == "7"
    assert seen[0].url.path == "/api/v1/events/stream"


async def test_a_feed_that_is_refused_says_why() -> None:
    with pytest.raises(ServiceRefused, match="too many readers"):
        await anext(answering(429, {"error": "too many readers"}).feed(after=0))


async def test_with_replicas_no_answer_may_lack_what_the_feed_has_shown() -> None:
    asked: list[str | None] = []
    behind, headers = False, {"Orderdeck-Server": "replica-1"}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/stream"):
            frames = b"id: 6\nevent: X\ndata: {}\n\nid: 7\nevent: X\ndata: {}\n\n"
            return httpx.Response(200, stream=httpx.ByteStream(frames))
        asked.append(request.url.params.get("min_position"))
        if behind and asked[-1] is not None:
            return httpx.Response(409, stream=httpx.ByteStream(b'{"code":"position_not_reached"}'))
        body: Any = ORDER if request.url.path.endswith("o-1") else {"head": 7, "readers": [], "orders": [], "total": 0}
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(body).encode()), headers=headers)

    desk = gateway(answer)
    async with aclosing(desk.feed(after=0)) as chunks:
        _ = [chunk async for chunk in chunks]
    await desk.order("o-1")
    await desk.order("o-1")
    await desk.orders(OrderQuery())
    await desk.health()
    assert asked == [None, "7", "7", None]  # it learns from the first answer that there are replicas
    asked.clear()
    behind = True
    await desk.order("o-1", min_version=1)
    await desk.order("o-1")
    assert asked == ["7", None, None]  # the read models are behind, and what they have is better than nothing
