"""The connection to Redis: what is wrong with it is told in words, once, and without secrets."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from structlog.testing import capture_logs

from core.adapters.redis.link import RedisLink
from core.ports.order_cache import CacheReport
from core.redis_address import read_redis_address
from tests.support.cached_orders import until


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
