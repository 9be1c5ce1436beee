"""Measures DBOS, the peer of our sagas: a durable workflow of three steps that does what fulfil_order does.

It runs in a process of its own. Each step writes one row, and DBOS writes its checkpoint. The workflows run in threads,
their steps are plain functions, and workflows are called and not queued: nothing else was as fast here. With coroutines
DBOS reached about three quarters of that rate. With its datasource transactions, without which DBOS does not promise
that a step's row is written once as our appends do, it reached about two thirds.
"""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
from dbos import DBOS
from psycopg import Connection
from psycopg_pool import ConnectionPool

from bench.saga_task import Meter, Run, Task, fastest, figures_of, read_task, send

TABLES = """
CREATE TABLE IF NOT EXISTS peer_reservations (order_id uuid PRIMARY KEY, sku text NOT NULL, quantity int NOT NULL);
CREATE TABLE IF NOT EXISTS peer_payments (order_id uuid PRIMARY KEY, reference text NOT NULL);
CREATE TABLE IF NOT EXISTS peer_confirmed (order_id uuid PRIMARY KEY, confirmed_at timestamptz NOT NULL);
"""
RESERVE = "INSERT INTO peer_reservations VALUES (%s, 'SKU-001', 1) ON CONFLICT DO NOTHING"
PAY = "INSERT INTO peer_payments VALUES (%s, %s) ON CONFLICT DO NOTHING"
CONFIRM = "INSERT INTO peer_confirmed VALUES (%s, now()) ON CONFLICT DO NOTHING"
CHARGE = {"amount": "12.50", "currency": "USD", "payment_method": "card"}
MOST_AT_ONCE = 32


class Peer:
    """The workflow in DBOS; `fulfil` runs it once to its end."""

    def __init__(self, task: Task) -> None:
        pool = ConnectionPool[Connection](task.dsn, max_size=MOST_AT_ONCE, kwargs={"autocommit": True}, open=True)
        pool.wait()
        with pool.connection() as connection:
            connection.execute(TABLES)
        system = task.dsn.replace("postgresql:", "postgresql+psycopg:")
        DBOS(config={
            "name": "peer", "system_database_url": system, "log_level": "ERROR",
            "sys_db_pool_size": MOST_AT_ONCE, "max_executor_threads": MOST_AT_ONCE,
        })  # fmt: skip
        provider = httpx.Client(base_url=task.provider or "", limits=httpx.Limits(max_connections=MOST_AT_ONCE))
        charges: dict[str, str] = {}  # the provider in this process

        def call(order: str) -> str:
            if task.provider is None:
                return charges.setdefault(f"{order}:authorise", f"auth_{order}")
            body, key = CHARGE | {"order_id": order}, {"Idempotency-Key": f"{order}:authorise"}
            return provider.post(f"/api/v1/charges/{order}/authorise", json=body, headers=key).raise_for_status().text

        @DBOS.step()
        def reserve(order: str) -> None:
            with pool.connection() as connection:
                connection.execute(RESERVE, (order,))

        @DBOS.step()
        def authorise(order: str) -> str:
            reference = call(order)
            with pool.connection() as connection:
                connection.execute(PAY, (order, reference))
            return reference

        @DBOS.step()
        def confirm(order: str) -> None:
            with pool.connection() as connection:
                connection.execute(CONFIRM, (order,))

        @DBOS.workflow()
        def fulfil(order: str) -> None:
            reserve(order)
            authorise(order)
            confirm(order)

        DBOS.launch()
        self._fulfil = fulfil

    def fulfil(self) -> None:
        self._fulfil(str(uuid.uuid4()))


def closed_loop(peer: Peer, at_once: int, seconds: float, server: int) -> Run:
    """Run workflows for a time, so many at once: each thread starts its next one when its last has ended."""
    start, meter, count, lock = time.perf_counter(), Meter(server), 0, threading.Lock()

    def client() -> None:
        nonlocal count
        while time.perf_counter() < start + seconds:
            peer.fulfil()
            with lock:
                count += 1

    with ThreadPoolExecutor(at_once) as threads:
        for ended in [threads.submit(client) for _ in range(at_once)]:
            ended.result()
    return meter.run(count)


def steady_load(peer: Peer, rate: float, seconds: float, at_once: int) -> list[float]:
    """Start workflows at a steady rate; return for each the seconds from when it should have started to its end."""
    took: list[float] = []
    start = time.perf_counter()

    def one(due: float) -> None:
        peer.fulfil()
        took.append(time.perf_counter() - due)

    with ThreadPoolExecutor(at_once) as threads:
        for n in range(round(rate * seconds)):
            due = start + n / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            threads.submit(one, due)
    return took


def main() -> None:
    task = read_task()
    peer = Peer(task)
    closed_loop(peer, 4, 0.5, task.server)  # warms up: makes plans and fills caches
    runs = {level: closed_loop(peer, level, task.seconds, task.server) for level in task.levels}
    send(figures_of(runs, steady_load(peer, runs[fastest(runs)].rate / 2, task.seconds, MOST_AT_ONCE)))
    DBOS.destroy()


if __name__ == "__main__":
    main()
