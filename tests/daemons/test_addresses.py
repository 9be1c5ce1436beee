"""ORDERDECK_HOST in every form: the services listen there, and every address that is made from it leads to them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from core.errors import ConfigurationError
from core.settings import Settings, load_settings, reachable
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


@pytest.mark.parametrize(
    ("address", "wrong"),
    [
        ("http://user:secret@payments.example.com", "must have no user or password"),
        ("https://payments.example.com?x=1", r"must have no \? and no #"),
        ("https://payments.example.com/#x", r"must have no \? and no #"),
        *(
            (f"http://{none}", "must have the name of a machine")
            for none in ("", "a..b", "a" * 64, "[zz", "a:0", "a:x")
        ),
        ("ftp://payments.example.com", "must begin with http://"),
    ],
)
def test_an_address_at_which_no_payment_provider_could_be_called_is_refused(
    address: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORDERDECK_PAYMENT_URL", address)
    with pytest.raises(ConfigurationError, match=wrong) as refused:
        load_settings()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("address", ["", "http://[::1]:8090", "https://payments.example.com/v2/", "http://sandbox"])
def test_an_address_of_a_payment_provider_may_have_a_port_and_a_path(address: str) -> None:
    assert Settings(payment_url=address).payment_url == address


def test_the_address_of_payments_that_up_shows_is_that_of_the_provider_that_is_called() -> None:
    assert (
        urls(Settings(payment_url="https://payments.example.com/v2/"))["payments"] == "https://payments.example.com/v2"
    )
    assert urls(Settings(payment_url="", payment_port=9090))["payments"] == "http://127.0.0.1:9090"
    assert "grpc" not in urls(Settings(grpc=False))
    assert urls(Settings(grpc=True, grpc_port=9182))["grpc"] == "127.0.0.1:9182"
