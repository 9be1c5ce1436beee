"""`as_of`: an order, its events, a saga and a SKU are answered as they were, whatever has happened since."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.codec import json
from core.domain.message import OrderId, SagaId, Sku, inventory_stream, payment_of, saga_of
from core.projections import ORDERS, STOCK
from core.projections.inventory_level import STOCK_EVENTS
from core.projections.order_view import ORDER_EVENTS, PAYMENT_EVENTS
from core.sagas.progress import evolve
from core.services import past_reads, past_saga_lists
from core.services.fold_events import applied
from tests.support.moments import answer, with_query
from tests.support.past_log import LISTS, Past, recorded_past


@pytest.fixture(scope="module")
async def past(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Past]:
    async with recorded_past(postgres, template, tmp_path_factory.mktemp("past")) as recorded:
        yield recorded


async def test_each_moment_is_answered_later_as_it_was_answered_then(past: Past) -> None:
    assert len(past.moments) == 4
    for moment in past.moments:
        for path in past.paths:
            then = moment.answers.get(path)
            assert await answer(past.api, path, as_of=moment.position) == then, path
            assert await answer(past.api, path, as_of=moment.time) == then, path


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
    for path, field in (
        ("orders?saga=failed", "saga"),
        ("orders/counts?saga=open", "saga"),
    ):
        assert refused(await past.api.client.get(with_query(f"/api/v1/{path}", {"as_of": 5}))) == field
    for path in ("sagas", "sagas?status=RUNNING"):
        assert (await answer(past.api, f"/api/v1/{path}", as_of=0))["sagas"] == []
    assert (await answer(past.api, "/api/v1/orders", as_of=0))["orders"] == []
    [saga] = (await answer(past.api, f"/api/v1/sagas?order_id={order}", as_of=past.moments[2].position))["sagas"]
    assert (saga["name"], saga["status"]) == ("fulfil_order", "COMPLETED")
    assert (await answer(past.api, f"/api/v1/sagas?order_id={order}", as_of=1))["sagas"] == []


@pytest.mark.parametrize("looked_at", [1, past_saga_lists.MOST_LOOKED_AT])
async def test_pages_of_past_sagas_lead_on_and_back_without_gap_or_repetition(
    past: Past, monkeypatch: pytest.MonkeyPatch, looked_at: int
) -> None:
    """However few are looked at for one page: it may then be empty, and still leads on."""
    ends = [moment.position for moment in past.moments]
    middle = (ends[1] + ends[2]) // 2
    for end in (middle, *ends[2:]):
        for more in (
            {}, {"status": "COMPLETED,COMPENSATED"}, {"status": "FAILED,RUNNING"}, {"state": "expiring,failed"},
            {"status": "COMPLETED", "name": "fulfil"}, {"error": "e"}, {"order_id": past.orders[0]},
            {"saga_id": f"{saga_of(past.orders[0], 'fulfil_order')},{saga_of(past.orders[2], 'unwind_order')}"},
        ):  # fmt: skip
            fitting = (await answer(past.api, "/api/v1/sagas", as_of=end, limit=100, **more))["sagas"]
            with monkeypatch.context() as patch:
                patch.setattr(past_saga_lists, "MOST_LOOKED_AT", looked_at)
                await read_on_and_back(past, {"as_of": end, "limit": 1, **more}, fitting)


async def read_on_and_back(past: Past, asked: dict[str, Any], fitting: list[Any]) -> None:
    pages = [await answer(past.api, "/api/v1/sagas", **asked)]
    while cursor := pages[-1]["next_cursor"]:
        pages.append(await answer(past.api, "/api/v1/sagas", cursor=cursor, **asked))
        assert len(pages) < 20
    assert [saga for page in pages for saga in page["sagas"]] == fitting, asked
    shown = [page for page in pages if page["sagas"]]
    back = shown[-1:]
    while back and (cursor := back[-1]["prev_cursor"]):
        back.append(await answer(past.api, "/api/v1/sagas", cursor=cursor, **asked))
        assert len(back) < 20
    assert [saga for page in back[::-1] for saga in page["sagas"]] == fitting, asked


async def test_past_sagas_of_a_status_are_found_behind_ones_that_have_it_only_since_then(past: Past) -> None:
    """Today all of them have the status: the newer ones must neither end the list nor be in it."""
    [started] = [event for event in past.log if event.event_type == "SagaStarted" and event.stream == second(past)]
    asked = {"as_of": started.position, "status": "COMPLETED,COMPENSATED", "limit": 1}
    page = await answer(past.api, "/api/v1/sagas", **asked)
    assert [saga["order_id"] for saga in page["sagas"]] == [str(past.orders[0])]


def second(past: Past) -> SagaId:
    return saga_of(past.orders[1], "fulfil_order")


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
    assert start["sales"][0]["orders"] == {"before": 0, "after": 4}
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
    counted: dict[int, Counter[str]] = {}

    @settings(max_examples=25, database=None, deadline=None)
    @given(st.integers(0, len(past.log)))
    def choose(position: int) -> None:
        asked[position] = None

    choose()
    assert len(asked) > 5
    for position in asked:
        log = past.log[:position]
        sagas: dict[str, str] = {}
        views: dict[OrderId, Any] = {}
        for order in past.orders:
            view = None
            for source, stream in ((ORDER_EVENTS, order), (PAYMENT_EVENTS, payment_of(order))):
                for event in log:
                    if event.stream == stream:
                        view = applied(ORDERS, source, view, event)
            assert await answer(past.api, f"/api/v1/orders/{order}", as_of=position) == shown(view)
            views[order] = view
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
                if progress:
                    sagas[str(saga_of(order, name))] = progress.status
                assert expected == (saga and (saga["status"], saga["attempts"], saga["last_error"]))
        level = None
        for event in log:
            if event.stream == inventory_stream(Sku("A")):
                level = applied(STOCK, STOCK_EVENTS, level, event)
        assert await answer(past.api, "/api/v1/inventory/A", as_of=position) == shown(level)
        for status in (None, "COMPLETED", "RUNNING", "FAILED"):
            listed = await past.api.get("/api/v1/sagas", as_of=position, **({"status": status} if status else {}))
            fitting = {id_: each for id_, each in sagas.items() if status in (None, each)}
            assert {saga["saga_id"]: saga["status"] for saga in listed["sagas"]} == fitting
        counted[position] = Counter(view.status for view in views.values() if view is not None)
    for start, end in itertools.islice(itertools.pairwise(counted), 3):
        found = await answer(past.api, f"/api/v1/compare?from={start}&to={end}")
        assert {
            name: (n["before"], n["after"]) for name, n in found["statuses"].items() if n["before"] or n["after"]
        } == {name: (counted[start][name], counted[end][name]) for name in {*counted[start], *counted[end]}}


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
