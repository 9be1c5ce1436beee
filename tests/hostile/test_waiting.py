"""Callers who let a service wait, or hold connections: each is given up in time, and none keeps others away."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.guarded_process import GuardedProcess, guarded_process
from tests.support.raw_http import closed, connect, read, request, send
from tests.support.stack import until

HEAD, BODY, IDLE, STALL, LINGER = 1.0, 1.5, 2.0, 1.5, 0.5
"""The limits of this service in seconds."""
LATE = 6.0  # seconds by which every deadline is over, also on a busy machine
TIMES = f"head_time={HEAD}, body_time={BODY}, idle_time={IDLE}, stall_time={STALL}, linger_time={LINGER}"
MOST, SHARE = 12, 8
JSON = "Content-Type: application/json"
POST = request("POST", "/faults", JSON, "Content-Length: 100")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedProcess]:
    home = tmp_path_factory.mktemp("waiting")
    with guarded_process(home, f"{TIMES}, connections={MOST}, share={SHARE}") as service:
        yield service
        assert "Traceback" not in service.log.read_text()


@pytest.fixture(autouse=True)
def all_places_are_free(service: GuardedProcess) -> None:
    until(lambda: service.open_connections() == 0)


SLOW = {
    "a connection without a byte": (b"", b"", 0, HEAD),
    "headers byte by byte": (b"GET / HTTP/1.1\r\nA: ", b"x", 408, HEAD),
    "an address byte by byte": (b"GET /", b"x", 408, HEAD),
    "empty lines one by one": (b"\r\n", b"\r\n", 408, HEAD),
    "headers that stop": (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"", 408, HEAD),
    "a body byte by byte": (POST, b" ", 408, BODY),
    "a body that stops": (POST + b"{", b"", 408, BODY),
    "a body in chunks that stops": (request("POST", "/faults", JSON, "Transfer-Encoding: chunked"), b"", 408, BODY),
    "a second request that stops": (request() + b"GET /", b"", 200, HEAD),
    "no second request": (request(), b"", 200, IDLE),
}


def test_a_caller_who_is_slow_or_falls_silent_is_given_up_when_the_time_is_over(service: GuardedProcess) -> None:
    def try_it(name: str) -> tuple[int, bool, bool]:
        first, more, _, limit = SLOW[name]
        began = time.monotonic()
        with connect(service.port) as connection:
            connection.sendall(first)
            connection.settimeout(0.1)
            data = b""
            while time.monotonic() < began + LATE:
                with contextlib.suppress(TimeoutError, ConnectionError):
                    if not (part := connection.recv(65_536)):
                        break
                    data += part
                with contextlib.suppress(ConnectionError):
                    connection.sendall(more)
            took = time.monotonic() - began
        return int(data.split()[1]) if data else 0, took >= limit, took < LATE

    with ThreadPoolExecutor(SHARE // 2) as pool:  # so few that nobody takes the place of another
        results = dict(zip(SLOW, pool.map(try_it, SLOW), strict=True))
    assert results == {name: (status, True, True) for name, (_, _, status, _) in SLOW.items()}


def test_a_caller_who_takes_no_byte_of_an_answer_is_cut_off(service: GuardedProcess) -> None:
    with connect(service.port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(0)
        asked, began = request("GET", "/openapi.json") * 20, time.monotonic()
        while time.monotonic() < began + 0.3:
            with contextlib.suppress(BlockingIOError):
                connection.send(asked)
        until(lambda: service.open_connections() == 0, seconds=LATE)
        assert time.monotonic() - began > STALL


def test_a_new_caller_gets_the_place_of_one_who_only_holds_a_connection_open(service: GuardedProcess) -> None:
    held = [connect(service.port) for _ in range(SHARE)]
    held[0].sendall(request())
    assert read(held[0]).status == 200  # it waits for its next request since later than the others
    held[1].sendall(b"GET / HTTP/1.1\r\n")
    until(lambda: service.open_connections() == SHARE)
    assert [send(service.port, request()).status for _ in range(3)] == [200, 200, 200]
    assert closed(held[2])
    for connection in held:
        connection.close()


def test_one_address_cannot_take_all_places_and_who_finds_none_is_told_when_to_come_back(
    service: GuardedProcess,
) -> None:
    send(service.port, request("POST", "/faults", JSON, body=b'{"latency_ms": 60000}'))
    busy: list[socket.socket] = []
    for number in range(MOST):
        busy.append(connect(service.port, "127.0.0.1" if number < SHARE else "127.0.0.2"))
        busy[-1].sendall(request("GET", f"/api/v1/operations/key-{number}"))
        until(lambda: service.open_connections() == len(busy))
    refused = send(service.port, request())
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "too_many_connections", "1")
    assert send(service.port, request(), address="127.0.0.2").status == 503, "all places are taken"
    for connection in busy[SHARE:]:
        connection.close()
    until(lambda: service.open_connections() == SHARE)
    assert send(service.port, request()).status == 503, "this address has its share"
    assert send(service.port, request(), address="127.0.0.2").status == 200
    for connection in busy:
        connection.close()
    until(lambda: send(service.port, request()).status == 200)
    assert send(service.port, request("POST", "/faults", JSON, body=b"{}")).status == 200


def test_thousands_of_connections_cost_no_memory_and_delay_nobody(service: GuardedProcess) -> None:
    base, slowest = service.memory(), 0.0
    for _ in range(10):
        held = [connect(service.port) for _ in range(200)]
        for connection in held[::3]:
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"GET /health HTTP/1.1\r\n")
        began = time.monotonic()
        assert send(service.port, request()).status in (200, 503)
        slowest = max(slowest, time.monotonic() - began)
        for connection in held:
            connection.close()
    assert slowest < 1.0
    assert service.memory() < 1.3 * base
    assert service.open_connections() <= MOST + 64
