"""Requests that name another host (DNS rebinding), or come from web pages of other origins, to every daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon_process import DaemonProcess
from tests.support.guarded_process import GuardedProcess, guarded_process
from tests.support.raw_http import RawAnswer, request, send
from tests.support.stack import until

JSON = "Content-Type: application/json"
LISTED = "https://desk.example.com"
SETTINGS = {
    "ORDERDECK_HOSTS": "desk.example.com, *.desk.lan, 192.0.2.7, [2001:db8::1]",
    "ORDERDECK_CORS_ORIGINS": f"{LISTED}, http://localhost:3000",
}
OURS = [
    "localhost", "LocalHost", "localhost.", "localhost:1", "localhost:", "127.0.0.1", "127.0.0.1:8080", "127.9.8.7",
    "[::1]", "[::1]:8081", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]", "ip6-localhost",
    "desk.example.com", "DESK.example.com.:443", "a.desk.lan", "a.b.desk.lan:80", "192.0.2.7", "[2001:DB8:0::1]:9",
]  # fmt: skip
STRANGERS = [
    "evil.example", "localhost.evil.example", "evil.localhost", "desk.example.com.evil.example", "example.com",
    "a.desk.example.com", "desk.lan", "xdesk.lan", "localhost..",
    ".".join("0000"), "0", "127.1", "2130706433", "0x7f.1",
    "10.0.0.1", "192.0.2.8", "169.254.169.254", "[::]", "[2001:db8::2]", "[::ffff:10.0.0.1]", "-",
]  # fmt: skip
MALFORMED = [
    "", " ", "user@localhost", "user:secret@localhost", "localhost:x", "localhost:-1", "localhost:65536",
    "localhost:1:2",
    "localhost/", "localhost?", "localhost#", "http://localhost", "localhost, localhost", "local host", "[::1", "::1",
    "[::1]x", "[::g]", "[::1%25lo]", "[localhost]", "l\xf6calhost", "localhost\\@evil.example", "*", "*.desk.lan",
]  # fmt: skip
OWN_PAGES = [
    (), ("Origin: http://localhost",), ("Origin: http://LOCALHOST:80",), ("Origin: https://localhost",),
    ("Sec-Fetch-Site: same-origin",), ("Sec-Fetch-Site: none",), ("Sec-Fetch-Site: same-site",),
    ("Origin: http://localhost", "Sec-Fetch-Site: same-origin"),
]  # fmt: skip
FOREIGN_PAGES = [
    ("Origin: http://evil.example",), ("Origin: null",), ("Origin: ",), ("Origin: localhost",), ("Origin: *",),
    ("Origin: http://localhost:3001",), ("Origin: https://localhost:80",), ("Origin: http://localhost.evil.example",),
    ("Origin: http://desk.example.com",), (f"Origin: {LISTED}.evil.example",), (f"Origin: {LISTED}:444",),
    (f"Origin: {LISTED}, http://evil.example",), ("Origin: http://user@localhost",), ("Origin: file://",),
    ("Sec-Fetch-Site: cross-site",), ("Sec-Fetch-Site: Cross-Site",),
    ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"),
    ("Origin: http://localhost", "Sec-Fetch-Site: cross-site"),
]  # fmt: skip


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedProcess]:
    with guarded_process(tmp_path_factory.mktemp("strangers"), **SETTINGS) as service:
        yield service
        assert "Traceback" not in service.log.read_text()


def switch_outage_on(service: GuardedProcess, *headers: str, kind: str = JSON) -> RawAnswer:
    return send(service.port, request("POST", "/faults", kind, *headers, body=b'{"outage": true}'))


def test_a_request_has_to_name_this_service_in_its_host(service: GuardedProcess) -> None:
    def status(host: str) -> tuple[int, str]:
        answer = send(service.port, request(host=host))
        return answer.status, answer.code

    assert {host: status(host) for host in OURS} == dict.fromkeys(OURS, (200, ""))
    assert {host: status(host) for host in STRANGERS} == dict.fromkeys(STRANGERS, (421, "host_not_allowed"))
    assert {host: status(host) for host in MALFORMED} == dict.fromkeys(MALFORMED, (400, "host_malformed"))
    assert send(service.port, request(host=None)).code == "host_malformed"
    assert send(service.port, request("GET", "/health", "Host: localhost")).code == "header_repeated"
    assert send(service.port, request("GET", "http://evil.example/health", host="evil.example")).status == 421


def test_a_page_of_another_origin_can_neither_read_nor_change_anything(service: GuardedProcess) -> None:
    for headers in FOREIGN_PAGES:
        for target in ("/health", "/metrics", "/ledger", "/faults", "/openapi.json", "/nothing"):
            answer = send(service.port, request("GET", target, *headers))
            assert (answer.status, answer.code) == (403, "origin_not_allowed"), (target, headers)
            assert "access-control-allow-origin" not in answer.headers
        for kind in (JSON, "Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded"):
            assert switch_outage_on(service, *headers, kind=kind).status == 403, headers
        asked = request("OPTIONS", "/faults", *headers, "Access-Control-Request-Method: POST")
        assert send(service.port, asked).status == 403, headers
    assert send(service.port, request("GET", "/faults")).document["outage"] is False
    for headers in OWN_PAGES:
        assert send(service.port, request("GET", "/health", *headers)).status == 200, headers


def test_a_page_of_a_listed_origin_may_read_and_change_what_it_is_answered(service: GuardedProcess) -> None:
    for origin in (LISTED, "http://localhost:3000"):
        asked = request("OPTIONS", "/faults", f"Origin: {origin}", "Access-Control-Request-Method: PUT")
        preflight = send(service.port, asked)
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == origin
        assert "PUT" in preflight.headers["access-control-allow-methods"]
        assert "Idempotency-Key" in preflight.headers["access-control-allow-headers"]
        for target, status in (("/faults", 200), ("/health", 200), ("/nothing", 404)):
            answer = send(service.port, request("GET", target, f"Origin: {origin}", "Sec-Fetch-Site: cross-site"))
            assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, origin)
            assert answer.headers["vary"] == "Origin"
            assert "access-control-allow-credentials" not in answer.headers
    assert switch_outage_on(service, f"Origin: {LISTED}").document["outage"] is True
    send(service.port, request("POST", "/faults", JSON, body=b"{}"))


def test_every_get_is_answered_to_head_and_every_path_says_its_methods(service: GuardedProcess) -> None:
    for target in ("/health", "/ready", "/metrics", "/ledger", "/faults", "/openapi.json", "/docs"):
        whole, head = (send(service.port, request(method, target)) for method in ("GET", "HEAD"))
        assert (head.status, head.headers["content-type"]) == (200, whole.headers["content-type"]), target
        assert head.rest == b""
        options = send(service.port, request("OPTIONS", target))
        assert options.status == 204
        assert {"GET", "HEAD", "OPTIONS"} <= set(options.headers["allow"].split(", ")), target
        refused = send(service.port, request("DELETE", target))
        assert (refused.status, refused.code) == (405, "method_not_allowed")
        assert "HEAD" in refused.headers["allow"]
    assert send(service.port, request("HEAD", "/nothing")).status == 404
    void = "/api/v1/charges/00000000-0000-0000-0000-000000000000/void"
    assert send(service.port, request("HEAD", void)).status == 405


def test_a_body_with_a_content_encoding_is_refused(service: GuardedProcess) -> None:
    for coding in ("gzip", "GZIP", "br", "deflate", "zstd", "x", "gzip, gzip", "identity, gzip"):
        assert switch_outage_on(service, f"Content-Encoding: {coding}").code == "unsupported_media_type", coding
    assert switch_outage_on(service, "Content-Encoding: identity", "Content-Encoding: gzip").status == 415
    for coding in ("identity", "Identity", ""):
        answer = send(service.port, request("POST", "/faults", JSON, f"Content-Encoding: {coding}", body=b"{}"))
        assert answer.status == 200, coding


def test_a_problem_does_not_repeat_a_long_path(service: GuardedProcess) -> None:
    answer = send(service.port, request("GET", "/" + "y" * 5_000))
    assert (answer.status, answer.code) == (404, "not_found")
    assert len(answer.rest) < 500


def test_every_daemon_has_the_same_guard_also_while_its_database_is_away(tmp_path: Path) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
    names = ("command_api", "query_api", "projector", "saga_runner")
    daemons = [DaemonProcess(name, nowhere, tmp_path) for name in names]
    try:
        for daemon in daemons:
            daemon.start()
        for daemon in daemons:
            until(lambda port=daemon.port: listens(port))
            for target in ("/health", "/ready", "/metrics", "/api/v1/orders"):
                assert send(daemon.port, request("GET", target, host="evil.example")).status == 421, daemon.name
                assert send(daemon.port, request("GET", target, "Origin: http://evil.example")).status == 403
                assert send(daemon.port, request("GET", target, *["A: b"] * 100)).status == 431
            assert send(daemon.port, request("HEAD")).status == 200
            assert send(daemon.port, request("POST")).status == 405
            away = send(daemon.port, request("GET", "/api/v1/events/stream", "Accept: text/event-stream"))
            assert (away.status, away.headers["content-type"]) == (200, "text/event-stream; charset=utf-8"), daemon.name
            assert away.rest.startswith(b"retry: ")
            assert send(daemon.port, request("GET", "/api/v1/events/stream")).status == 503
    finally:
        for daemon in daemons:
            daemon.kill()


def listens(port: int) -> bool:
    try:
        return send(port, request()).status == 200
    except OSError:
        return False
