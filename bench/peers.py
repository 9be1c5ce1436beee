"""The peers: pgbench inserting the row an order makes, and pyeventsourcing saving an aggregate of its size."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bench.ground import Ground
from core.adapters.postgres.embedded import binaries

ROW = """
CREATE TABLE IF NOT EXISTS peer (LIKE events INCLUDING ALL);
CREATE SEQUENCE IF NOT EXISTS peer_position;
"""

INSERT = """
\\set n random(1, 1000000000)
INSERT INTO peer VALUES (nextval('peer_position'), gen_random_uuid(), 'order', 1, gen_random_uuid(), 'OrderCreated', 1,
  '{payload}', '{metadata}', gen_random_uuid(), clock_timestamp());
"""

SELECT = """
\\set n random(1, {most})
SELECT * FROM peer WHERE position = :n;
"""

METADATA = '{"correlation_id": "01a1f8d7-0279-723c-a53b-943697b9206c"}'


def pgbench(ground: Ground, dsn: str, script: str, *, clients: int, seconds: float) -> tuple[float, float]:
    """Transactions per second and mean latency in milliseconds of a script."""
    done = _run(ground, dsn, script, clients, seconds)
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    latency = re.search(r"latency average = ([\d.]+) ms", done.stdout)
    if not rate or not latency:
        raise SystemExit(f"pgbench failed:\n{done.stdout}{done.stderr}")
    return float(rate[1]), float(latency[1])


def pgbench_latencies(ground: Ground, dsn: str, script: str, *, clients: int, seconds: float) -> list[float]:
    """The seconds that each of one transaction in ten took; to log them takes time, so no rate is told of this run."""
    logs = ground.folder / f"latencies-{time.monotonic_ns()}"
    _run(ground, dsn, script, clients, seconds, "--log", f"--log-prefix={logs}", "--sampling-rate=0.1")
    lines = [line for path in ground.folder.glob(f"{logs.name}.*") for line in path.read_text().splitlines()]
    return [int(line.split()[2]) / 1e6 for line in lines]


def _run(
    ground: Ground, dsn: str, script: str, clients: int, seconds: float, *more: str
) -> subprocess.CompletedProcess[str]:
    path = ground.folder / "script.sql"
    path.write_text(script)
    return subprocess.run(
        [
            binaries() / "pgbench", "--no-vacuum", "--protocol=prepared", f"--client={clients}",
            "--jobs=2", f"--time={max(1, round(seconds))}", f"--file={path}", *more, _conninfo(dsn),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def run_sql(dsn: str, sql: str) -> None:
    subprocess.run(
        [binaries() / "psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--command={sql}", _conninfo(dsn)],
        check=True,
    )


def _conninfo(dsn: str) -> str:
    """The same address in the form that libpq reads."""
    parts = urlsplit(dsn)
    host = parse_qs(parts.query)["host"][0]
    return f"host='{host}' port=5432 dbname={parts.path[1:]} user={parts.username}"


# --- pyeventsourcing, in a process of its own: `python -m bench.peers DSN SECONDS PAYLOAD` ---------------------
def eventsourcing_rate(dsn: str, payload: bytes, seconds: float) -> float:
    """Saves per second of one process that saves one new aggregate after the other."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.peers", dsn, str(seconds), payload.decode()],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the pyeventsourcing peer failed:\n{done.stdout}{done.stderr}")
    return float(done.stdout)


def _save(dsn: str, seconds: float, payload: str) -> None:
    parts = urlsplit(dsn)
    os.environ |= {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": parts.path[1:],
        "POSTGRES_HOST": parse_qs(parts.query)["host"][0],
        "POSTGRES_PORT": "5432",
        "POSTGRES_USER": parts.username or "",
        "POSTGRES_PASSWORD": "-",
    }
    from eventsourcing.application import Application  # noqa: PLC0415 - it reads the environment set above
    from eventsourcing.domain import Aggregate, event  # noqa: PLC0415

    class Order(Aggregate):
        @event("Created")
        def __init__(self, order: str) -> None:
            self.order = order

    app: Application = Application()
    for _ in range(100):
        app.save(Order(payload))
    saved, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        app.save(Order(payload))
        saved += 1
    print(saved / seconds)


if __name__ == "__main__":
    _save(sys.argv[1], float(sys.argv[2]), sys.argv[3])
