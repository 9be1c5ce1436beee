"""An address with several servers: the one that takes writes is found, although others are off, away or standbys."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import cast

import asyncpg
import pytest

from core.adapters.postgres.connection import HEAD_START, Connection, connect, first_to_open
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.bootstrap import look_at_database
from core.errors import Unavailable
from core.home import DAEMONS
from core.settings import Settings
from tests.support.ports import free_port


def address(postgres: EmbeddedPostgres, dsn: str, *others: int) -> str:
    """The test's database as the last server of the address, after these ports of this machine."""
    hosts = [*["127.0.0.1"] * len(others), str(postgres.home.postgres_sockets)]
    name = dsn.partition("@/")[2].partition("?")[0]
    ports = ",".join(map(str, [*others, 5432]))
    return f"postgresql://{DAEMONS}@/{name}?host={','.join(hosts)}&port={ports}&target_session_attrs=read-write"


async def test_a_server_that_is_off_or_says_nothing_does_not_keep_us_from_the_next_one(
    postgres: EmbeddedPostgres, dsn: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers, as a frozen machine does
        url = address(postgres, dsn, silent.getsockname()[1], free_port())
        began = time.monotonic()
        connection = await connect(url, name="test")
        took = time.monotonic() - began
        assert await connection.fetchval("SELECT current_user::text") == "orderdeck_app"
        await connection.close()
    assert took < HEAD_START + 2


async def test_while_no_server_takes_writes_that_is_an_outage_and_said_so(
    postgres: EmbeddedPostgres, dsn: str, admin: Connection
) -> None:
    name = await admin.fetchval("SELECT current_database()")
    await admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    url = address(postgres, dsn, free_port())
    with pytest.raises(Unavailable, match="no server that answers at its address is read-write"):
        await connect(url, name="test")
    with pytest.raises(Unavailable):
        await look_at_database(Settings(database_url=url))  # type: ignore[arg-type] - pydantic makes it a secret


def opening(outcome: object, after: float = 0.0) -> Callable[[], Awaitable[Connection]]:
    async def open_one() -> Connection:
        await asyncio.sleep(after)
        if isinstance(outcome, BaseException):
            raise outcome
        return cast("Connection", outcome)

    return open_one


class Opened:
    """A connection that notes whether it was dropped."""

    dropped = False

    def terminate(self) -> None:
        self.dropped = True


async def test_of_two_servers_the_first_one_of_the_address_is_taken_when_both_answer() -> None:
    first, second = Opened(), Opened()
    assert await first_to_open([opening(first, 0.05), opening(second)]) is first


async def test_a_slow_server_that_answers_after_the_next_one_is_left_alone() -> None:
    slow, quick = Opened(), Opened()
    assert await first_to_open([opening(slow, HEAD_START + 5), opening(quick)]) is quick
    both = Opened(), Opened()
    won = await first_to_open([opening(both[0], HEAD_START + 0.02), opening(both[1], 0.02)])
    assert won in both
    assert not cast("Opened", won).dropped


@pytest.mark.parametrize(
    ("errors", "raised"),
    [
        ([ConnectionRefusedError(), asyncpg.InvalidPasswordError("no")], asyncpg.InvalidPasswordError),
        ([asyncpg.TargetServerAttributeNotMatched("x"), OSError()], asyncpg.TargetServerAttributeNotMatched),
        ([TimeoutError(), ConnectionRefusedError()], TimeoutError),
    ],
)
async def test_when_no_server_takes_us_the_error_is_the_one_that_says_most(
    errors: list[BaseException], raised: type[BaseException]
) -> None:
    with pytest.raises(raised):
        await first_to_open([opening(error) for error in errors])
