"""Requests that are too large, ambiguous or no HTTP: each is refused with a problem, and costs little memory."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tests.support.guarded_process import GuardedProcess, guarded_process
from tests.support.raw_http import PATIENCE, connect, read, request, send

JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
MEGABYTE = 1 << 20


def post(*headers: str, body: bytes = b"") -> bytes:
    return request("POST", "/faults", JSON, *headers, body=body)


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data)


END = b"0\r\n\r\n"
ANSWERED = {
    "a small request": (request(), 200),
    "100 headers": (request("GET", "/health", *["A: b"] * 99), 200),
    "64 KB of headers": (request("GET", "/health", "A: " + "x" * 65_000), 200),
    "an address of 8000 bytes": (request("GET", "/" + "x" * 8_000), 404),
    "a body in chunks": (post(CHUNKED) + chunk(b"{}") + END, 200),
    "a body in chunks with trailers": (post(CHUNKED) + chunk(b"{}", b";a=b") + b"0\r\nA: b\r\n\r\n", 200),
    "an expected 100": (post("Expect: 100-continue", body=b"{}"), 200),
    "HTTP/1.0 without a host": (b"GET /health HTTP/1.0\r\n\r\n", 200),
    "a wish for a websocket": (request("GET", "/health", "Connection: Upgrade", "Upgrade: websocket") + b"\x81", 200),
    "a wish for HTTP/2": (request("GET", "/health", "Connection: Upgrade", "Upgrade: h2c"), 200),
    "OPTIONS of all": (request("OPTIONS", "*"), 204),
    "an address with our own host": (request("GET", "http://localhost/health"), 200),
}
REFUSED = {
    "101 headers": (request("GET", "/health", *["A: b"] * 100), 431),
    "2 000 headers": (request("GET", "/health", *["A: b"] * 2_000), 431),
    "66 KB in a value": (request("GET", "/health", "A: " + "x" * 66_000), 431),
    "66 KB in a name": (request("GET", "/health", "x" * 66_000 + ": a"), 431),
    "66 KB in 90 headers": (request("GET", "/health", *[f"A: {'x' * 750}"] * 90), 431),
    "a value that does not end": (request()[:-2] + b"A: " + b"x" * MEGABYTE, 431),
    "a name that does not end": (request()[:-2] + b"x" * MEGABYTE, 431),
    "empty lines that do not end": (b"\r\n" * MEGABYTE, 431),
    "200 trailers": (post(CHUNKED) + b"0\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
    "a trailer that does not end": (post(CHUNKED) + b"0\r\nA: " + b"x" * MEGABYTE, 431),
    "a chunk extension that does not end": (post(CHUNKED) + b"2;" + b"x" * MEGABYTE, 431),
    "an address of 9000 bytes": (request("GET", "/" + "x" * 9_000), 414),
    "a query of 9000 bytes": (request("GET", "/ledger?a=" + "x" * 9_000), 414),
    "an address that does not end": (b"GET /" + b"x" * MEGABYTE, 414),
    "a length over 1 MiB": (post("Content-Length: 1048577"), 413),
    "a length over 1 MiB that waits to send": (post("Expect: 100-continue", "Content-Length: 9999999999"), 413),
    "chunks over 1 MiB": (post(CHUNKED) + chunk(b"x" * 65_536) * 20 + END, 413),
    "a chunk of 4 GB": (post(CHUNKED) + b"ffffffff\r\n" + b"x" * MEGABYTE, 413),
    "another expectation": (post("Expect: a-miracle", body=b"{}"), 417),
    "an unknown method": (request("BREW"), 405),
    "a method that does not end": (b"X" * MEGABYTE, 405),
    "a method in lower case": (request("get"), 405),
    "CONNECT": (request("CONNECT", "localhost:80"), 405),
    "TRACE": (request("TRACE"), 405),
    "PROPFIND": (request("PROPFIND", "/faults"), 405),
    "two lengths": (post("Content-Length: 2", "Content-Length: 2") + b"{}", 400),
    "a length and chunks": (post(CHUNKED, "Content-Length: 3") + END, 400),
    "a length with a sign": (post("Content-Length: +2") + b"{}", 400),
    "another transfer coding": (post("Transfer-Encoding: gzip, chunked") + END, 400),
    "an unknown transfer coding": (post("Transfer-Encoding: xchunked") + END, 400),
    "chunked twice": (post(CHUNKED, CHUNKED) + END, 400),
    "chunks over HTTP/1.0": (b"POST /faults HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + END, 400),
    "a length of a chunk that is no number": (post(CHUNKED) + b"-1\r\n", 400),
    "HTTP/0.9": (b"GET /health\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/2.0": (b"GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n", 400),
    "HTTP/1.7": (b"GET /health HTTP/1.7\r\nHost: localhost\r\n\r\n", 400),
    "lines without a carriage return": (b"GET /health HTTP/1.1\nHost: localhost\n\n", 400),
    "a folded header": (request("GET", "/health", "A: b", " c"), 400),
    "a blank before a colon": (request("GET", "/health", "A : b"), 400),
    "a NUL in a header": (request("GET", "/health", "A: \0"), 400),
    "an address without a slash": (request("GET", "health"), 400),
    "an address of another scheme": (request("GET", "ftp://localhost/health"), 400),
    "an address with another host": (request("GET", "http://elsewhere.example/health"), 400),
    "bytes beyond ASCII in an address": (request("GET", "/\xff"), 400),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedProcess]:
    with guarded_process(tmp_path_factory.mktemp("heads")) as service:
        yield service
        assert "Traceback" not in service.log.read_text()


def test_large_and_unusual_requests_within_the_limits_are_answered(service: GuardedProcess) -> None:
    assert {name: skip_100(service, sent) for name, (sent, _) in ANSWERED.items()} == {
        name: status for name, (_, status) in ANSWERED.items()
    }


def skip_100(service: GuardedProcess, sent: bytes) -> int:
    with connect(service.port) as connection:
        connection.sendall(sent)
        answer = read(connection)
        if answer.status != 100:
            return answer.status
        return int(answer.rest.split()[1]) if answer.rest else read(connection).status


def test_who_waits_for_a_100_is_told_to_send_the_body_unless_it_speaks_http_1_0(service: GuardedProcess) -> None:
    with connect(service.port) as connection:
        connection.sendall(post("Expect: 100-continue", "Content-Length: 2"))
        assert read(connection).status == 100
        connection.sendall(b"{}")
        assert read(connection).status == 200
    old = post("Expect: 100-continue", body=b"{}").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert send(service.port, old).status == 200


@pytest.mark.parametrize("method", ["POST", "HEAD"])
def test_an_answer_before_its_body_has_come_says_that_it_is_the_last_on_its_connection(
    service: GuardedProcess, method: str
) -> None:
    early = request(method, "/no-such-path", JSON, "Content-Length: 2")
    with connect(service.port) as connection:
        connection.sendall(early + b"{}")
        assert "connection" not in read(connection, has_body=method != "HEAD").headers
        connection.sendall(early)
        answer = read(connection, has_body=method != "HEAD")
        assert (answer.status, answer.headers["connection"]) in ((404, "close"), (405, "close"))
        connection.sendall(b"{}" + request("GET", "/health"))
        assert connection.recv(1) == b"", "nothing follows"


def test_the_head_and_the_body_of_an_answer_come_at_once(service: GuardedProcess) -> None:
    with connect(service.port) as connection:
        for _ in range(50):
            connection.sendall(request("GET", "/health"))
            head, _, body = connection.recv(65_536).partition(b"\r\n\r\n")
            assert f"content-length: {len(body)}".encode() in head


def test_a_request_beyond_a_limit_or_with_two_meanings_is_refused_with_a_problem(service: GuardedProcess) -> None:
    answers = {name: send(service.port, sent) for name, (sent, _) in REFUSED.items()}
    assert {name: answer.status for name, answer in answers.items()} == {
        name: status for name, (_, status) in REFUSED.items()
    }
    for name, answer in answers.items():
        assert answer.document["status"] == answer.status, name
        assert answer.code == answer.document["code"] != "", name
        assert len(answer.rest) < 500, f"{name}: no answer repeats what was sent"
        assert answer.status != 405 or "GET" in answer.headers["allow"], name


def test_oversized_requests_from_many_connections_at_once_take_no_memory(service: GuardedProcess) -> None:
    base = service.memory()
    large = [sent for name, (sent, _) in REFUSED.items() if len(sent) >= MEGABYTE]
    assert len(large) >= 8
    connections = [connect(service.port) for _ in range(64)]
    for turn in range(16):  # a part of each in turn, so that all of them are under way at once
        for number, connection in enumerate(connections):
            part = large[number % len(large)][turn * 65_536 : (turn + 1) * 65_536]
            try:
                connection.sendall(part)
            except ConnectionError:
                continue  # refused already
    peak = service.memory()
    for connection in connections:
        connection.close()
    assert peak < 1.5 * base
    assert send(service.port, request()).status == 200


def test_thousands_of_requests_on_one_connection_are_answered_in_order_and_take_no_memory(
    service: GuardedProcess,
) -> None:
    base, count = service.memory(), 3_000
    asked = [request("GET", f"/nothing-{number}") for number in range(count)]
    with connect(service.port) as connection:
        connection.settimeout(PATIENCE)
        answers, sent, data = b"", 0, b"".join(asked)
        connection.settimeout(0)
        while answers.count(b"HTTP/1.1 404") < count or not answers.endswith(b"}"):
            if sent < len(data):
                with contextlib.suppress(BlockingIOError):
                    sent += connection.send(data[sent : sent + 200_000])
            try:
                more = connection.recv(1 << 20)
            except BlockingIOError:
                continue
            assert more, "the connection was closed"
            answers += more
    places = [answers.index(b'nothing at /nothing-%d"' % number) for number in range(0, count, 100)]
    assert places == sorted(places)
    assert service.memory() < 1.3 * base


@pytest.mark.parametrize("framing", ["length", "chunks", "length, to an unknown path"])
@pytest.mark.parametrize("size", [1, 400, 1_500, 9_000])
def test_requests_with_bodies_that_are_sent_in_one_go_are_all_answered(
    service: GuardedProcess, size: int, framing: str
) -> None:
    body, count = b"{%b}" % (b" " * size), 30
    if framing == "chunks":
        asked = post(CHUNKED) + chunk(body[:2]) + chunk(body[2:]) + END
    elif framing == "length":
        asked = post(body=body)
    else:
        asked = request("POST", "/nothing", JSON, body=body)
    with connect(service.port) as connection:
        connection.sendall(asked * count + request("GET", "/health", "Connection: close"))
        connection.settimeout(PATIENCE)
        answers = b""
        while more := connection.recv(65_536):
            answers += more
    assert answers.count(b"HTTP/1.1 404" if "unknown" in framing else b"HTTP/1.1 200") >= count
    assert answers.count(b"HTTP/1.1 ") == count + 1


def test_what_follows_complete_requests_and_is_no_http_ends_the_connection_after_their_answers(
    service: GuardedProcess,
) -> None:
    with connect(service.port) as connection:
        connection.sendall(request() * 3 + b"\0\0\0\r\n\r\n")
        answers = b""
        while more := connection.recv(65_536):
            answers += more
    assert answers.count(b"HTTP/1.1 200") == 3


def test_a_caller_who_never_reads_answers_costs_a_constant_and_delays_nobody(service: GuardedProcess) -> None:
    base = service.memory()
    deaf: list[socket.socket] = []
    for _ in range(50):
        connection = connect(service.port)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        connection.settimeout(0)
        deaf.append(connection)
    asked = request("GET", "/openapi.json") * 50
    for _ in range(5):
        for connection in deaf:
            try:
                connection.send(asked)
            except BlockingIOError:
                continue
        assert send(service.port, request()).status == 200
    assert service.memory() < 1.5 * base
    for connection in deaf:
        connection.close()
