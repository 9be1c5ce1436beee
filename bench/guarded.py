"""Measures POST /orders with keys, limits and the audit, beside the same without them, in turns.

The load of this machine moves a rate by a third from turn to turn, so the CPU time of each request is measured too.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable

import uvloop

from bench.commands import orders
from bench.ground import Ground, cpu_seconds, daemons
from bench.http_load import drive
from bench.report import Row
from core.api_keys import Role
from core.bootstrap_callers import open_api_keys
from core.home import DAEMONS, OWNER
from core.ports.api_keys import KeyTerms
from core.ports.audit import AuditNote
from core.services.api_keys import create_key
from core.settings import load_settings

CLIENTS = 32
ROUNDS = 3
REACH = 0.8
BARE = {"ORDERDECK_AUDIT": "false", "ORDERDECK_RATE_LIMITS": "off"}
GUARDED = {
    "ORDERDECK_REQUIRE_KEYS": "true",
    "ORDERDECK_RATE_LIMITS": "commands=1000000/1s",
    "ORDERDECK_TRUSTED_PROXIES": "127.0.0.1",
}


def measure(ground: Ground, seconds: float) -> list[Row]:
    bare_at, guarded_at = ground.database(), ground.database()
    key = asyncio.run(_make_key(guarded_at))
    bare, guarded = orders(), _showing(key, orders())
    rates: dict[str, list[float]] = {"bare": [], "guarded": []}
    wrong: dict[int, int] = {}
    cpu: dict[str, list[float]] = {"bare": [], "guarded": []}
    with (
        daemons(ground, bare_at, "command-api", settings=BARE) as without,
        daemons(ground, guarded_at, "command-api", settings=GUARDED) as with_keys,
    ):
        turns = (("bare", without, bare), ("guarded", with_keys, guarded))
        for _, running, make in turns:  # warms up: makes plans and fills caches
            uvloop.run(drive(running.ports["command-api"], make, clients=8, seconds=1))
        for turn in range(2 * ROUNDS):
            name, running, make = turns[turn % 2]
            pids = (running.processes["command-api"].pid, ground.server_pid)
            before = sum(map(cpu_seconds, pids))
            load = uvloop.run(drive(running.ports["command-api"], make, clients=CLIENTS, seconds=seconds))
            rates[name].append(load.rate)
            cpu[name].append((sum(map(cpu_seconds, pids)) - before) * 1e6 / max(1, sum(load.statuses.values())))
            wrong |= {status: n for status, n in load.statuses.items() if status != 201}
    ratio = statistics.median(rates["guarded"]) / statistics.median(rates["bare"])
    return [
        Row(
            f"POST /orders with keys, limits and audit, {CLIENTS} clients",
            f"{statistics.median(rates['guarded']):,.0f}/s beside {statistics.median(rates['bare']):,.0f}/s without; "
            f"{statistics.median(cpu['guarded']):,.0f} µs of CPU each beside {statistics.median(cpu['bare']):,.0f}"
            + (f"  NOT 201: {wrong}" if wrong else ""),
            ratio=ratio,
            reach=f">= {REACH}x of it without",
            met=ratio >= REACH and not wrong,
            data={"rates": rates, "cpu": cpu, "ratio": ratio},
        )
    ]


def _showing(key: str, make: Callable[[], bytes]) -> Callable[[], bytes]:
    header = f"\r\nAuthorization: Bearer {key}\r\n\r\n".encode()

    def make_with_key() -> bytes:
        return make().replace(b"\r\n\r\n", header, 1)

    return make_with_key


async def _make_key(dsn: str) -> str:
    settings = load_settings(database_url=dsn.replace(OWNER, DAEMONS, 1))
    terms = KeyTerms(caller="bench", role=Role.OPERATOR, speaks_for_others=False, routes=())
    async with open_api_keys(settings, name="bench") as keys:
        note = AuditNote(action="bench", caller="bench")
        return (await create_key(keys, terms, note, lasts=None, by="bench")).text
