"""Ports that are taken and that no setting names are replaced, and written where later commands find them."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import ConfigurationError
from core.settings import Settings, env_names, load_settings
from daemons.host import stack
from daemons.host.other_ports import move_to_other_ports
from daemons.process.listening import PortTaken, bind, must_bind
from daemons.process.program_list import PROGRAMS, counts_in
from tests.support.stack import ROOT


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of somebody who has set nothing, in an empty folder."""
    for field in Settings.model_fields:
        for name in env_names(field):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return load_settings()


@contextlib.contextmanager
def taken(*ports: int) -> Iterator[None]:
    """These ports are taken while the block runs: by us, or already by another program of this machine."""
    with contextlib.ExitStack() as sockets:
        for port in ports:
            with contextlib.suppress(OSError):
                sockets.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


def ports_in(settings: Settings) -> dict[str, int]:
    return {field: getattr(settings, field) for program in PROGRAMS for field in (program.port, program.also) if field}


def test_a_taken_port_is_replaced_and_later_commands_know_the_new_one(settings: Settings) -> None:
    with taken(8081, 18081, 9104):
        moved, sentences = move_to_other_ports(settings, counts_in(settings))
    assert moved.query_port in {28081, 38081, 48081}
    assert moved.notifier_port in {19104, 29104, 39104}
    assert any(
        text.startswith("port 8081 is taken")
        and text.endswith(f"ORDERDECK_QUERY_PORT={moved.query_port}, as .env now says")
        for text in sentences
    )
    assert ports_in(load_settings()) == ports_in(moved)


def test_what_is_in_the_file_already_stays(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ORDERDECK_HOSTS=desk.lan")  # without an end of line
    with taken(8081):
        moved, _ = move_to_other_ports(load_settings(), counts_in(settings))
    again = load_settings()
    assert (again.hosts, again.query_port) == ("desk.lan", moved.query_port)


def test_a_port_that_a_setting_names_is_never_replaced(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERDECK_QUERY_PORT", "8081")
    with taken(8081):
        moved, sentences = move_to_other_ports(load_settings(), counts_in(settings))
    assert moved.query_port == 8081
    assert not any("QUERY" in text for text in sentences)


def test_where_others_could_change_the_file_nothing_is_written_to_it(
    settings: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / ".env"
    file.touch()
    file.chmod(0o666)
    with taken(8081), pytest.raises(ConfigurationError, match="ORDERDECK_QUERY_PORT"):
        move_to_other_ports(settings, counts_in(settings))
    assert not file.read_text()
    assert "everybody may write it" in capfd.readouterr().err


def test_of_two_at_once_the_second_starts_with_what_the_first_has_written(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERDECK_HOME", str(tmp_path / "home"))
    with socket.create_server(("127.0.0.1", 0)) as named, socket.create_server(("127.0.0.1", 0)) as written:
        monkeypatch.setenv("ORDERDECK_PAYMENT_PORT", str(named.getsockname()[1]))  # so nothing is started in any case
        second = load_settings()
        (tmp_path / ".env").write_text(f"ORDERDECK_QUERY_PORT={written.getsockname()[1]}\n")
        with pytest.raises(ConfigurationError, match=f"port {written.getsockname()[1]} is taken"):
            stack.up(second, moved=print)


def test_the_page_on_a_second_orderdeck_names_every_port() -> None:
    page = (ROOT / "docs/how-to/run-beside-another.md").read_text()
    fields = [field for program in PROGRAMS for field in (program.port, program.also) if field]
    assert [name for field in fields if (name := env_names(field)[0]) not in page] == []


def test_a_port_that_no_process_holds_any_more_is_waited_for(settings: Settings) -> None:
    here, there = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        socket.send_fds(here, [b"-"], [listener.fileno()])  # what is sent is open, though no process holds it
    with pytest.raises(PortTaken) as caught:
        bind(settings, "query_port", port)
    assert not caught.value.has_owner
    leaving = threading.Timer(0.2, lambda: (here.close(), there.close()))
    leaving.start()
    must_bind(settings, "query_port", port)
    leaving.join()
