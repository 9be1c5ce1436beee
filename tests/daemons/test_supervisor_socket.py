"""Whatever listens at supervisord's socket: one sentence, soon, and no more memory than an answer may have."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import tracemalloc
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import Unavailable
from daemons.cli.deck import open_daemons
from daemons.host import deck_daemons
from daemons.host.deck_daemons import SupervisedDaemons
from daemons.host.supervisor_socket import SupervisorSocket
from tests.support.hostile_service import CHUNK, DRIPPING, ENDLESS, NINES, OSC, answer, bomb
from tui.daemons import DaemonsError

ENTITIES = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">%s]>
<methodResponse><params><param><value><string>&z;</string></value></param></params></methodResponse>""" % b"".join(
    b'<!ENTITY %c "%s">' % (n + 1, b"&%c;" % n * 10) for n in range(ord("a"), ord("z"))
)
FILE = b"""<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]>
<methodResponse><params><param><value><string>&f;</string></value></param></params></methodResponse>"""


class Listener:
    """Answers every call on a socket with `says`, then sends `rest` again and again; keeps the calls it got."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.says, self.rest, self.pause = b"", b"", 0.0
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self._stop = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._stop.set()
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            asked = b""
            while b"</methodCall>" not in asked:
                asked += connection.recv(65536) or b"</methodCall>"
            arguments, method = xmlrpc.client.loads(asked.partition(b"\r\n\r\n")[2])
            self.calls.append((str(method), arguments))
            connection.sendall(self.says)
            while self.rest and not self._stop.wait(self.pause):
                connection.sendall(self.rest)


@pytest.fixture
def listener(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setattr(deck_daemons, "CALL_LIMIT", 0.5)
    listener = Listener(tmp_path_factory.mktemp("sv") / "s")
    yield listener
    listener.close()


def reply(value: Any) -> bytes:
    return answer(xmlrpc.client.dumps((value,), methodresponse=True, allow_none=True).encode())


def status(number: int) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % number


def info(**changes: Any) -> dict[str, Any]:
    known: dict[str, Any] = {"name": "projector", "group": "projector", "statename": "RUNNING", "pid": 7, "start": 100}
    return known | {"now": 160, "exitstatus": 0, "description": "pid 7", "stderr_logfile": ""} | changes


async def sentence_of(daemons: SupervisedDaemons) -> str:
    with pytest.raises(DaemonsError) as caught:
        await daemons.states()
    said = str(caught.value)
    assert said.isprintable(), said
    assert len(said) < 400, said
    return said


async def test_a_strange_answer_becomes_one_sentence_in_time_and_in_little_memory(listener: Listener) -> None:
    daemons = SupervisedDaemons(listener.path)
    cases: dict[str, tuple[bytes, str]] = {
        "nothing": (b"", "supervisord does not answer"),
        "not HTTP": (b"\x00\xff" * 99, "supervisord does not answer"),
        "an empty body": (answer(b""), "is no supervisord"),
        "not XML": (answer(b"hello"), "is no supervisord"),
        "another document": (answer(b"<html></html>"), "is no supervisord"),
        "half a document": (reply([info()])[:-40], "supervisord"),
        "entities that expand": (answer(ENTITIES), "is no supervisord (it declares entities)"),
        "an entity that reads a file": (answer(FILE), "is no supervisord (it declares entities)"),
        "the same in UTF-16": (answer(ENTITIES.decode().encode("utf-16")), "is no supervisord"),
        "compressed zeros": (bomb(50), "supervisord does not answer"),
        "a number without end": (answer(reply(1).replace(b"1</int>", NINES.encode() + b"9</int>")), "supervisord"),
        "a text": (reply("fine"), "cannot read"),
        "no list": (reply({"name": "projector"}), "cannot read"),
        "a field is missing": (reply([{"name": "projector"}]), "cannot read"),
        "a field has another type": (reply([info(pid=OSC)]), "cannot read"),
        "deep nesting": (
            answer(b"<methodResponse><params><param>" + b"<value><array><data>" * 100_000),
            "is no supervisord",
        ),
        "no program of ours": (reply([info(group="nginx", name="nginx")]), "runs no program of orderdeck"),
        "a password": (status(401), "wants a name and a password"),
        "another web server": (status(404), "is no supervisord: it answers with 404"),
        "an error of its own": (status(500), "has met an error"),
        "an unknown method": (
            answer(xmlrpc.client.dumps(xmlrpc.client.Fault(1, "UNKNOWN_METHOD")).encode()),
            "of another version",
        ),
        "its shutdown": (answer(xmlrpc.client.dumps(xmlrpc.client.Fault(6, "SHUTDOWN")).encode()), "shutting down"),
        "a fault of no number": (
            answer(xmlrpc.client.dumps(xmlrpc.client.Fault("x", OSC)).encode()),  # type: ignore[arg-type]
            "supervisord refuses",
        ),
    }
    for what, (says, words) in cases.items():
        listener.says = says
        assert words in await sentence_of(daemons), what
    tracemalloc.start()
    for says, rest, pause in ((ENDLESS, CHUNK, 0.0), (DRIPPING, b" ", 0.05)):
        listener.says, listener.rest, listener.pause = says, rest, pause
        began = time.monotonic()
        assert "supervisord" in await sentence_of(daemons)
        assert time.monotonic() - began < 5
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 80 * 1024 * 1024
    assert {method for method, _ in listener.calls} == {"supervisor.getAllProcessInfo"}


async def test_hostile_names_are_cleaned_and_foreign_programs_are_never_called(listener: Listener) -> None:
    daemons = SupervisedDaemons(listener.path)
    listener.says = reply(
        [
            info(name="rm -rf", group="rm -rf"),
            info(name=OSC, description=OSC * 99, statename=OSC),
            info(name="*"),
            info(pid=2**31 - 1, start=2**31 - 1, now=0),
        ]
    )
    states = await daemons.states()
    assert {state.group for state in states} == {"projector"}
    for state in states:
        assert all(str(value).isprintable() for value in vars(state).values()), state
    with pytest.raises(DaemonsError, match="no program rm -rf of orderdeck"):
        await daemons.stop("rm -rf")
    assert {method for method, _ in listener.calls} == {"supervisor.getAllProcessInfo"}


async def test_a_socket_that_is_dead_missing_or_closed_to_us_is_told_apart(
    listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(listener.path.with_name("dead")))
    dead = SupervisedDaemons(listener.path.with_name("dead"))
    assert "supervisord, or what forwards its socket, has ended" in await sentence_of(dead)
    assert "there is no socket" in await sentence_of(SupervisedDaemons(tmp_path / "none"))
    (tmp_path / "file").write_text("no socket")
    assert "what forwards its socket, has ended" in await sentence_of(SupervisedDaemons(tmp_path / "file"))
    assert "supervisord does not answer" in await sentence_of(SupervisedDaemons(tmp_path / ("long" * 50)))

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr("daemons.host.supervisor_socket.exchange", forbidden)
    with pytest.raises(Unavailable, match="this user may not use the socket"):
        SupervisorSocket(listener.path).call("getState")


def test_the_deck_steers_the_daemons_of_this_home_only_when_it_shows_its_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERDECK_HOME", str(tmp_path))
    monkeypatch.setenv("ORDERDECK_COMMAND_PORT", "21080")
    monkeypatch.setenv("ORDERDECK_QUERY_PORT", "21081")
    here = ("http://127.0.0.1:21080", "http://127.0.0.1:21081/")
    own = open_daemons("", *here)
    assert own is not None
    assert own.where.endswith("supervisor.sock")
    for commands, queries in (("http://desk.example:8080", here[1]), (here[0], "http://desk.example:8081")):
        assert open_daemons("", commands, queries) is None
    for given, place in (("unix:/run/s", "/run/s"), ("unix:///run/s", "/run/s"), ("unix:s", "s")):
        far = open_daemons(given, "http://desk.example:8080", "http://desk.example:8081")
        assert far is not None
        assert Path(far.where.removeprefix("unix:")) == Path(place)
    monkeypatch.setenv("ORDERDECK_NOTHING", "1")
    assert open_daemons("", *here) is None
