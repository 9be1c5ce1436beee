"""Malformed requests: each is refused with a problem that names what is wrong, nothing is recorded, nothing breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from core.adapters.postgres.embedded import EmbeddedPostgres
from tests.support.command_api import CommandApi, command_api, problem
from tests.support.malformed import Wrong, everything

WRONG = list(everything())


@dataclass
class Target:
    api: CommandApi
    orders: dict[str, str]

    async def send(self, wrong: Wrong) -> httpx.Response:
        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(wrong.content), 60_000):
                yield wrong.content[start : start + 60_000]

        method, path = wrong.to
        content = chunks() if wrong.chunked else wrong.content
        return await self.api.http.request(method, path.format(**self.orders), content=content, headers=wrong.headers)


@pytest.fixture(scope="module")
async def target(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Target]:
    async with command_api(postgres, template, tmp_path_factory.mktemp("api")) as api:
        orders = {"created": await api.placed_order(), "fulfilled": await api.fulfilled_order()}
        head = await api.head()
        yield Target(api, orders)
        assert await api.head() == head
        assert "Traceback" not in api.output()


def test_the_table_has_more_than_300_malformed_requests() -> None:
    assert len({(w.to, w.content, str(w.headers), w.chunked) for w in WRONG}) == len(WRONG) > 300


@pytest.mark.parametrize("wrong", WRONG, ids=str)
async def test_the_api_refuses_a_malformed_request_and_records_nothing(target: Target, wrong: Wrong) -> None:
    head = await target.api.head()
    answer = await target.send(wrong)
    document = problem(answer, wrong.status, wrong.code, *wrong.fields)
    assert len(document["error"]) < 1_000
    assert await target.api.head() == head


async def test_many_malformed_requests_at_once_do_not_disturb_other_callers(target: Target) -> None:
    room, many = asyncio.Semaphore(16), WRONG[::5]

    async def send(wrong: Wrong) -> int:
        async with room:
            return (await target.send(wrong)).status_code

    async def dry_run() -> int:
        return (await target.api.put(target.orders["created"], "confirm", query="?dry_run=true")).status_code

    answers = await asyncio.gather(*(send(wrong) for wrong in many), *(dry_run() for _ in range(20)))
    assert answers == [wrong.status for wrong in many] + [200] * 20


NO_HTTP = [
    b"\x00\x01\x02\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /api/v1/orders HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: a\x01b\r\nContent-Length: 0\r\n\r\n",
    b"POST /api/v1/orders HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: a\x00b\r\nContent-Length: 0\r\n\r\n",
    b"POST /api/v1/orders HTTP/1.1\r\nHost: localhost\r\nBad Header: 1\r\n\r\n",
    b"POST /api/v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1, 2\r\n\r\n",
    b"POST /api/v1/orders HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("sent", NO_HTTP)
async def test_the_api_refuses_bytes_that_are_no_http_and_serves_the_next_request(target: Target, sent: bytes) -> None:
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", target.api.port)
        writer.write(sent)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:100]
    assert (await target.api.http.get("/ready")).status_code == 200


async def test_a_caller_that_disconnects_half_way_does_not_disturb_other_callers(target: Target) -> None:
    for _ in range(5):
        _, writer = await asyncio.open_connection("127.0.0.1", target.api.port)
        writer.write(b"POST /api/v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
        writer.write(b'Content-Length: 1000\r\n\r\n{"customer_id":')
        await writer.drain()
        writer.transport.abort()
    assert (await target.api.http.get("/ready")).status_code == 200
