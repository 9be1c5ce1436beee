"""What is measured for /metrics: each figure is of the thing that its name says, and callers cannot make up labels."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from core.adapters.postgres.connection import Link
from core.domain import saga as events
from core.domain.message import SagaId
from core.domain.provider import Approved
from core.errors import GatewayNotTried, GatewayTimeout, GatewayUnavailable, Unavailable
from core.services.sagas.measure import measure_call, measure_saga
from daemons.process.vitals import Front, Vitals
from daemons.query_api import desk_meter
from daemons.query_api.log_meter import LAG_EVENTS, LogMeter
from tests.support.metrics_page import PAGE, page

SAGA = SagaId(uuid4())


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_the_page_of_metrics_names_every_metric_as_it_is() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.support.metrics_page"


# --- HTTP ---------------------------------------------------------------------------------------------------
async def ask(method: str, path: str, status: int | None, template: str = "") -> None:
    """Have a service answer a request with this status; None: it breaks off."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        scope |= {"path_template": template} if template else {}
        if status is None:
            raise ConnectionError
        await send({"type": "http.response.start", "status": status, "headers": []})

    async def ignore(*_: Any) -> Any: ...

    front = Front(Vitals("query-api"))
    front.app = app
    await front({"type": "http", "method": method, "path": path, "headers": []}, ignore, ignore)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *((status, "ok") for status in (200, 202, 304)),
        *((status, "rejected") for status in (400, 401, 404, 422)),
        *((status, "conflict") for status in (409, 412)),
        *((status, "unavailable") for status in (429, 503)),
        *((status, "failed") for status in (500, 502)),
    ],
)
async def test_each_answer_is_measured_by_its_route_and_outcome(status: int, outcome: str) -> None:
    labels = {"method": "GET", "route": "/api/v1/orders/{order_id}", "outcome": outcome}
    name = "orderdeck_http_request_duration_seconds_count"
    before = value(name, **labels)
    await ask("GET", "/api/v1/orders/42", status, "/api/v1/orders/{order_id}")
    assert value(name, **labels) == before + 1


async def test_methods_and_paths_that_callers_make_up_and_answers_that_never_came_make_no_new_series() -> None:
    name = "orderdeck_http_request_duration_seconds_count"
    made_up = {"method": "other", "route": "other", "outcome": "rejected"}
    broken = {"method": "POST", "route": "/api/v1/orders", "outcome": "broken_off"}
    before = value(name, **made_up), value(name, **broken)
    for number in range(5):
        await ask(f"BREW{number}", f"/coffee/{number}", 404)
    with pytest.raises(ConnectionError):
        await ask("POST", "/api/v1/orders", None, "/api/v1/orders")
    assert (value(name, **made_up), value(name, **broken)) == (before[0] + 5, before[1] + 1)


# --- sagas and the provider -------------------------------------------------------------------------------
def test_a_saga_counts_its_steps_by_what_became_of_them_and_takes_as_long_as_since_its_start() -> None:
    steps = {outcome: value("orderdeck_saga_steps_total", saga="s", step="pay", outcome=outcome) for outcome in (
        "done", "undone", "failed", "retried", "undo_failed", "undo_retried",
    )}  # fmt: skip
    end = {"saga": "s", "outcome": "compensated"}
    count, total = (
        value("orderdeck_saga_duration_seconds_count", **end),
        value("orderdeck_saga_duration_seconds_sum", **end),
    )
    tried: dict[str, Any] = {"saga_id": SAGA, "step": "pay", "attempt": 1, "error": "no"}
    recorded = [
        events.SagaStepStarted(saga_id=SAGA, step="pay", direction="forward", attempt=1, key="k"),
        events.SagaStepFailed(**tried, final=False),
        events.SagaStepFailed(**tried, final=True),
        events.SagaStepCompleted(saga_id=SAGA, step="pay"),
        events.SagaCompensationFailed(**tried, final=False),
        events.SagaCompensationFailed(**tried, final=True),
        events.SagaStepCompensated(saga_id=SAGA, step="pay"),
        events.SagaCompensated(saga_id=SAGA),
    ]
    measure_saga("s", recorded, datetime.now(UTC) - timedelta(seconds=90))
    for outcome, before in steps.items():
        assert value("orderdeck_saga_steps_total", saga="s", step="pay", outcome=outcome) == before + 1, outcome
    assert value("orderdeck_saga_duration_seconds_count", **end) == count + 1
    assert 90 <= value("orderdeck_saga_duration_seconds_sum", **end) - total < 95


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Approved("r"), "approved"),
        (None, "unknown"),
        (GatewayTimeout("x"), "no_answer"),
        (GatewayUnavailable("x"), "unavailable"),
        (GatewayNotTried("x", 1.0), "not_tried"),
        (asyncio.CancelledError(), "broken_off"),
    ],
)
async def test_each_call_to_the_provider_is_measured_whatever_comes_of_it(answer: Any, outcome: str) -> None:
    async def call() -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    labels = {"operation": "capture", "outcome": outcome}
    before = value("orderdeck_provider_call_duration_seconds_count", **labels)
    if isinstance(answer, BaseException):
        with pytest.raises(type(answer)):
            await measure_call("capture", call())
    else:
        assert await measure_call("capture", call()) is answer
    assert value("orderdeck_provider_call_duration_seconds_count", **labels) == before + 1


# --- the database -------------------------------------------------------------------------------------------
async def test_calls_that_wait_for_a_connection_are_counted_as_long_as_they_wait() -> None:
    class Nothing:
        def is_closed(self) -> bool:
            return False

    async def open_() -> Any:
        return Nothing()

    link, going = Link(open_), asyncio.Event()
    before = value("orderdeck_database_calls"), value("orderdeck_database_wait_seconds_count")
    calls = [asyncio.create_task(link.run(lambda _: going.wait())) for _ in range(3)]
    await asyncio.sleep(0)
    assert value("orderdeck_database_calls") == before[0] + 3
    going.set()
    await asyncio.gather(*calls)
    assert value("orderdeck_database_calls") == before[0]
    assert value("orderdeck_database_wait_seconds_count") == before[1] + 3


class Away:
    """Queries on a database that is away."""

    def __getattr__(self, _: str) -> Any:
        async def fail(*_args: Any, **_named: Any) -> Any:
            raise Unavailable("the database is away")

        return fail


async def test_while_the_database_is_away_old_figures_are_not_shown_as_present_ones() -> None:
    away: Any = Away()
    LAG_EVENTS.labels("projector.orders").set(7)
    with pytest.raises(Unavailable):
        await LogMeter(away).measure(1.0)
    assert REGISTRY.get_sample_value("orderdeck_reader_lag_events", {"reader": "projector.orders"}) is None
    desk_meter.AUTHORISED.labels("EUR").set(7)
    keeping = asyncio.create_task(desk_meter.DeskMeter(away, away, away).keep())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    keeping.cancel()
    assert REGISTRY.get_sample_value("orderdeck_money_authorised", {"currency": "EUR"}) is None
