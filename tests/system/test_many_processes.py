"""Several processes of each API: what one of them was told, the others know; and up changes only what is to change."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from core.settings import Settings
from daemons.host.deck_daemons import SupervisedDaemons
from tests.support.command_api import ORDER
from tests.support.raw_http import request, send
from tests.support.stack import Stack, until

COUNTS = {"ORDERDECK_COMMAND_API_COUNT": "2", "ORDERDECK_QUERY_API_COUNT": "2"}


@pytest.fixture(scope="module")
def many(stack: Stack) -> Iterator[Stack]:
    """The stack with two of each API, and afterwards one of each again; every other program goes on all the time."""
    before = pids(stack)
    stack.settings |= COUNTS
    stack.up()
    yield stack
    for name in COUNTS:
        del stack.settings[name]
    stack.up()
    after = pids(stack)
    assert list(after) == list(before)
    kept = {name for name in before if not name.endswith("-api")}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def pids(stack: Stack) -> dict[str, int]:
    return {program["name"]: program["pid"] for program in stack.status()["programs"]}


def at(stack: Stack, program: str, number: int) -> str:
    return f"http://127.0.0.1:{stack.port(program) + 100 * number}"


def place(url: str, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return httpx.post(url + "/api/v1/orders", json=ORDER, headers=headers, trust_env=False, timeout=20)


def get(url: str, **parameters: Any) -> httpx.Response:
    return httpx.get(url, params=parameters, trust_env=False, timeout=20)


def test_each_process_has_a_name_a_port_a_log_and_figures_of_its_own_and_commands_know_them(many: Stack) -> None:
    status = many.status()
    programs = {program["name"]: program for program in status["programs"]}
    assert status["ready"]
    for program, service in ("command", "command-service"), ("query", "query-service"):
        assert f"{program}-api" not in programs
        for number in (1, 2):
            name = f"{program}-api-{number}"
            assert programs[name]["port"] == many.port(program) + 100 * number
            said = get(at(many, program, number) + "/health").json()
            assert (said["service"], said["process"], said["pid"]) == (service, name, programs[name]["pid"])
            assert "process_cpu_seconds_total" in get(at(many, program, number) + "/metrics").text
            assert f'"daemon": "{name}"' in (many.home.logs / f"{name}.log").read_text()
    assert "orders" in programs["projector"]["holds"][0]
    many.orderdeck("ctl", "restart", "command-api-2")
    until(lambda: many.status()["ready"])
    assert pids(many)["command-api-1"] == programs["command-api-1"]["pid"]
    assert pids(many)["command-api-2"] != programs["command-api-2"]["pid"]


async def test_the_deck_restarts_one_process_of_several_and_knows_whether_each_is_ready(many: Stack) -> None:
    daemons = SupervisedDaemons(many.home.supervisor_socket, many_settings(many))
    states = {state.name: state for state in await daemons.states()}
    assert [name for name in states if "-api" in name] == [
        "command-api-1",
        "command-api-2",
        "query-api-1",
        "query-api-2",
    ]
    assert {states[name].group for name in ("query-api-1", "query-api-2")} == {"query-api"}
    assert (await daemons.readiness() or {})["query-api-2"].ready
    assert (await daemons.restart("query-api-2")).pid != states["query-api-2"].pid
    assert "started" in (await daemons.tail("query-api-2", after=None)).text
    until(lambda: many.status()["ready"])


def many_settings(stack: Stack) -> Settings:
    chosen = {name: value for name, value in stack.settings.items() if name.endswith(("_PORT", "_COUNT"))}
    fields = {name.removeprefix("ORDERDECK_").lower(): value for name, value in chosen.items()}
    return Settings.model_validate({"home": stack.home.path, **fields})


def test_a_key_is_answered_once_at_whichever_process_and_numbers_of_orders_never_repeat(many: Stack) -> None:
    keys = [uuid4().hex for _ in range(10)]
    with ThreadPoolExecutor(10) as pool:
        jobs = [(at(many, "command", number), key) for key in keys for number in (1, 2)]
        answers = list(pool.map(lambda job: place(*job), jobs))
    assert {answer.status_code for answer in answers} == {201}
    for one, other in zip(answers[::2], answers[1::2], strict=True):
        assert one.json() == other.json()
        assert {"true"} == {
            a.headers["idempotent-replayed"] for a in (one, other) if "idempotent-replayed" in a.headers
        }
    assert len({answer.json()["order_number"] for answer in answers}) == len(keys)
    until(lambda: figures_are_those_of_both(many), seconds=20)
    later = place(at(many, "command", 2), keys[0])
    assert (later.headers["idempotent-replayed"], later.json()) == ("true", answers[0].json())


def figures_are_those_of_both(stack: Stack) -> bool:
    """Whether both processes have recorded commands, and whoever is asked at the common port answers with their sum."""
    alone = [recorded(at(stack, "command", number), own="true") for number in (1, 2)]
    return min(alone) > 0 and recorded(stack.url) >= 0.9 * sum(alone)


def recorded(url: str, **parameters: str) -> float:
    """How many commands were answered in the last minute, but for seconds in which nobody could count."""
    history = get(url + "/api/v1/metrics/history", seconds=60, **parameters).json()
    [series] = [each for each in history["series"] if each["name"] == "commands.recorded"]
    return sum(value or 0 for value in series["values"])


def test_a_command_at_one_process_is_seen_at_each_query_api(many: Stack) -> None:
    for number in (1, 2, 1, 2):
        placed = place(at(many, "command", number)).json()
        order = f"/api/v1/orders/{placed['order_id']}"
        for reader in (1, 2):
            seen = get(at(many, "query", reader) + order, min_version=placed["version"], wait=5)
            assert seen.status_code == 200, seen.text
            assert seen.json()["version"] >= placed["version"]
        reason = {"reason": "changed my mind"}
        cancelled = httpx.put(
            at(many, "command", 3 - number) + order + "/cancel", json=reason, trust_env=False, timeout=20
        )
        assert cancelled.status_code == 200, cancelled.text
        seen = get(at(many, "query", number) + order, min_version=cancelled.json()["version"], wait=5)
        assert seen.json()["status"] == "CANCELLED"


def test_a_live_stream_goes_on_at_another_process_without_a_gap(many: Stack) -> None:
    head = int(place(many.url).json()["position"])
    for _ in range(5):
        place(many.url)
    first = positions(at(many, "query", 1), head, 7)
    second = positions(at(many, "query", 2), first[-1], 7)
    assert first + second == list(range(head + 1, head + 15))


def positions(url: str, after: int, count: int) -> list[int]:
    """The positions of so many events of a live stream, as its ids."""
    headers = {"Last-Event-ID": str(after)}
    found: list[int] = []
    with httpx.stream("GET", url + "/api/v1/events/stream", headers=headers, trust_env=False, timeout=20) as stream:
        for line in stream.iter_lines():
            if line.startswith("id:"):
                found.append(int(line.removeprefix("id:")))
            if len(found) == count:
                break
    return found


def test_orders_are_placed_while_a_process_is_frozen_and_while_one_is_killed(many: Stack) -> None:
    frozen = pids(many)["command-api-2"]
    os.kill(frozen, signal.SIGSTOP)
    try:
        for _ in range(10):
            assert place(many.url).status_code == 201
        programs = {program["name"]: program for program in many.status()["programs"]}
        assert programs["command-api-2"]["reason"].startswith("does not answer")
        assert programs["command-api-1"]["ready"]
        rows = get(f"http://127.0.0.1:{many.port('query')}/api/v1/daemons").json()["daemons"]
        row = next(row for row in rows if row["name"] == "command-api-2")
        assert (row["program"], row["answers"]) == ("command-api", False)
    finally:
        os.kill(frozen, signal.SIGKILL)
    for _ in range(10):
        assert place(many.url).status_code == 201
    until(lambda: many.status()["ready"])
    assert pids(many)["command-api-2"] != frozen


def test_up_with_another_count_starts_or_stops_that_one_process(many: Stack) -> None:
    before = pids(many)
    for count, names in (
        ("3", ["command-api-1", "command-api-2", "command-api-3"]),
        ("2", ["command-api-1", "command-api-2"]),
    ):
        many.settings["ORDERDECK_COMMAND_API_COUNT"] = count
        many.up()
        after = pids(many)
        assert [name for name in after if name.startswith("command-api")] == names
        assert {name: after[name] for name in before} == before
        until(lambda names=names: listed(many) == names, seconds=10)  # also at an API that goes on


def listed(stack: Stack) -> list[str]:
    """The command APIs that a query API knows of, which it asks at most once a second."""
    rows = json.loads(send(stack.port("query"), request(target="/api/v1/daemons")).rest)["daemons"]
    return [row["name"] for row in rows if row["program"] == "command-api"]
