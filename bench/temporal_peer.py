"""Measures Temporal, a peer of our sagas: a workflow of three activities that does what fulfil_order does.

It runs in a process of its own, with the development server as its child. Each activity writes one row to PostgreSQL,
as the steps of the DBOS peer do, and the server keeps the history in a file of SQLite that it syncs at each commit. The
workflows run without the sandbox that looks for what is not deterministic, and coroutines do the activities.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import tempfile
import time
import uuid
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path

import aiohttp
import asyncpg
import uvloop
from temporalio import activity, workflow  # pyright: ignore[reportMissingImports] - who wants it installs it
from temporalio.client import Client  # pyright: ignore[reportMissingImports]
from temporalio.service import RPCError  # pyright: ignore[reportMissingImports]
from temporalio.worker import UnsandboxedWorkflowRunner, Worker  # pyright: ignore[reportMissingImports]

from bench.dbos_peer import CHARGE, TABLES
from bench.ground import cpu_seconds, free_port
from bench.saga_task import Meter, Run, Task, fastest, figures_of, read_task, send
from bench.temporal import server_program
from core.processes import die_with_parent

QUEUE = "orders"
CONNECTIONS = 16
READY_WITHIN = 30.0  # seconds
PRAGMAS = ("journal_mode=wal", "synchronous=2")  # each commit is synced
SOON = timedelta(seconds=30)


class MeterOfBoth(Meter):
    """The CPU of the server counts as that of this process."""

    def __init__(self, server: int, temporal: int) -> None:
        self._temporal = temporal
        super().__init__(server)

    def _now(self) -> tuple[float, float, float]:
        now, own, server = super()._now()
        return now, own + cpu_seconds(self._temporal), server


class Steps:
    """The activities; they write to the tables of the other peer, and call the same provider."""

    def __init__(self, pool: asyncpg.Pool, provider: str | None, http: aiohttp.ClientSession) -> None:
        self._pool, self._provider, self._http = pool, provider, http
        self._charges: dict[str, str] = {}  # the provider in this process

    @activity.defn
    async def reserve(self, order: str) -> None:
        await self._pool.execute(
            "INSERT INTO peer_reservations VALUES ($1, 'SKU-001', 1) ON CONFLICT DO NOTHING", order
        )

    @activity.defn
    async def authorise(self, order: str) -> str:
        reference = await self._call(order)
        await self._pool.execute("INSERT INTO peer_payments VALUES ($1, $2) ON CONFLICT DO NOTHING", order, reference)
        return reference

    @activity.defn
    async def confirm(self, order: str) -> None:
        await self._pool.execute("INSERT INTO peer_confirmed VALUES ($1, now()) ON CONFLICT DO NOTHING", order)

    async def _call(self, order: str) -> str:
        if self._provider is None:
            return self._charges.setdefault(f"{order}:authorise", f"auth_{order}")
        url, key = f"{self._provider}/api/v1/charges/{order}/authorise", {"Idempotency-Key": f"{order}:authorise"}
        async with self._http.post(url, json=CHARGE | {"order_id": order}, headers=key) as answer:
            answer.raise_for_status()
            return await answer.text()


@workflow.defn
class Fulfil:
    @workflow.run
    async def run(self, order: str) -> None:
        await workflow.execute_activity_method(Steps.reserve, order, start_to_close_timeout=SOON)
        await workflow.execute_activity_method(Steps.authorise, order, start_to_close_timeout=SOON)
        await workflow.execute_activity_method(Steps.confirm, order, start_to_close_timeout=SOON)


@contextlib.contextmanager
def server(folder: Path) -> Generator[tuple[str, int]]:
    """Run the development server; yields its address, and the id of its process."""
    port = free_port()
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [
                server_program() or "temporal", "server", "start-dev", "--headless", "--log-level=error",
                f"--port={port}", f"--db-filename={folder / 'temporal.db'}",
                *(f"--sqlite-pragma={pragma}" for pragma in PRAGMAS),
            ],
            stdout=log, stderr=log, preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock taken
        )  # fmt: skip
    try:
        yield f"127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(timeout=20)


async def connected(address: str) -> Client:
    deadline = time.monotonic() + READY_WITHIN
    while True:
        try:
            client = await Client.connect(address)
            await client.count_workflows()  # the namespace is there
        except (RuntimeError, RPCError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return client


async def fulfil(client: Client) -> None:
    order = str(uuid.uuid4())
    await client.execute_workflow(Fulfil.run, order, id=order, task_queue=QUEUE, request_eager_start=True)


async def closed_loop(client: Client, at_once: int, seconds: float, meter: MeterOfBoth) -> Run:
    """Run workflows for a time, so many at once: each client starts its next one when its last has ended."""
    start, count = time.perf_counter(), 0

    async def one() -> None:
        nonlocal count
        while time.perf_counter() < start + seconds:
            await fulfil(client)
            count += 1

    await asyncio.gather(*(one() for _ in range(at_once)))
    return meter.run(count)


async def steady_load(client: Client, rate: float, seconds: float) -> list[float]:
    """Start workflows at a steady rate; return for each the seconds from when it should have started to its end."""
    took: list[float] = []
    start = time.perf_counter()

    async def one(due: float) -> None:
        await fulfil(client)
        took.append(time.perf_counter() - due)

    async with asyncio.TaskGroup() as group:
        for n in range(round(rate * seconds)):
            due = start + n / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(due))
    return took


async def run(task: Task, address: str, temporal: int) -> None:
    async with (
        asyncpg.create_pool(task.dsn, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool,
        aiohttp.ClientSession() as http,
    ):
        await pool.execute(TABLES)
        client, steps = await connected(address), Steps(pool, task.provider, http)
        worker = Worker(
            client, task_queue=QUEUE, workflows=[Fulfil], activities=[steps.reserve, steps.authorise, steps.confirm],
            workflow_runner=UnsandboxedWorkflowRunner(), max_cached_workflows=2_000, max_concurrent_activities=500,
            max_concurrent_workflow_tasks=500,
        )  # fmt: skip
        async with worker:
            await closed_loop(client, 4, 1.0, MeterOfBoth(task.server, temporal))  # warms up
            runs = {
                level: await closed_loop(client, level, task.seconds, MeterOfBoth(task.server, temporal))
                for level in task.levels
            }
            send(figures_of(runs, await steady_load(client, runs[fastest(runs)].rate / 2, task.seconds)))


def main() -> None:
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="od-temporal-") as folder, server(Path(folder)) as (address, temporal):
        uvloop.run(run(read_task(), address, temporal))


if __name__ == "__main__":
    main()
