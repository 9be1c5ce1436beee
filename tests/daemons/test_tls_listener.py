"""Services that speak TLS, with a real certificate over real sockets: who is let in, and who hears nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from core.errors import ConfigurationError
from core.settings import Settings, load_settings
from daemons.grpc_api.backends import Backend
from daemons.grpc_api.grpc_server import make_server as make_grpc_server
from daemons.host.bounded_http import ask
from daemons.host.status import tls_in_words
from daemons.process.guard import acceptor
from daemons.process.guard.server import make_server
from daemons.process.tls import Tls, read_tls
from daemons.process.vitals import Vitals
from tests.support.certificates import Certificates, make_certificates
from tests.support.ports import free_port
from tui.http_gateway import HttpGateway

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing listens there


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def settings_of(certificates: Certificates, **more: Any) -> Settings:
    file = certificates.server
    return load_settings(**{"tls_certificate": file, "tls_key": file, "home": certificates.folder} | more)


async def tell_scheme(scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["scheme"].encode()})


@asynccontextmanager
async def served(certificates: Certificates) -> AsyncIterator[int]:
    """The port of a service that speaks TLS."""
    settings = settings_of(certificates)
    tls = read_tls(settings)
    assert tls is not None
    listener = socket.create_server(("127.0.0.1", 0))
    server = make_server(tell_scheme, settings, tls=tls.context)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.end()
        await serving


@pytest.fixture
def from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every connection for one from another machine."""
    monkeypatch.setattr(acceptor, "from_here", lambda _: False)


async def get(
    url: str, trusts: Path | None, *, name: str = "localhost", newest: ssl.TLSVersion | None = None
) -> httpx.Response:
    context = ssl.create_default_context(cafile=trusts)
    if newest is not None:
        context.minimum_version = context.maximum_version = newest
        context.set_ciphers("ALL:@SECLEVEL=0")  # so that it is the server that refuses
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=20) as http:
        return await http.get(url, extensions={"sni_hostname": name})


async def test_from_elsewhere_only_tls_is_spoken_with_a_name_and_an_authority_that_fit(
    certificates: Certificates, from_elsewhere: None
) -> None:
    async with served(certificates) as port:
        good = await get(f"https://localhost:{port}/", certificates.authority)
        assert (good.status_code, good.text) == (200, "https")
        with pytest.raises(httpx.RemoteProtocolError):
            await get(f"http://localhost:{port}/", certificates.authority)
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await get(f"https://localhost:{port}/", certificates.other)
        with pytest.raises(httpx.ConnectError, match="Hostname mismatch"):
            await get(f"https://localhost:{port}/", certificates.authority, name="desk.example")
        with pytest.raises(httpx.ConnectError), pytest.warns(DeprecationWarning, match="TLSv1_1"):
            await get(f"https://localhost:{port}/", certificates.authority, newest=ssl.TLSVersion.TLSv1_1)
        assert (await get(f"https://localhost:{port}/", certificates.authority)).status_code == 200


async def test_a_program_on_this_machine_may_speak_either(certificates: Certificates) -> None:
    async with served(certificates) as port:
        assert (await get(f"https://localhost:{port}/", certificates.authority)).text == "https"
        assert (await get(f"http://localhost:{port}/", None)).text == "http"


async def test_who_agrees_on_nothing_takes_no_place_for_ever(
    certificates: Certificates, from_elsewhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "MOST_OPENING", 3)
    monkeypatch.setattr(acceptor, "AGREED_WITHIN", 100.0)
    async with served(certificates) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
        assert (await get(f"https://localhost:{port}/", certificates.authority)).status_code == 200
        cut_off = await asyncio.wait_for(asyncio.gather(*(reader.read() for reader, _ in silent[:4])), 20)
        assert cut_off == [b""] * 4
        for _, writer in silent:
            writer.close()


async def test_grpc_speaks_tls_with_the_same_certificate(certificates: Certificates) -> None:
    port = free_port()
    settings, vitals = settings_of(certificates, grpc_port=port), Vitals("grpc-api")
    vitals.tls = read_tls(settings)
    backend = Backend("command API", "http://127.0.0.1:9")
    server = make_grpc_server(settings, vitals, backend, backend)
    await server.start()
    try:
        for authority, answers in ((certificates.authority, True), (certificates.other, False), (None, False)):
            trusts = None if authority is None else grpc.ssl_channel_credentials(authority.read_bytes())
            place = f"localhost:{port}"
            channel: Any = grpc.aio.secure_channel(place, trusts) if trusts else grpc.aio.insecure_channel(place)
            async with channel:
                asked: Any = health_pb2_grpc
                call = asked.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
                expected = grpc.StatusCode.OK if answers else grpc.StatusCode.UNAVAILABLE
                assert await call.code() == expected
    finally:
        await server.stop(0)
        await backend.close()


def test_the_command_and_the_deck_trust_the_authority_that_is_named(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready: list[int] = []

    async def serve(stop: asyncio.Event, started: Callable[[], None]) -> None:
        async with served(certificates) as port:
            ready.append(port)
            started()
            await stop.wait()

    async def run() -> None:
        stop, up = asyncio.Event(), asyncio.Event()
        serving = asyncio.create_task(serve(stop, up.set))
        await up.wait()
        url = f"https://localhost:{ready[0]}/"
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(ask, url, within=20)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
        assert (await asyncio.to_thread(ask, url, within=20)).body == b"https"
        deck: Any = HttpGateway(url, url)
        assert (await deck._client.get(url)).text == "https"
        await deck.close()
        stop.set()
        await serving

    asyncio.run(run())


@pytest.mark.parametrize(
    ("certificate", "key", "says"),
    [
        ("nowhere.pem", "server.key", "ORDERDECK_TLS_CERTIFICATE=.*nowhere.pem cannot be read: No such file"),
        ("server.crt", "nowhere.pem", "ORDERDECK_TLS_KEY=.*nowhere.pem cannot be read: No such file"),
        ("server.key", "server.key", "holds no certificate in PEM"),
        ("server.crt", "server.crt", "holds no private key in PEM"),
        ("server.crt", "client.key", "is not the key of the certificate in .*server.crt"),
        ("server.crt", "sealed.key", "that can be read without a password"),
        ("", "server.key", "belong together"),
    ],
)
def test_a_sentence_says_what_is_wrong_with_the_files(
    certificates: Certificates, certificate: str, key: str, says: str
) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
    )

    sealed = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    (certificates.folder / "sealed.key").write_bytes(sealed)
    paths = {"tls_certificate": certificate, "tls_key": key}
    given = {name: certificates.folder / file if file else None for name, file in paths.items()}
    with pytest.raises(ConfigurationError, match=says):
        read_tls(settings_of(certificates, **given))


def test_status_says_how_safe_it_is_on_the_way(certificates: Certificates) -> None:
    none: dict[str, Any] = {"tls_certificate": None, "tls_key": None}
    assert tls_in_words(settings_of(certificates, **none)) == ""
    assert "whoever is on the way reads keys" in tls_in_words(settings_of(certificates, host=EVERYWHERE, **none))
    proxied = settings_of(certificates, host=EVERYWHERE, trusted_proxies="10.0.0.5", **none)
    assert tls_in_words(proxied) == "TLS: that of the proxy 10.0.0.5"
    assert "expires soon" in tls_in_words(settings_of(certificates))  # these certificates last two days
    tls = read_tls(settings_of(certificates))
    assert tls is not None
    now = datetime.now(UTC)
    assert "has expired" in str(Tls(tls.context, b"", b"", now - timedelta(seconds=1)).warning)
    assert Tls(tls.context, b"", b"", now + timedelta(days=15)).warning is None
