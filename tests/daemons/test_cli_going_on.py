"""Commands that go on outlive the moment in which their key is written anew, and end when it is really refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from daemons.cli import rebuild, services
from daemons.cli.main import app

EVENT: dict[str, Any] = {
    "timestamp": "2026-01-01T00:00:00Z", "event_type": "OrderCreated", "aggregate_type": "order", "aggregate_id": "o",
    "version": 1, "payload": {}, "position": 8,
}  # fmt: skip
REBUILD: dict[str, Any] = {
    "id": 1, "group": "orders", "purpose": "rebuild", "state": "building", "note": "", "position": 1, "end": 2,
    "rate": 0, "seconds_left": None, "revision": "1", "ended_at": None, "keep_until": None, "requested_by": "ada",
}  # fmt: skip


class KeyedService:
    """Answers who shows the key it knows, and then changes the file: what each answer leaves there is in `writes`."""

    def __init__(self, key: Path, first: object) -> None:
        self.key, self.first = key, first
        self.knows, self.then = "od_new", (200, {"events": [EVENT], "head": 8, "next_after": 8, "rebuilds": [REBUILD]})
        self.writes, self.shown, self.looks = ["", "od_n", "od_new"], list[str](), 0

    def answer(self, path: str, key: str) -> tuple[int, object]:
        if path == "/health":
            self.looks += not self.key.read_text()
            if self.looks > 1:
                self.write()
            return 200, {"status": "healthy"}
        self.shown.append(key)
        if len(self.shown) == 1:
            self.write()
            return 200, self.first
        if key != self.knows:
            self.write()
            return 401, {"error": "the key is not valid"}
        self.knows = ""  # it is revoked
        return self.then

    def write(self) -> None:
        if self.writes:
            self.looks = 0
            self.key.write_text(self.writes.pop(0))


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyedService]:
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_text("od_old")
    desk = KeyedService(key, {"events": [], "head": 7, "next_after": 7})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, body = desk.answer(self.path.partition("?")[0], said)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the name is http.server's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    for name in ("QUERY_URL", "COMMAND_URL"):
        monkeypatch.setenv(f"ORDERDECK_{name}", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("ORDERDECK_API_KEY_FILE", str(key))
    monkeypatch.setattr(services, "ASK_AGAIN", 0.05)
    monkeypatch.setattr(services, "KEY_IS_WRITTEN", 1.0)
    monkeypatch.setattr(services, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(rebuild, "PRINT_EVERY", 0.0)
    yield desk
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("command", ["events --follow", "rebuild orders --follow"])
def test_a_key_that_is_just_being_written_ends_no_command_that_goes_on_but_one_that_is_revoked_does(
    service: KeyedService, command: str
) -> None:
    done = CliRunner().invoke(app, command.split())
    assert service.shown[:3] == ["od_old", "od_n", "od_new"]
    assert "OrderCreated" in done.stdout or "building" in done.stdout
    assert done.exit_code == 1
    assert done.stderr.rstrip().endswith("orderdeck: the key is not valid")


def test_a_command_that_waits_for_lists_of_an_earlier_moment_outlives_a_new_key(
    service: KeyedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.first = {"detail": "made up to position 3"}
    real = service.answer
    monkeypatch.setattr(service, "answer", lambda path, key: _made(real(path, key), service.first))
    done = CliRunner().invoke(app, ["events", "--as-of", "09:00"])
    assert (done.exit_code, "OrderCreated" in done.stdout) == (0, True), done.output
    assert service.shown == ["od_old", "od_old", "od_n", "od_new"]


def _made(said: tuple[int, object], waiting: object) -> tuple[int, object]:
    return (202, waiting) if said[1] is waiting else said
