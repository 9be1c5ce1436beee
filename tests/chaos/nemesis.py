"""The nemesis: carries out a plan's strikes against a running stack, and counts what it did."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.errors import Unavailable
from core.home import DAEMONS, DATABASE
from core.processes import die_with_parent
from daemons.host.supervisor import ProgramState, Supervisor
from tests.chaos.engines import RunningEngines
from tests.chaos.plan import THAW, Plan
from tests.chaos.refills import Refills
from tests.chaos.strike import Strike
from tests.support.customers import Customers
from tests.support.ports import free_port
from tests.support.stack import ROOT, Stack
from tests.support.tcp_link import TcpLink

FIND_WITHIN = 60.0  # seconds until a daemon that was killed must run again
BACK = 300  # events that are delivered again
SET_BACK = """
WITH shares AS (UPDATE reader_shares SET position = greatest(0, position - $1) WHERE reader = 'saga-runner')
UPDATE checkpoints SET position = greatest(0, position - $1) WHERE reader = 'saga-runner'
"""
LOOK = 0.2  # seconds
STILL_ANSWERS = 3.0  # seconds for which a PostgreSQL that was killed may still answer, on a busy machine
RELAY = Strike(0.0, "kill", "relay", "daemon")
ENGINE_KINDS = ("broker", "redis", "repeat")
CALM = {"drop_rate": 0.0, "error_rate": 0.0, "latency_ms": 0}


@dataclass
class Nemesis:
    stack: Stack
    customers: Customers
    refills: Refills
    engines: RunningEngines | None = None
    done: Counter[str] = field(default_factory=Counter)
    calm_at: float | None = None  # by the monotonic clock: when the last strike had ended and all faults were off
    faults: dict[str, Any] = field(default_factory=dict)
    _rng: random.Random = field(default_factory=random.Random)
    _dead: set[int] = field(default_factory=set)
    _refilling: set[asyncio.Task[None]] = field(default_factory=set)
    _turns: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def strike(self, plan: Plan) -> None:
        """Return when all is done, everything that was frozen or away is back, and the provider has no faults."""
        began = time.monotonic()
        rates = {name: getattr(plan.workload, name) for name in CALM}
        self.faults = rates | {"seed": plan.seed}
        keeping = asyncio.create_task(self._keep_faults_on())

        async def one(strike: Strike) -> None:
            await asyncio.sleep(began + strike.at - time.monotonic())
            if self.engines is not None and strike.kind in ENGINE_KINDS:
                await self.engines.strike(strike, self._kill_relay)
            else:
                await getattr(self, f"_{strike.kind}")(strike)

        async with asyncio.TaskGroup() as group:
            for strike in plan.strikes:
                group.create_task(one(strike))
        keeping.cancel()
        self.faults = {}
        while not await self._set_faults():
            await asyncio.sleep(LOOK)
        self.calm_at = time.monotonic()

    # --- the strikes ----------------------------------------------------------------------------------------
    async def _kill(self, strike: Strike) -> None:
        async with self._turns[strike.target]:
            if strike.how == "sessions":
                await self._end_sessions()
            elif strike.target == "postgres":
                await self._crash(strike.how)
            else:
                self._end(await self._running(strike.target))
            self.done[f"{strike.target} {'' if strike.how == 'daemon' else strike.how}".strip()] += 1

    async def _kill_relay(self) -> None:
        """Kill a relay, unless one is frozen: the brokers that are away meanwhile have to come back in time."""
        if not self._turns[RELAY.target].locked():
            await self._kill(RELAY)

    async def _crash(self, how: str) -> None:
        """Let PostgreSQL crash, and follow in the background until the read models have again what it lost."""
        pid = await (self._running("postgres") if how == "daemon" else self._server())
        self.refills.begin()
        self._end(pid, signal.SIGQUIT if how == "immediate" else signal.SIGKILL)
        await asyncio.sleep(STILL_ANSWERS)
        self._refilling.add(asyncio.create_task(self.refills.end()))

    async def _freeze(self, strike: Strike) -> None:
        """Freeze a daemon at work, let another one take over, and then let the frozen one go on."""
        async with self._turns[strike.target]:
            pid = await self._running(strike.target)
            try:
                _signal(pid, signal.SIGSTOP)
                async with self.second(strike.target):
                    await asyncio.sleep(strike.seconds)
                    _signal(pid, signal.SIGCONT)
                    await asyncio.sleep(THAW)
            finally:
                _signal(pid, signal.SIGCONT)
            self.done[f"{strike.target} frozen"] += 1

    async def _double(self, strike: Strike) -> None:
        """Let one process more of a daemon work beside the supervised ones, and kill it."""
        async with self.second(strike.target):
            await asyncio.sleep(strike.seconds)
        self.done[f"{strike.target} doubled"] += 1

    async def _cut(self, strike: Strike) -> None:
        """Let one process more join in, and lose its network to the database for longer than a lease."""
        with TcpLink(self.stack.home.postgres_sockets / ".s.PGSQL.5432", free_port()) as link:
            async with self.second(strike.target, DATABASE_URL=f"postgresql://{DAEMONS}@{link.address}/{DATABASE}"):
                await asyncio.sleep(THAW)
                link.freeze()
                await asyncio.sleep(strike.seconds)
                link.mend()
                await asyncio.sleep(THAW)
        self.done[f"{strike.target} cut off"] += 1

    async def _outage(self, strike: Strike) -> None:
        async with self._turns["provider"]:
            before, self.faults = self.faults, {"outage": True}
            await asyncio.sleep(strike.seconds)
            self.faults = before
            self.done["provider away"] += 1

    async def _redelivery(self, _: Strike) -> None:
        """Kill a saga runner, and set back how far the log was read."""
        async with self._turns["saga-runner"]:
            self._end(await self._running("saga-runner"))
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection = await asyncpg.connect(self.stack.home.dsn())
                await connection.execute(SET_BACK, BACK)
                await connection.close()
                self.done["redelivered"] += 1

    # --- what they need -------------------------------------------------------------------------------------
    def _end(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        self._dead.add(pid)
        _signal(pid, number)

    async def _running(self, name: str) -> int:
        """A process of the daemon, and not one we killed before."""
        deadline = time.monotonic() + FIND_WITHIN
        while time.monotonic() < deadline:
            with contextlib.suppress(Unavailable):
                programs = await asyncio.to_thread(self._programs)
                of_name = [one for one in programs if re.fullmatch(rf"{name}(-\d+)?", one.name) and one.uptime]
                if pids := [one.pid for one in of_name if one.pid and one.pid not in self._dead]:
                    return self._rng.choice(pids)
            await asyncio.sleep(LOOK)
        raise AssertionError(f"{name} did not come back within {FIND_WITHIN:.0f} s")

    def _programs(self) -> list[ProgramState]:
        return Supervisor(self.stack.home).programs()

    async def _server(self) -> int:
        server, deadline = EmbeddedPostgres(self.stack.home.path), time.monotonic() + FIND_WITHIN
        while (pid := server.running_pid()) is None or pid in self._dead:
            assert time.monotonic() < deadline, f"PostgreSQL did not come back within {FIND_WITHIN:.0f} s"
            await asyncio.sleep(LOOK)
        return pid

    async def _end_sessions(self) -> None:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'orderdeck %'"
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(self.stack.home.dsn())
            await connection.execute(ended)
            await connection.close()

    @contextlib.asynccontextmanager
    async def second(self, name: str, **settings: str) -> AsyncIterator[str]:
        """One more process of a daemon beside the supervised ones; its address is yielded before it answers."""
        program, port = name.replace("-", "_").upper(), str(free_port())
        own = {
            f"ORDERDECK_{program.removesuffix('_API')}_PORT": port,
            f"ORDERDECK_{program}_COUNT": "1",  # it has no number among the others
            "ORDERDECK_FAILPOINTS": "",
        }
        with (self.stack.home.logs / f"{name}-second.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"daemons.{name.replace('-', '_')}",
                env=self.stack.env | own | settings,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _keep_faults_on(self) -> None:
        """Switch the faults on again and again: the provider forgets them when it is killed."""
        while True:
            await self._set_faults()
            await asyncio.sleep(LOOK)

    async def _set_faults(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            now = (await self.customers.provider.get("/faults")).raise_for_status().json()
            if all(now[name] == value for name, value in (CALM | {"outage": False} | self.faults).items()):
                return True
            (await self.customers.provider.post("/faults", json=self.faults)).raise_for_status()
        return False


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it had killed itself just now
        os.kill(pid, number)
