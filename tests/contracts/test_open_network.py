"""Webhooks reach the open internet only, however the address is written and whatever a name leads to in the end."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.adapters.webhooks.sender import HttpWebhookSender
from core.errors import InvalidInput
from core.ports.webhooks import WebhookChange, WebhookTerms
from core.public_addresses import is_public
from core.services.webhooks import what_is_wrong
from tests.support.certificates import make_certificates
from tests.support.webhook_receiver import receiver

HERE = (ipaddress.ip_network("127.0.0.0/8"),)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.1.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1",
        "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::",
        "2002:a00:1::1", "64:ff9b::7f00:1", "64:ff9b::169.254.169.254", "64:ff9b:1::1", "2001:0:7f00:1::f5ff:fffe",
    ],
)  # fmt: skip
def test_an_address_that_is_private_or_holds_a_private_one_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"]
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "[::1]", "[::ffff:7f00:1]"],
)
async def test_no_way_of_writing_the_address_of_this_machine_leads_to_it(host: str) -> None:
    async with receiver() as shop:
        sender = HttpWebhookSender(())
        for scheme in ("http", "https"):
            answered = await sender.send(f"wh_{scheme}", f"{scheme}://{host}:{shop.port}/ok", {}, b"{}")
            assert not answered.taken
            assert "ORDERDECK_WEBHOOK_NETWORKS" in answered.why_not, answered
        await sender.close()
    assert shop.received == []
    assert shop.most_open == {}


async def test_a_name_that_leads_elsewhere_after_it_was_looked_at_leads_nowhere() -> None:
    """A name server may answer a public address first, and a private one to whoever asks again."""
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["203.0.114.9"] if len(asked) > 1 else ["10.9.9.9", "::1"]

    async with receiver() as shop:
        sender = HttpWebhookSender((), within=0.3, resolve_name=rebinding)
        first = await sender.send("wh_1", f"https://evil.example:{shop.port}/", {}, b"{}")
        assert "evil.example leads to 10.9.9.9" in first.why_not
        await sender.send("wh_1", f"https://evil.example:{shop.port}/", {}, b"{}")
        assert len(asked) == 2, "each connection is made to the very address that was looked at"
        await sender.close()
    assert shop.received == []


async def test_without_tls_nothing_is_sent_over_the_internet() -> None:
    places = {"shop.example": ["1.1.1.1"], "here.example": ["127.0.0.1"]}
    sender = HttpWebhookSender(HERE, within=1, resolve_name=lambda host, _port: places[host])
    assert not (await sender.send("wh_1", "https://here.example:1/", {}, b"{}")).taken  # it leads elsewhere since
    answered = await sender.send("wh_1", "http://shop.example/", {}, b"{}")
    assert answered.why_not == "shop.example leads to 1.1.1.1, and only https:// may lead over the internet"
    await sender.close()


async def test_the_name_must_be_that_of_a_certificate_of_an_authority_that_we_trust(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates.server)
    ours, others = (
        ssl.create_default_context(cafile=str(file)) for file in (certificates.authority, certificates.other)
    )

    def here(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with receiver(server) as shop:
        for tls, host, taken in (
            (ours, "localhost", True),
            (ours, "shop.example", False),
            (others, "localhost", False),
        ):
            sender = HttpWebhookSender(HERE, within=5, resolve_name=here, tls=tls)
            answered = await sender.send("wh_1", shop.url(host=host), {"webhook-id": "1"}, b"{}")
            assert answered.taken is taken, answered
            assert taken or "certificate" in answered.why_not
            await sender.close()
    assert [each.headers["host"] for each in shop.received] == [f"localhost:{shop.port}"]


async def test_a_name_that_is_looked_up_for_long_delays_no_other() -> None:
    ends = threading.Event()

    def slow(host: str, _port: int) -> Sequence[str]:
        if host.startswith("slow"):
            ends.wait(5)
        return ["127.0.0.1"]

    async with receiver() as shop:
        sender = HttpWebhookSender(HERE, within=0.5, resolve_name=slow)
        slow_ones = [sender.send(f"wh_{n}", shop.url(host=f"slow{n}.example"), {}, b"{}") for n in range(50)]
        tasks = [asyncio.ensure_future(each) for each in slow_ones]
        assert (await sender.send("wh_fast", shop.url(host="fast.example"), {}, b"{}")).taken
        assert {each.why_not for each in await asyncio.gather(*tasks)} == {"it has not answered within 0.5 s"}
        ends.set()
        await sender.close()


@pytest.mark.parametrize(
    "url",
    [
        "", "shop", "ftp://shop.example/", "https://", "https:///x", "https://user:secret@shop.example/", "https://a@b@c/",
        "https://shop.example/#part", "https://shop.example:0/", "https://shop.example:99999/", "https://shöp.example/",
        "https://shop.example/a b", "https://shop.example\\@evil.example/", "https://shop.example/\r\nX: y", "https://[::1/",
        "https://a..b/", "https://%6c%6fcalhost/", "file:///etc/passwd", f"https://shop.example/{'x' * 2000}",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_with_a_sentence(url: str) -> None:
    (wrong,) = what_is_wrong(WebhookTerms(url=url), HERE)
    assert wrong.field == "url"
    assert str(InvalidInput([wrong])).startswith("url: ")


@pytest.mark.parametrize(
    "url",
    ["https://shop.example", "https://shop.example:8443/a?b=c&d=%20", "https://[2606:4700::1]:1/", "https://1.1/"],
)
def test_an_address_is_taken_as_it_is(url: str) -> None:
    assert what_is_wrong(WebhookTerms(url=url), ()) == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "LOCALHOST", "localhost.", "a.localhost",
        "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[fe80::1%25eth0]", "10.1.2.3",
        "224.0.0.1", "192.168.1.1", "169.254.169.254", "[fd00::1]", "[fe80::1]",
    ],
)  # fmt: skip
def test_an_address_that_no_message_could_be_sent_to_is_not_taken_in_the_first_place(host: str) -> None:
    for terms in (WebhookTerms(url=f"https://{host}:8443/orders"), WebhookChange(url=f"http://{host}")):
        (wrong,) = what_is_wrong(terms, ())
        assert wrong.field == "url"
        assert wrong.message.endswith("is not of the open internet, nor of a network in ORDERDECK_WEBHOOK_NETWORKS")


def test_networks_of_the_setting_may_be_led_to_and_others_not() -> None:
    for host in ("127.0.0.1", "127.1", "localhost", "[::ffff:127.0.0.1]", "shop.example"):
        assert what_is_wrong(WebhookTerms(url=f"http://{host}:9400/orders"), HERE) == []
    assert what_is_wrong(WebhookTerms(url="http://10.1.2.3/"), HERE) != []
    assert what_is_wrong(WebhookTerms(url="http://[::1]/"), (ipaddress.ip_network("::1/128"),)) == []


def test_an_address_without_tls_is_taken_only_where_it_may_lead_somewhere() -> None:
    for url, networks in (("http://shop.example/", ()), ("http://1.1.1.1/", ()), ("http://1.1.1.1/", HERE)):
        (wrong,) = what_is_wrong(WebhookTerms(url=url), networks)
        assert wrong.message.startswith("must begin with https://")
