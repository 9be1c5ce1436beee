"""While the database is away, few callers try to connect, and the log has a line when that begins and when it ends."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Never

import pytest
from structlog.testing import capture_logs

from core.adapters.postgres.connection import Connection, Link, connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.lanes import opened_with
from core.adapters.postgres.outage import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    LOSES_EACH,
    LOSSES_SAID_EVERY,
    Losses,
    Outage,
    losses_in_a_row,
)
from core.bootstrap import bootstrap
from core.errors import LoginRefused, Unavailable
from core.settings import load_settings
from tests.support.logins import of_daemons
from tests.support.ports import free_port
from tests.support.tcp_link import TcpLink


class Server:
    """Refuses everybody as long as it `recovers`, and counts who comes."""

    def __init__(self) -> None:
        self.recovers, self.came = True, 0

    async def open(self) -> str:
        self.came += 1
        await asyncio.sleep(0)
        if self.recovers:
            raise Unavailable("the database system is starting up")
        return "opened"


async def told(outage: Outage, server: Server) -> str:
    try:
        return await outage.connect(server.open)
    except Unavailable as away:
        return str(away)


def through(wire: TcpLink, dsn: str) -> str:
    user, _, rest = dsn.removeprefix("postgresql://").partition("@/")
    return f"postgresql://{user}@{wire.address}/{rest.partition('?')[0]}?sslmode=disable"


async def test_of_a_thousand_callers_while_a_server_recovers_a_few_reach_it_and_all_hear_why() -> None:
    server, clock = Server(), [0.0]
    outage = Outage(lambda: clock[0], lambda: 1.0)
    with capture_logs() as logs:
        for _ in range(100):  # of 0.04 s each
            answers = await asyncio.gather(*(told(outage, server) for _ in range(10)))
            assert set(answers) == {"the database system is starting up"}
            clock[0] += 0.04
        assert server.came <= 10 + 4 + 4 / LONGEST_PAUSE, "ten before anything was known, and then one after the other"
        server.recovers = False
        clock[0] += LONGEST_PAUSE
        assert await told(outage, server) == "opened"
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("the database cannot be reached", "warning"), ("the database can be reached again", "info")
    ]  # fmt: skip
    assert logs[0]["reason"] == "the database system is starting up"
    assert logs[1]["seconds"] == pytest.approx(4 + LONGEST_PAUSE)


async def test_one_who_tries_and_gets_no_answer_keeps_the_others_from_a_server_that_is_back_for_a_second_only() -> None:
    server, clock = Server(), [0.0]
    outage = Outage(lambda: clock[0], lambda: 1.0)
    await told(outage, server)
    clock[0] += FIRST_PAUSE
    hangs = asyncio.create_task(outage.connect(asyncio.Event().wait))
    await asyncio.sleep(0)
    server.recovers = False
    assert await told(outage, server) != "opened"
    clock[0] += 1
    assert await told(outage, server) == "opened"
    hangs.cancel()


async def test_what_a_person_has_to_change_after_an_outage_is_what_all_callers_hear() -> None:
    server, outage, answers = Server(), Outage(lambda: 0.0, lambda: 1.0), asyncio.Event()

    async def refuse() -> str:
        await answers.wait()
        raise LoginRefused("the password is wrong")

    with capture_logs() as logs:
        await told(outage, server)
        outage._next = 0.0
        first = asyncio.create_task(outage.connect(refuse))
        await asyncio.sleep(0)
        answers.set()
        for refused in (first, outage.connect(refuse)):
            with pytest.raises(LoginRefused):
                await refused
        outage._next = 1.0
        assert await told(outage, server) == "the password is wrong"
        outage._next, server.recovers = 0.0, False
        assert await told(outage, server) == "opened"
    assert [line["log_level"] for line in logs] == ["warning", "info"]


async def test_who_fails_after_another_had_success_but_began_to_try_before_it_makes_no_new_outage() -> None:
    server, outage, late = Server(), Outage(lambda: 0.0, lambda: 1.0), asyncio.Event()

    async def refused_late() -> str:
        await late.wait()
        raise Unavailable("refused")

    with capture_logs() as logs:
        trying = [asyncio.create_task(outage.connect(each)) for each in (server.open, refused_late)]
        with pytest.raises(Unavailable, match="starting up"):
            await trying[0]
        outage._next = 0.0
        server.recovers = False
        assert await told(outage, server) == "opened"
        late.set()
        with pytest.raises(Unavailable, match="refused"):
            await trying[1]
        assert await told(outage, server) == "opened"
    assert [line["log_level"] for line in logs] == ["warning", "info"]


async def test_links_have_their_connections_again_soon_after_the_server_is_back(
    dsn: str, postgres: EmbeddedPostgres
) -> None:
    with TcpLink(Path(postgres.home.postgres_sockets) / ".s.PGSQL.5432", free_port()) as wire:
        links = [Link(lambda: connect(through(wire, dsn), name="test")) for _ in range(4)]

        async def ask(link: Link) -> object:
            while True:
                try:
                    return await link.run(lambda c: c.fetchval("SELECT 1"))
                except Unavailable:
                    await asyncio.sleep(0.01)

        await asyncio.gather(*map(ask, links))
        with capture_logs() as logs:
            wire.cut()
            for link in links:
                with pytest.raises(Unavailable, match="the database is away"):
                    await link.run(lambda c: c.fetchval("SELECT 1"))
            wire.mend()
            began = time.monotonic()
            await asyncio.gather(*map(ask, links))
            assert time.monotonic() - began < 2 * LONGEST_PAUSE
        assert [line["event"] for line in logs] == [
            "the database cannot be reached",
            "the database can be reached again",
        ]
        for link in links:
            link.close()


async def test_who_loses_a_connection_in_the_middle_of_a_statement_leaves_the_line_to_whoever_connects_next(
    dsn: str, postgres: EmbeddedPostgres, admin: Connection
) -> None:
    with TcpLink(Path(postgres.home.postgres_sockets) / ".s.PGSQL.5432", free_port()) as wire:
        link = Link(lambda: connect(through(wire, dsn), name="in the middle"))
        reading = asyncio.create_task(link.once(lambda c: c.fetchval("SELECT pg_sleep(60)")))
        busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%in the middle' AND state = 'active'"
        while not await admin.fetchval(busy):
            await asyncio.sleep(0.01)
        with capture_logs() as logs:
            wire.cut()
            with pytest.raises(Unavailable) as cut:
                await reading
            with pytest.raises(Unavailable, match="the database is away: "):
                await link.run(lambda c: c.fetchval("SELECT 1"))
        assert cut.value.logged
        assert [line["event"] for line in logs] == ["the database cannot be reached"]


CUT_ITSELF = "SELECT pg_terminate_backend(pg_backend_pid())"


async def test_a_server_that_can_be_reached_and_loses_every_connection_is_logged_once_and_is_what_callers_hear(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses_in_a_row, "_silent_until", 0.0)
    link = Link(lambda: connect(dsn, name="test", role=None))
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(Unavailable, match=LOSES_EACH):
                await link.run(lambda c: c.fetchval(CUT_ITSELF))
    assert [line["event"] for line in logs] == [LOSES_EACH]
    link.close()


async def test_a_connection_that_is_lost_between_others_that_work_is_not_logged(dsn: str) -> None:
    link = Link(lambda: connect(dsn, name="test", role=None))
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(Unavailable) as lost:
                await link.once(lambda c: c.fetchval(CUT_ITSELF))
            assert str(lost.value) != LOSES_EACH
            assert await link.run(lambda c: c.fetchval("SELECT 1")) == 1
    assert logs == []
    link.close()


async def test_a_connection_that_is_lost_before_its_first_statement_counts_like_one_in_a_statement(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses_in_a_row, "_silent_until", 0.0)
    link = Link(lambda: opened_with(lambda: connect(dsn, name="test", role=None), f"jit = off; {CUT_ITSELF}"))
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await link.run(lambda c: c.fetchval("SELECT 1"))
    assert [line["event"] for line in logs] == [LOSES_EACH]


def test_losses_that_go_on_are_logged_once_a_minute_with_how_many_there_were() -> None:
    clock = [0.0]
    losses = Losses(lambda: clock[0])
    with capture_logs() as logs:
        for _ in range(130):
            losses.note()
            clock[0] += 1
    assert [line["times"] for line in logs] == [1, LOSSES_SAID_EVERY, LOSSES_SAID_EVERY]


async def test_a_process_that_has_nothing_to_do_learns_by_itself_that_the_database_is_back(
    dsn: str, postgres: EmbeddedPostgres
) -> None:
    with TcpLink(Path(postgres.home.postgres_sockets) / ".s.PGSQL.5432", free_port()) as wire:
        settings = load_settings(database_url=through(wire, of_daemons(dsn)))
        with capture_logs() as logs:
            async with bootstrap(settings, name="idle") as app:
                for _ in range(2):
                    logs.clear()
                    wire.cut()
                    with pytest.raises(Unavailable):
                        await app.why_not_ready()
                    wire.mend()
                    async with asyncio.timeout(4 * LONGEST_PAUSE):
                        while [line["log_level"] for line in logs] != ["warning", "info"]:
                            await asyncio.sleep(0.01)


async def test_who_waits_for_an_outage_may_miss_the_end_of_one_and_sees_the_next_through() -> None:
    clock = [0.0]
    outage = Outage(lambda: clock[0])
    tried = asyncio.Event()

    async def refused() -> Never:
        raise Unavailable("away")

    async def opened() -> None:
        pass

    async def try_again() -> Never:
        tried.set()
        raise Unavailable("away")

    waiting = asyncio.create_task(outage.see_through(try_again))
    await asyncio.sleep(0)  # so that it waits for one to begin
    for answer in (refused, opened, refused):  # in one go: the task does not run meanwhile
        clock[0] += 10
        with suppress(Unavailable):
            await outage.connect(answer)
    async with asyncio.timeout(30):
        await tried.wait()
    waiting.cancel()
