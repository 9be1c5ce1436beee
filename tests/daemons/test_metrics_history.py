"""GET /metrics/history: what each API measured in each of its last seconds; what is not known is never a zero."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.errors import Unavailable
from core.ports.queries import EndedSaga
from core.ports.reading import ReaderProgress
from core.ports.sagas import Backlog
from daemons.command_api.command_meter import CommandMeter
from daemons.process.histogram import GROWTH, SHORTEST, Histogram
from daemons.process.history import MOST_SERIES, SECONDS, Figures, History, in_step, together
from daemons.process.traced_requests import STATUS
from daemons.query_api.log_meter import LogMeter
from tests.support.command_api import CommandApi, command_api
from tests.support.query_api import query_api


class Clock:
    def __init__(self) -> None:
        self.seconds = 5_000.0

    def __call__(self) -> float:
        return self.seconds


def values(history: History, name: str, seconds: int = SECONDS) -> list[float | None]:
    return next(series.values for series in history.last(seconds).series if series.name == name)


def test_a_second_that_was_not_measured_is_unknown_and_old_ones_make_room() -> None:
    clock = Clock()
    history = History("a-service", clock=clock, now=lambda: clock() + 1e9)
    assert history.last(10).series == []
    history.note({"a": (1, "per second")})
    clock.seconds += 1
    history.note({"a": (2, "per second"), "b": (5, "seconds")})
    clock.seconds += 3
    history.note({"a": (0, "per second")})
    assert values(history, "a") == [1, 2, None, None, 0]
    assert values(history, "b") == [None, 5, None, None, None]
    assert values(history, "a", 2) == [None, 0]
    assert history.last(9).until == 1_000_005_004
    clock.seconds += 1
    history.note({})
    assert values(history, "a") == [1, 2, None, None, 0, None]
    clock.seconds += SECONDS - 2
    history.note({"a": (9, "per second")})
    assert values(history, "a")[:2] == [0, None]
    assert len(values(history, "a")) == SECONDS
    clock.seconds += 10 * SECONDS
    history.note({"a": (3, "per second")})
    assert values(history, "a") == [None] * (SECONDS - 1) + [3]


def test_what_several_processes_measured_is_added_second_by_second_and_of_durations_the_longest_is_told() -> None:
    clock = Clock()
    one, other = (History("a-service", clock=clock, now=lambda: clock() + 1e9) for _ in range(2))
    assert together([one.last(9), other.last(9)]).series == []
    one.note({"a": (1, "per second"), "took": (0.5, "seconds")})
    clock.seconds += 1
    one.note({"a": (2, "per second"), "took": (0.1, "seconds")})
    other.note({"a": (4.5, "per second"), "took": (0.2, "seconds"), "b": (3, "events")})
    late = one.last(9)
    clock.seconds += 2
    other.note({"a": (8, "per second")})
    both = together([late, other.last(9)])
    assert {series.name: series.values for series in both.series} == {
        "a": [1, 6.5, None, 8],
        "took": [0.5, 0.2, None, None],
        "b": [None, 3, None, None],
    }
    assert (both.until, both.started_at) == (other.last(9).until, one.last(9).started_at)
    assert together([late]) == late
    clock.seconds += SECONDS - 3
    other.note({"a": (1, "per second")})
    assert {len(series.values) for series in together([late, other.last(SECONDS)]).series} == {SECONDS}


def test_a_history_takes_no_more_memory_as_time_passes() -> None:
    clock = Clock()
    history = History("a-service", clock=clock)
    figures = {f"s{n}": (float(n), "events") for n in range(2 * MOST_SERIES)}
    history.note(figures)
    tracemalloc.start()
    for _ in range(1_000):
        clock.seconds += 1
        history.note({"s1": (1.0, "events")})
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 20_000
    assert len(history.last(1).series) == MOST_SERIES


@given(st.lists(st.floats(SHORTEST, 10_000), min_size=1, max_size=50), st.sampled_from([50, 95, 99]))
def test_a_percentile_is_at_most_a_quarter_too_long(seconds: list[float], percent: int) -> None:
    histogram = Histogram(over=2)
    for each in seconds:
        histogram.observe(each)
    true = sorted(seconds)[max(0, -(-len(seconds) * percent // 100) - 1)]
    assert true <= histogram.turn(percent)[percent] * 1.000001
    assert histogram.turn(percent)[percent] <= max(true * GROWTH, SHORTEST) * 1.000001
    assert histogram.turn(percent) == {}, "two turns later it is forgotten"


async def test_what_cannot_be_measured_now_is_a_gap_and_the_next_rate_is_over_all_the_time_since() -> None:
    calls: list[float] = []

    async def measure(elapsed: float) -> Figures:
        calls.append(elapsed)
        if len(calls) == 2:
            raise Unavailable("the database is away")
        return {"a": (7, "per second")}

    history = History("a-service")
    keeping = asyncio.create_task(history.keep(measure))
    async with asyncio.timeout(20):
        while len(calls) < 3 or values(history, "a")[-1] is None:
            await asyncio.sleep(0.02)
    keeping.cancel()
    known = values(history, "a")
    assert known[-3:] == [7, None, 7]
    assert calls[2] > 1.5


def test_a_second_of_the_history_begins_with_one_of_the_time_of_day() -> None:
    clock = in_step()
    off = (clock() - time.time()) % 1
    assert min(off, 1 - off) < 0.05


async def test_each_second_is_measured_once_though_the_event_loop_wakes_up_just_before_it_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, calls = Clock(), list[float]()
    clock.seconds += 0.25
    history = History("a-service", clock=clock)

    async def sleep(seconds: float) -> None:
        clock.seconds += max(seconds - 0.0004, 0)

    async def measure(elapsed: float) -> Figures:
        calls.append(elapsed)
        if len(calls) == 4:
            raise asyncio.CancelledError
        return {"a": (len(calls), "per second")}

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await history.keep(measure)
    assert values(history, "a")[-3:] == [1, 2, 3]
    assert calls == pytest.approx([0.75, 1, 1, 1], abs=0.002)


async def test_a_rate_is_never_over_a_moment_though_a_busy_event_loop_wakes_up_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, calls, late = Clock(), list[float](), iter((0.0, 0.8, 0.0, 0.3, 0.0))
    clock.seconds += 0.9
    history = History("a-service", clock=clock)

    async def sleep(seconds: float) -> None:
        clock.seconds += seconds + next(late)

    async def measure(elapsed: float) -> Figures:
        calls.append(elapsed)
        if len(calls) == 5:
            raise asyncio.CancelledError
        return {"a": (len(calls), "per second")}

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await history.keep(measure)
    assert calls == pytest.approx([1.1, 1.8, 1.2, 1.3, 0.7], abs=0.01)
    assert values(history, "a")[-5:] == [1, 2, None, 3, 4]


class Log:
    """Queries of which only those are there that are measured."""

    def __init__(self) -> None:
        self.head, self.reached, self.ended = 100, 90, list[EndedSaga]()

    async def progress(self) -> list[ReaderProgress]:
        return [ReaderProgress("projector.orders", "1", self.reached, self.head, 2.5)]

    async def ended_sagas(self, *, after: int, upto: int, limit: int) -> list[EndedSaga]:
        assert (after, upto, limit) == (100, 160, 2_000)
        return self.ended

    async def backlog(self, *, most: int) -> Backlog:
        return Backlog(due=min(70, most), due_for=4.0, unstarted=2, unstarted_for=9.0)


async def test_the_query_api_measures_the_log_its_readers_and_the_sagas_that_ended() -> None:
    log: Any = Log()
    meter = LogMeter(log)
    first = await meter.measure(1.0)
    assert first == {"lag.projector.orders": (2.5, "seconds"), "lag_events.projector.orders": (10, "events")}
    exported = generate_latest().decode()
    assert 'orderdeck_reader_lag_events{reader="projector.orders"} 10.0' in exported
    assert 'orderdeck_reader_lag_seconds{reader="projector.orders"} 2.5' in exported
    log.head, log.ended = 160, [EndedSaga("completed", 0.1)] * 3 + [EndedSaga("compensated", 40.0)]
    figures = await meter.measure(2.0)
    assert figures["log.events"] == (30, "per second")
    assert figures["sagas.completed"] == (1.5, "per second")
    assert figures["sagas.compensated"] == (0.5, "per second")
    assert figures["sagas.seconds.p50"][0] == pytest.approx(0.1, rel=0.25)
    assert figures["sagas.seconds.p99"][0] == pytest.approx(40, rel=0.25)
    assert [figures[f"backlog.{name}"][0] for name in ("due", "unstarted", "seconds")] == [70, 2, 9.0]
    log.head = 7  # another log
    assert "log.events" not in await meter.measure(1.0)


async def test_commands_are_counted_by_what_became_of_them() -> None:
    meter = CommandMeter()
    for status in (201, 200, 400, 404, 409, 412, 503):
        meter.note(status, 0.01)
    figures = await meter.measure(0.5)
    names = ("recorded", "rejected", "conflicts", "failed")
    assert [figures[f"commands.{name}"][0] for name in names] == [4, 4, 4, 2]
    assert figures["commands.seconds.p50"][0] == pytest.approx(0.01, rel=0.25)
    assert (await meter.measure(1.0))["commands.recorded"] == (0, "per second")


@pytest.fixture(scope="module")
async def commands(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CommandApi]:
    async with command_api(postgres, template, tmp_path_factory.mktemp("api")) as api:
        yield api


async def until_it_says(ask: Callable[[], Any], name: str, least: float) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while True:
        answer = await ask()
        series = {one["name"]: one for one in answer["series"]}
        if any((value or 0) >= least for value in series.get(name, {"values": []})["values"]):
            return series
        assert time.monotonic() < deadline, answer
        await asyncio.sleep(0.1)


async def test_the_command_api_tells_how_many_commands_it_answered(commands: CommandApi) -> None:
    async def ask() -> Any:
        answer = await commands.http.get("/api/v1/metrics/history?seconds=5")
        assert answer.status_code == 200
        return answer.json()

    order_id = await commands.placed_order()
    await commands.put(order_id, "deliver")  # which the rules refuse
    for _ in range(8):
        await commands.put(order_id, "cancel", {"reason": "a dry run"}, query="?dry_run=true")
    series = await until_it_says(ask, "commands.rejected", 0.1)
    assert series["commands.recorded"]["unit"] == "per second"
    assert 0 < sum(value or 0 for value in series["commands.recorded"]["values"]) <= 2, "one, in half a second at least"
    assert "commands.seconds.p99" in series
    answer = await ask()
    assert answer["service"] == "command-api"
    assert abs(answer["until"] - time.time()) < 5
    for wrong in ("0", "901", "x"):
        assert (await commands.http.get(f"/api/v1/metrics/history?seconds={wrong}")).status_code == 400


async def test_the_query_api_tells_how_fast_the_log_grows_and_how_far_each_reader_is_behind(
    dsn: str, tmp_path: Path
) -> None:
    async with query_api(dsn, tmp_path) as api:
        await api.project()
        series = await until_it_says(lambda: api.get("/api/v1/metrics/history"), "lag_events.projector.stock", 0)
        assert (series["lag_events.projector.stock"]["unit"], series["lag.projector.orders"]["unit"]) == (
            "events",
            "seconds",
        )
        await api.get("/api/v1/metrics/history", 400, second=4)


async def test_a_command_whose_caller_goes_while_it_is_answered_is_counted() -> None:
    meter = CommandMeter()

    async def answers_to_nobody(scope: Any, receive: Any, send: Any) -> None:
        scope[STATUS] = 201
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await meter.counting(answers_to_nobody)({"method": "POST", "query_string": b""}, None, None)
    assert meter.recorded == 1
