"""`as_of`: an order, its events, a saga and a SKU are answered as they were, whatever has happened since."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.event_store import PostgresEventStore
from core.codec import StoredEvent, json
from core.domain.message import OrderId, Sku, inventory_stream, payment_of, saga_of
from core.projections.inventory_level import INVENTORY_LEVEL, STOCK_EVENTS
from core.projections.order_view import ORDER_EVENTS, ORDER_VIEW, PAYMENT_EVENTS
from core.sagas.progress import evolve
from core.services import past_reads
from core.services.fold_events import applied
from core.services.sagas import advance
from tests.support.moments import Moment, answer, builder, moment_of, with_query
from tests.support.opener import Opener
from tests.support.order_desk import Desk
from tests.support.query_api import QueryApi, database, query_api
from tests.support.saga_cases import failed, shipment


@dataclass
class Past:
    """A log of several orders, and what was answered at some moments of it."""

    api: QueryApi
    log: Sequence[StoredEvent]
    orders: Sequence[OrderId]
    paths: Sequence[str]
    moments: Sequence[Moment]


def paths_of(orders: Sequence[OrderId]) -> list[str]:
    paths = ["/api/v1/events?limit=1000", "/api/v1/inventory/A", "/api/v1/inventory/B"]
    for order in orders:
        paths += [f"/api/v1/orders/{order}{more}" for more in ("", "/events", "/timeline")]
        paths += [f"/api/v1/sagas/{saga_of(order, name)}" for name in ("fulfil_order", "settle_order", "unwind_order")]
    return paths


@pytest.fixture(scope="module")
async def past(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Past]:
    patch = pytest.MonkeyPatch()
    patch.setattr(advance, "FIRST_PAUSE", 0.001)
    patch.setattr(advance, "LONGEST_PAUSE", 0.01)
    patch.setattr(advance, "LONGEST_WANTED", 0.0)
    home = tmp_path_factory.mktemp("past")
    async with (
        database(postgres, template, "past") as dsn,
        query_api(dsn, home, most_past_moments="6") as api,
        builder(dsn),
    ):
        opener: Opener = lambda: connect(dsn, name="test")  # noqa: E731 - the protocol is a function
        store = PostgresEventStore(opener)
        desk = Desk(opener, store, scale=0.0001)
        orders: list[OrderId] = []
        moments: list[Moment] = []

        async def note() -> None:
            moments.append(await moment_of(api, [*paths_of(orders), *LISTS]))
            moments[-1].answers["/api/v1/stats"]["sagas"] = {}  # rows of sagas are not kept

        await desk.stock(A=10, B=3)
        await note()
        orders.append(await desk.place(A=2))
        await note()
        async with desk.running():
            await desk.ended(orders[0])
            orders.append(await desk.place("test_card_fail", A=1, B=1))
            await desk.ended(orders[1])
        await note()
        async with desk.running():
            await desk.do(shipment(orders[0]))
            await desk.ended(orders[0], "settle_order")
            orders.append((await failed(desk))[0])
        await note()
        log = await desk.log()
        yield Past(api, log, orders, paths_of(orders), moments)
        await store.close()
    patch.undo()


async def test_each_moment_is_answered_later_as_it_was_answered_then(past: Past) -> None:
    assert len(past.moments) == 4
    for moment in past.moments:
        for path in past.paths:
            then = moment.answers.get(path)
            assert await answer(past.api, path, as_of=moment.position) == then, path
            assert await answer(past.api, path, as_of=moment.time) == then, path


LISTS = (
    "/api/v1/orders", "/api/v1/orders?status=confirmed&status=cancelled&sort=created_at", "/api/v1/orders?q=A",
    "/api/v1/orders/counts", "/api/v1/orders/status/created", "/api/v1/customers/c-1/orders", "/api/v1/inventory",
    "/api/v1/customers/c-1/summary", "/api/v1/products/A/demand", "/api/v1/stats",
)  # fmt: skip


async def test_lists_and_totals_are_answered_later_as_they_were_answered_then(past: Past) -> None:
    """The read models of each moment are built when they are first asked for."""
    for moment in past.moments:
        for path in LISTS:
            assert await answer(past.api, path, as_of=moment.position) == moment.answers[path], path
    first = await past.api.client.get("/api/v1/orders", params={"as_of": past.moments[1].position})
    assert first.headers["Orderdeck-As-Of-Position"] == str(past.moments[1].position)
    page = await answer(past.api, "/api/v1/orders?limit=1", as_of=len(past.log))
    more = await answer(past.api, f"/api/v1/orders?limit=5&cursor={page['next_cursor']}", as_of=len(past.log))
    assert [one["order_id"] for one in page["orders"] + more["orders"]] == [str(one) for one in past.orders[::-1]]


async def test_what_has_no_past_is_refused_and_says_so(past: Past) -> None:
    order = past.orders[0]
    for path in ("sagas", "sagas?status=COMPLETED", "sagas/summary", "orders?saga=failed", "orders/counts?saga=open"):
        assert refused(await past.api.client.get(with_query(f"/api/v1/{path}", {"as_of": 5}))) in {"as_of", "saga"}
    assert (await answer(past.api, "/api/v1/orders", as_of=0))["orders"] == []
    [saga] = (await answer(past.api, f"/api/v1/sagas?order_id={order}", as_of=past.moments[2].position))["sagas"]
    assert (saga["name"], saga["status"]) == ("fulfil_order", "COMPLETED")
    assert (await answer(past.api, f"/api/v1/sagas?order_id={order}", as_of=1))["sagas"] == []


async def test_two_moments_are_compared_and_only_what_changed_of_the_stock_is_named(past: Past) -> None:
    start, end = past.moments[0].position, past.moments[2].position
    found = await answer(past.api, f"/api/v1/compare?from={start}&to={end}")
    assert (found["earlier"]["position"], found["later"]["position"]) == (start, end)
    changed = {name: (n["before"], n["after"]) for name, n in found["statuses"].items() if n["before"] != n["after"]}
    assert changed == {"CONFIRMED": (0, 1), "CANCELLED": (0, 1)}
    assert found["payments"]["AUTHORIZED"] == {"before": 0, "after": 1}
    [sales] = found["sales"]
    assert (sales["currency"], sales["orders"], sales["cancelled"]) == (
        "USD", {"before": 0, "after": 2}, {"before": 0, "after": 1}
    )  # fmt: skip
    assert [one["sku"] for one in found["stock"]] == ["A"], "B was reserved and released again"
    assert found["stock"][0]["available"] == {"before": 10, "after": 8}
    now = await answer(past.api, f"/api/v1/compare?from={start}")
    assert now["later"] == {"position": len(past.log), "time": None}
    assert now["statuses"]["SHIPPED"] == {"before": 0, "after": 1}
    start = await answer(past.api, "/api/v1/compare?from=1987-01-01")
    assert start["earlier"] == {"position": 0, "time": "1987-01-01T00:00:00Z"}
    assert start["sales"][0]["orders"] == {"before": 0, "after": 3}
    for wrong, field in (("from=soon", "from"), ("from=1&to=", "to"), (f"from=1&to={len(past.log) + 1}", "to")):
        assert refused(await past.api.client.get(f"/api/v1/compare?{wrong}")) == field


async def test_a_release_is_listed_with_its_place_in_the_log_and_not_before_it_began(past: Past) -> None:
    [release] = (await past.api.get("/api/v1/releases"))["releases"]
    assert (release["position"], len(release["build"])) == (0, 12)
    assert (await past.api.get("/api/v1/releases", as_of=1))["releases"] == [release]


async def test_the_answer_says_as_of_which_position_and_time_it_is(past: Past) -> None:
    moment = past.moments[1]
    path = f"/api/v1/orders/{past.orders[0]}"
    by_position = await past.api.client.get(path, params={"as_of": moment.position})
    assert by_position.headers["Orderdeck-As-Of-Position"] == str(moment.position)
    assert by_position.headers["Orderdeck-As-Of-Time"] == moment.time
    assert by_position.headers["Orderdeck-Read-From"] == "log"
    by_time = await past.api.client.get(path, params={"as_of": moment.time.replace("Z", "+00:00")})
    assert by_time.headers["Orderdeck-As-Of-Position"] == str(moment.position)
    assert "Orderdeck-As-Of-Position" not in (await past.api.client.get(path)).headers


async def test_what_was_not_there_yet_is_not_found_and_the_answer_says_since_when_it_is(past: Past) -> None:
    before = past.moments[0]
    order = past.orders[0]
    first = next(event for event in past.log if event.stream == order)
    for path in (f"orders/{order}", f"orders/{order}/events", f"orders/{order}/timeline"):
        problem = await past.api.get(f"/api/v1/{path}", 404, as_of=before.position)
        assert problem["code"] == "not_there_yet"
        assert problem["detail"].startswith(f"as of position {before.position}, at {before.time}, there is no order ")
        assert f"yet: its first event came at position {first.position}, at " in problem["detail"]
    problem = await past.api.get(f"/api/v1/sagas/{saga_of(order, 'fulfil_order')}", 404, as_of=before.position)
    assert problem["code"] == "not_there_yet"
    problem = await past.api.get("/api/v1/inventory/B", 404, as_of=0)
    assert problem["code"] == "not_there_yet"
    assert problem["detail"].startswith("as of position 0, there is no SKU B yet")
    for path in (f"orders/{uuid4()}", f"sagas/{order}", "inventory/NONE", f"orders/{saga_of(order, 'fulfil_order')}"):
        problem = await past.api.get(f"/api/v1/{path}", 404, as_of=len(past.log))
        assert problem["code"] == "not_found"
    problem = await past.api.get(f"/api/v1/orders/{order}", 404, as_of="1987-01-01")
    assert "as of position 0, at 1987-01-01T00:00:00Z" in problem["detail"]


@pytest.mark.parametrize(
    "as_of",
    [
        "", " ", "-1", "1.5", "1e3", "0x10", "٣", "1_000", "yesterday", "null", "2026-13-01", "2026-02-30T00:00:00Z",
        "2026-03-14T25:00:00Z", "2026-03-14T23:59:60Z", "24:00", "9" * 41, "2026-03-14T15:00:00+99:00", "a\x00b",
    ],
)  # fmt: skip
async def test_a_text_that_is_neither_a_position_nor_a_time_is_refused(past: Past, as_of: str) -> None:
    response = await past.api.client.get(f"/api/v1/orders/{past.orders[0]}", params={"as_of": as_of})
    assert refused(response) == "as_of"


async def test_what_nobody_knows_yet_is_refused(past: Past) -> None:
    path, head = f"/api/v1/orders/{past.orders[0]}", len(past.log)
    for beyond in (head + 1, 2**63 - 1, 2**63, "9" * 40):
        problem = await past.api.get(path, 400, as_of=beyond)
        assert f"as_of: is beyond the head of the log, which is {head}" in problem["detail"]
    for future in ("2999-01-01", "9999-12-31T23:59:59.999999Z"):
        problem = await past.api.get(path, 400, as_of=future)
        assert "as_of: is in the future: here it is 2" in problem["detail"]
    for more in ({"min_position": 1}, {"as_of": [1, 2]}):
        assert refused(await past.api.client.get(path, params={"as_of": 1, **more})) in {"min_position", "as_of"}
    await past.api.get(path, 409, as_of=head, min_version=99, wait=10)
    assert refused(await past.api.client.get("/api/v1/events/stream", params={"as_of": 1})) == "as_of"


def refused(response: httpx.Response) -> str:
    assert response.status_code == 400, response.text
    return str(response.json()["errors"][0]["field"])


async def test_the_log_as_of_a_position_ends_there_however_it_is_read(past: Past) -> None:
    end = past.moments[2].position

    async def positions(**asked: Any) -> list[int]:
        page = await past.api.get("/api/v1/events", as_of=end, **asked)
        assert page["head"] == end
        return [event["position"] for event in page["events"]]

    assert await positions(limit=1000) == list(range(1, end + 1))
    assert await positions(after=end - 2) == [end - 1, end]
    assert await positions(after=end) == await positions(after=end + 5) == []
    assert await positions(before=2**62, limit=2) == [end - 1, end]
    assert await positions(at=past.moments[3].time) == []
    page = await past.api.get("/api/v1/events", as_of=end, after=end - 1)
    assert (page["next_after"], page["next_before"]) == (end, end)


async def test_at_any_position_the_answers_are_the_folds_of_the_events_up_to_it(past: Past) -> None:
    """The folds are made here of the whole log by themselves, without anything that `as_of` is made of."""
    asked: dict[int, None] = {}

    @settings(max_examples=25, database=None, deadline=None)
    @given(st.integers(0, len(past.log)))
    def choose(position: int) -> None:
        asked[position] = None

    choose()
    assert len(asked) > 5
    for position in asked:
        log = past.log[:position]
        for order in past.orders:
            view = None
            for source, stream in ((ORDER_EVENTS, order), (PAYMENT_EVENTS, payment_of(order))):
                for event in log:
                    if event.stream == stream:
                        view = applied(ORDER_VIEW, source, view, event)
            assert await answer(past.api, f"/api/v1/orders/{order}", as_of=position) == shown(view)
            timeline = await answer(past.api, f"/api/v1/orders/{order}/timeline", as_of=position)
            about = [event.position for event in log if event.correlation_id == order]
            assert [event["position"] for event in (timeline or {"events": []})["events"]] == about
            for name in ("fulfil_order", "settle_order", "unwind_order"):
                progress = None
                for event in log:
                    if event.stream == saga_of(order, name):
                        for each in event.recorded():
                            progress = evolve(progress, each.event, event.recorded_at)
                saga = await answer(past.api, f"/api/v1/sagas/{saga_of(order, name)}", as_of=position)
                expected = (progress.status, progress.attempts, progress.last_error) if progress else None
                assert expected == (saga and (saga["status"], saga["attempts"], saga["last_error"]))
        level = None
        for event in log:
            if event.stream == inventory_stream(Sku("A")):
                level = applied(INVENTORY_LEVEL, STOCK_EVENTS, level, event)
        assert await answer(past.api, "/api/v1/inventory/A", as_of=position) == shown(level)


async def test_a_sku_with_many_events_is_read_from_the_list_of_that_moment(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    folded = [await answer(past.api, "/api/v1/inventory/A", as_of=moment.position) for moment in past.moments]
    monkeypatch.setattr(past_reads, "MOST_FOLDED", 0)
    assert folded == [await answer(past.api, "/api/v1/inventory/A", as_of=moment.position) for moment in past.moments]
    assert await answer(past.api, "/api/v1/inventory/NONE", as_of=1) is None


def shown(view: Any) -> Any:
    """A view as it comes out of an answer."""
    return None if view is None else parse_as_clients_do(json(view))


def parse_as_clients_do(text: bytes) -> Any:
    return httpx.Response(200, content=text).json()
