"""Addresses that webhooks may have, and those that nobody could ever be called at."""

from __future__ import annotations

import ipaddress

import pytest

from core.services.webhook_urls import wrong_url

OWN = [ipaddress.ip_network("10.1.0.0/16")]


def said(host: str, *, own: bool = False) -> str:
    return wrong_url(f"https://{host}/orders", OWN if own else []) or ""


@pytest.mark.parametrize(
    "host", ["shop.invalid", "SHOP.INVALID.", "a.onion", "shop.alt", "shop.123", "1.2.3.4.5", "shop.0x7f"]
)
def test_a_name_that_no_system_ever_finds_is_refused(host: str) -> None:
    assert said(host).startswith("must have a host name that can be found: none ends in .")


@pytest.mark.parametrize("host", ["[v1.a]", "[v1.fe80]:443", "[2606:4700::1].", "[2606:4700::1]x"])
def test_an_address_in_brackets_that_is_no_ipv6_is_refused(host: str) -> None:
    assert said(host).startswith("is no address")


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        *(
            (host, False)
            for host in ("a..b", "shop.example..", ".shop.example", "-a.example", "a-.example", f"{64 * 'a'}.b")
        ),
        *(
            (host, True)
            for host in ("shop_1.example", "shop.example.", "8.8.8.8", "134744072", "x--y.example", f"{63 * 'a'}.b")
        ),
    ],
)
def test_a_host_name_has_labels_of_1_to_63_characters(host: str, fits: bool) -> None:  # noqa: FBT001 - a parameter
    assert said(host) == ("" if fits else "must have a host name, or an IP address")


@pytest.mark.parametrize(
    "host",
    ["shop", "shop.", "shop.local", "SHOP.LOCAL.", "shop.home.arpa", "home.arpa", "metadata.google.internal", "a.test"],
)
def test_a_name_of_ones_own_network_is_refused_unless_the_setting_has_a_network(host: str) -> None:
    assert "can be found in one's own network only, and ORDERDECK_WEBHOOK_NETWORKS has none" in said(host)
    assert not said(host, own=True)


@pytest.mark.parametrize("host", ["shop.notlocal", "internal.shop.example", "local.example", "a.in-addr.arpa"])
def test_a_name_that_only_looks_like_one_of_ones_own_network_is_taken(host: str) -> None:
    assert not said(host)


@pytest.mark.parametrize("label", ["xn--", "xn--0", "xn--zz-zz-zz", "XN--A"])
def test_a_label_that_stands_for_no_letters_is_refused(label: str) -> None:
    assert said(f"{label}.example", own=True).startswith("must have a host name")


@pytest.mark.parametrize("label", ["xn--bcher-kva", "xn--strae-oqa", "xn--ls8h", "ab--cd"])
def test_a_label_that_stands_for_letters_or_emoji_is_taken(label: str) -> None:
    assert not said(f"{label}.example")


@pytest.mark.parametrize("host", ["8.8.8.8.", "134744072.", "127.0.0.1.", "10.1.0.5."])
def test_an_ip_address_with_a_dot_at_its_end_is_refused_since_no_system_finds_it(host: str) -> None:
    assert said(host, own=True) == "must have an IP address without a dot at its end"


@pytest.mark.parametrize("host", ["shop.example:", "8.8.8.8:", "[2606:4700::1]:", "shop.example:0"])
def test_a_colon_without_a_port_is_refused(host: str) -> None:
    assert said(host)
    assert not said(host.partition(":0")[0].removesuffix(":"))
