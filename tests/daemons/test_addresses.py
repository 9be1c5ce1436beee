"""ORDERDECK_HOST in every form: the services listen there, and every address that is made from it leads to them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from core.errors import ConfigurationError
from core.settings import Settings, reachable
from daemons.host.status import urls
from daemons.process.listening import listen
from tests.support.ports import free_port

HOSTS = {
    "127.0.0.1": "127.0.0.1",
    "0.0.0.0": "127.0.0.1",  # noqa: S104 - what is tested
    "::1": "[::1]",
    "[::1]": "[::1]",
    "0:0:0:0:0:0:0:1": "[::1]",
    "::": "[::1]",
    "[::]": "[::1]",
    "::ffff:127.0.0.1": "127.0.0.1",
    "localhost": "localhost",
}


@pytest.mark.parametrize("host", HOSTS)
def test_every_address_that_is_made_from_the_host_can_be_reached(host: str) -> None:
    settings = Settings(host=host, allow_anonymous=True, home=Path("/nowhere"), command_port=free_port())
    assert reachable(settings.host) == HOSTS[host]
    made = {settings.commands_at, urls(settings)["commands"]}
    assert made == {f"http://{HOSTS[host]}:{settings.command_port}"}
    with listen(settings, "command_port"):
        socket.create_connection((HOSTS[host].strip("[]"), settings.command_port), timeout=5).close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]", "::ffff:0.0.0.0"])  # noqa: S104 - what is tested
def test_listening_beyond_this_machine_has_to_be_allowed_in_every_form(host: str) -> None:
    settings = Settings(host=host, home=Path("/nowhere"), command_port=free_port())
    with pytest.raises(ConfigurationError, match="ORDERDECK_REQUIRE_KEYS=true"):
        listen(settings, "command_port")


@pytest.mark.parametrize("host", ["http://localhost", "localhost:8080", "[::1]:8080", "no such name", "1.2.3.4.5"])
def test_a_host_that_is_none_is_refused_in_a_sentence(host: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an address of this machine"):
        listen(Settings(host=host, home=Path("/nowhere"), command_port=free_port()), "command_port")
