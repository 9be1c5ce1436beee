"""The connection to Redis: what is wrong with it is told in words, once, and without secrets."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.adapters.redis.link import RedisLink
from core.ports.order_cache import CacheReport
from core.redis_address import read_redis_address
from tests.support.cached_orders import CachedOrders, be_patient, new_order, order_view, until
from tests.support.certificates import make_certificates
from tests.support.redis_server import RedisServer


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "something else than Redis's protocol"),
        (b"+OK\r\n" * 50, "something else than Redis's protocol"),
        (b"-ERR \x1b[31minvalid DB index \r\n", "answers with an error: ·[31minvalid DB index"),
        (b"$99999999999\r\n", "does not answer in time"),
        (b"*9999999\r\n", "does not answer in time"),
        (b"-NOAUTH Authentication required.\r\n", "wants a password, and REDIS_URL has none"),
        (b"-WRONGPASS invalid username-password pair\r\n", "refuses the user or the password of REDIS_URL"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "is still loading its data"),
        (b"", "does not answer in time"),
    ],
)
async def test_a_server_that_is_no_redis_or_does_not_let_us_in_is_told_in_words(
    says: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.adapters.redis.link.CONNECT_LIMIT", 0.1)

    async def answer(stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await stream.read(1000):
                writer.write(says)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    login = "" if b"NOAUTH" in says else ":secret@"
    address = read_redis_address(f"redis://{login}127.0.0.1:{server.sockets[0].getsockname()[1]}/3")
    report = CacheReport()
    link = RedisLink(address, limit=0.05, name="test", report=report)
    with capture_logs() as logs:
        keeping = asyncio.create_task(link.keep())
        await until(lambda: report.errors >= 2)
        keeping.cancel()
        await asyncio.wait([keeping])
    server.close()
    assert link.away is not None
    assert words in link.away
    assert [line["event"] for line in logs] == ["works without the cache"]
    assert "secret" not in str(logs)


async def test_orders_are_cached_over_a_socket_of_this_machine_in_a_numbered_database_under_a_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    be_patient(monkeypatch)
    with tempfile.TemporaryDirectory(prefix="od-redis-") as folder:
        socket = Path(folder) / "redis.sock"
        with RedisServer(Path(folder), "--unixsocket", str(socket)) as server, server.client() as client:
            client.config_set("requirepass", "a@b")
            orders, order = CachedOrders(f"unix://:a%40b@{socket}?db=3"), new_order()
            async with orders.projector() as projector, orders.reader() as reader:
                await orders.save(projector, order_view(order, 1))
                read = await reader.order(order)
            assert read is not None
            assert read.cache == "hit"
            client.execute_command("AUTH", "a@b")
            assert client.info("keyspace").keys() == {"db3"}  # type: ignore[union-attr]


async def test_orders_are_cached_over_tls_by_a_server_whose_certificate_is_trusted(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_patient(monkeypatch)
    certificates = make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server)

    async def pass_on(stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_us, to_redis = await asyncio.open_connection("127.0.0.1", redis_server.port)
        await asyncio.wait(
            [asyncio.create_task(copy(stream, to_redis)), asyncio.create_task(copy(to_us, writer))],
            return_when=asyncio.FIRST_COMPLETED,
        )
        to_redis.close()
        writer.close()

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context)
    url = f"rediss://localhost:{server.sockets[0].getsockname()[1]}/0?ssl_ca_certs="
    orders, order = CachedOrders(url + str(certificates.authority)), new_order()
    async with orders.projector() as projector, orders.reader() as reader:
        await orders.save(projector, order_view(order, 1))
        read = await reader.order(order)
        assert read is not None
        assert read.cache == "hit"
        async with orders.reader(url + str(certificates.other)) as distrustful:
            read = await distrustful.order(order)
            assert read is not None
            assert (read.cache, "certificate verify failed" in distrustful.report.wrong) == ("bypass", True)  # type: ignore[attr-defined]
    server.close()


async def copy(stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await stream.read(65_536):
            writer.write(data)
