"""What a proxy says about its clients counts only when the proxy is trusted, and nobody can pretend to be another."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from core.settings import Settings
from daemons.process.guard.proxies import FORWARDED_FOR, FORWARDED_PROTO, Proxies

TRUSTED = Proxies(["10.0.0.5", "10.1.0.0/24", "2001:db8:1::/48"])


def client(peer: str, forwarded: str = "", proto: str = "", proxies: Proxies = TRUSTED) -> tuple[str, str]:
    scope: dict[str, Any] = {"client": (peer, 4711), "scheme": "http"}
    seen = {FORWARDED_FOR: forwarded.encode("latin-1"), FORWARDED_PROTO: proto.encode("latin-1")}
    proxies.note_client(scope, {name: value for name, value in seen.items() if value})
    return scope["client"][0], scope["scheme"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("10.0.0.5", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.5", "1.1.1.1, 192.0.2.1", "192.0.2.1"),  # what stands left of the client may be made up
        ("10.0.0.5", "192.0.2.1, 10.1.0.7", "192.0.2.1"),  # two proxies, both trusted
        ("10.0.0.5", "192.0.2.1,10.9.0.7", "10.9.0.7"),  # the second one is not
        ("10.0.0.5", "10.1.0.1, 10.1.0.2", "10.1.0.1"),
        ("10.0.0.5", "192.0.2.1:4711", "192.0.2.1"),
        ("10.0.0.5", "[2001:db8::7]:4711", "2001:db8::7"),
        ("10.0.0.5", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.5", "::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:10.0.0.5", "192.0.2.1", "192.0.2.1"),
        ("2001:db8:1::9", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.6", "192.0.2.1", "10.0.0.6"),  # nobody's proxy
        ("192.0.2.9", "10.0.0.5", "192.0.2.9"),
        ("", "192.0.2.1", ""),
        ("10.0.0.5", "", "10.0.0.5"),
        *(
            ("10.0.0.5", wrong, "10.0.0.5")
            for wrong in ("unknown", "_hidden", "localhost", "192.0.2.1, unknown", ",", "1.2.3", "[", "a:b:c", "\xff")
        ),
        ("10.0.0.5", "192.0.2.1, unknown, 10.1.0.3", "10.1.0.3"),
        ("10.0.0.5", ", ".join(["192.0.2.1"] + ["10.1.0.3"] * 50), "10.1.0.3"),  # only so many are looked at
    ],
)  # fmt: skip
def test_the_client_is_the_last_address_that_is_no_trusted_proxy(peer: str, forwarded: str, found: str) -> None:
    assert client(peer, forwarded)[0] == found


def test_the_scheme_is_that_which_the_nearest_proxy_says() -> None:
    assert client("10.0.0.5", proto="https")[1] == "https"
    assert client("10.0.0.5", proto="http, HTTPS ")[1] == "https"
    for peer, proto in (("10.0.0.6", "https"), ("10.0.0.5", "gopher"), ("10.0.0.5", "")):
        assert client(peer, proto=proto)[1] == "http"


@pytest.mark.parametrize("wrong", ["proxy.lan", "10.0.0.0/33", "0.0.0.0/0", "::/0", "10.0.0.5:80", "*"])
def test_a_wrong_list_of_proxies_is_refused_with_a_sentence(wrong: str) -> None:
    with pytest.raises(ValidationError, match=r"must be an address or a network|is every address"):
        Settings(trusted_proxies=wrong)
