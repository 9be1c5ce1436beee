"""Daemons on two hosts share the work: one that is frozen, cut off or gone is replaced within 20 s, and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.event_store import PostgresEventStore
from core.domain.message import OrderId
from core.home import OWNER
from tests.support.customers import eventually
from tests.support.daemon_process import DaemonProcess
from tests.support.forked_command import run_forked
from tests.support.kafka_for_all import KafkaForAll
from tests.support.logins import of_daemons
from tests.support.opener import Opener
from tests.support.order_desk import Desk
from tests.support.ports import free_port
from tests.support.sandbox_process import ROOT, SandboxProcess
from tests.support.tcp_link import TcpLink

LONG = os.environ.get("LONG_TESTS") == "1"
PROGRAMS = {"projector": ("projector", 2), "saga_runner": ("", 0), "relay": ("relay", 1)}
"""The reader whose shares each program holds, and how many of them can hold some at once."""
HOSTS = ("north", "south")
FAULTS = ("freeze", "cut off", "lose the host of")
TAKES_OVER = 20.0  # seconds
ORDERS = 12
OTHER_HOST = ROOT / "tests" / "support" / "other_host"
HOLDERS = """
SELECT DISTINCT split_part(owner, ':', 1) FROM reader_shares WHERE reader = $1 AND lease_until > clock_timestamp()
"""


@dataclass
class Host:
    """One daemon on a host of its own, and its link to the database."""

    name: str
    daemon: DaemonProcess
    link: TcpLink

    def strike(self, fault: str) -> None:
        process = self.daemon.process
        assert process is not None
        match fault:
            case "freeze":
                process.send_signal(signal.SIGSTOP)
            case "cut off":
                self.link.freeze()
            case _:
                self.link.freeze()  # what is gone says goodbye to nobody
                self.daemon.kill()

    def mend(self, fault: str) -> None:
        if fault == "freeze":
            assert self.daemon.process is not None
            self.daemon.process.send_signal(signal.SIGCONT)
        self.link.mend()
        if fault == FAULTS[2]:
            self.daemon.start()


@dataclass
class TwoHosts:
    """All hosts are in `hosts`, by the program and then by their names; `desk` writes to the log."""

    dsn: str
    desk: Desk
    hosts: dict[str, dict[str, Host]]
    admin: asyncpg.Connection
    provider: str

    async def holders(self, program: str) -> set[str]:
        return {row[0] for row in await self.admin.fetch(HOLDERS, PROGRAMS[program][0])}

    async def held_by(self, names: Mapping[str, Collection[str]]) -> bool | None:
        """Whether these hosts, and no others, hold the shares of each program."""
        for program, (_, most) in PROGRAMS.items():
            holders = await self.holders(program)
            if holders - set(names[program]) or len(holders) < min(most, len(names[program])):
                return None
        return True

    async def place(self) -> list[OrderId]:
        return [await self.desk.place(A=1) for _ in range(ORDERS)]

    async def all_is_done(self, orders: list[OrderId]) -> bool | None:
        """Whether every order is confirmed, and the read models and Kafka have everything."""
        confirmed = await self.admin.fetchval(
            "SELECT count(*) FROM order_views WHERE order_id = ANY ($1) AND status = 'CONFIRMED'", orders
        )
        behind = await self.admin.fetchval(
            "SELECT (SELECT max(position) FROM events) - min(position) FROM checkpoints WHERE reader ~ '^(proj|relay)'"
        )
        return True if (confirmed, behind) == (len(orders), 0) else None


@pytest.fixture
async def two_hosts(
    dsn: str, postgres: EmbeddedPostgres, tmp_path: Path, opener: Opener, kafka: KafkaForAll
) -> AsyncIterator[TwoHosts]:
    store = PostgresEventStore(opener)
    admin = await asyncpg.connect(dsn)
    with ExitStack() as opened:
        sandbox = opened.enter_context(SandboxProcess(tmp_path))
        topic = f"{uuid4()}-order-events"
        hosts: dict[str, dict[str, Host]] = {program: {} for program in PROGRAMS}
        for program in PROGRAMS:
            for name in HOSTS:
                home = tmp_path / f"{program}-{name}"
                home.mkdir()
                link = opened.enter_context(TcpLink(postgres.home.postgres_sockets / ".s.PGSQL.5432", free_port()))
                settings = {
                    "PYTHONPATH": f"{OTHER_HOST}:{ROOT}",
                    "TEST_HOST_NAME": name,
                    "ORDERDECK_PAYMENT_URL": sandbox.url,
                }
                if program == "relay":
                    settings |= {"KAFKA_BROKERS": kafka.brokers, "KAFKA_TOPIC": topic}
                address = f"postgresql://{OWNER}@{link.address}/{dsn.partition('@/')[2].partition('?')[0]}"
                daemon = DaemonProcess(program, address, home, settings)
                opened.callback(daemon.kill)
                hosts[program][name] = Host(name, daemon, link)
                daemon.start()
        yield TwoHosts(dsn, Desk(opener, store), hosts, admin, sandbox.url)
    await store.close()
    await admin.close()


@pytest.mark.parametrize("turn", range(len(FAULTS) if LONG else 1))
async def test_what_one_host_cannot_do_another_does_within_20_s_and_nothing_is_done_twice(
    two_hosts: TwoHosts, turn: int, tmp_path: Path
) -> None:
    everywhere = {program: set(HOSTS) for program in PROGRAMS}
    await two_hosts.desk.stock(A=10 * ORDERS)
    await eventually(lambda: two_hosts.held_by(everywhere), TAKES_OVER)
    orders = await two_hosts.place()
    await eventually(lambda: two_hosts.all_is_done(orders), TAKES_OVER)

    struck: dict[str, tuple[Host, str]] = {}
    for place, (program, hosts) in enumerate(two_hosts.hosts.items()):
        at_work = sorted(await two_hosts.holders(program)) or HOSTS
        struck[program] = (hosts[at_work[turn % len(at_work)]], FAULTS[(place + turn) % len(FAULTS)])
    for host, fault in struck.values():
        host.strike(fault)
    began = time.monotonic()
    orders += await two_hosts.place()
    left = {program: {name for name in HOSTS if name != host.name} for program, (host, _) in struck.items()}
    await eventually(lambda: two_hosts.held_by(left), TAKES_OVER)
    await eventually(lambda: two_hosts.all_is_done(orders), began + TAKES_OVER - time.monotonic())

    for host, fault in struck.values():
        host.mend(fault)
    began = time.monotonic()
    orders += await two_hosts.place()
    await eventually(lambda: two_hosts.held_by(everywhere), TAKES_OVER)
    await eventually(lambda: two_hosts.all_is_done(orders), began + TAKES_OVER - time.monotonic())
    for hosts in two_hosts.hosts.values():
        for host in hosts.values():
            assert await eventually(lambda host=host: is_ready(host), TAKES_OVER)
    found = await asyncio.to_thread(verify, two_hosts, tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr


async def is_ready(host: Host) -> bool | None:
    return True if (await host.daemon.ready())[0] == 200 else None


def verify(two_hosts: TwoHosts, home: Path) -> subprocess.CompletedProcess[str]:
    settings = {
        "ORDERDECK_HOME": str(home),
        "DATABASE_URL": of_daemons(two_hosts.dsn),
        "ORDERDECK_PAYMENT_URL": two_hosts.provider,
    }
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ORDERDECK_")}
    return run_forked(("verify",), {"PYTHONPATH": str(ROOT)} | ours | settings, ROOT, limit=60)
