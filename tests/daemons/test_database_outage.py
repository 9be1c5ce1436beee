"""An outage of the database in the logs of the daemons: a line when it begins, one with its length when it is over."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from core.adapters.postgres.embedded import EmbeddedPostgres
from tests.support.customers import eventually
from tests.support.daemon_process import DaemonProcess
from tests.support.ports import free_port
from tests.support.raw_http import request, send
from tests.support.tcp_link import TcpLink

ASKED = {
    "command_api": request("PUT", "/api/v1/orders/00000000-0000-7000-8000-000000000001/confirm"),
    "query_api": request(target="/api/v1/orders"),
}


@pytest.mark.parametrize("name", ["command_api", "query_api", "saga_runner", "projector", "notifier"])
async def test_a_daemon_logs_an_outage_of_its_database_in_two_lines_however_often_it_meets_it(
    name: str, dsn: str, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    with TcpLink(Path(postgres.home.postgres_sockets) / ".s.PGSQL.5432", free_port()) as link:
        user, _, rest = dsn.removeprefix("postgresql://").partition("@/")
        through = f"postgresql://{user}@{link.address}/{rest.partition('?')[0]}?sslmode=disable"
        daemon = DaemonProcess(name, through, tmp_path)
        daemon.start()
        try:
            await eventually(lambda: ready(daemon, 200), 20)
            before = len(lines(daemon))
            link.cut()
            await eventually(lambda: ready(daemon, 503), 20)
            for _ in range(20 if name in ASKED else 0):
                answer = await asyncio.to_thread(send, daemon.port, ASKED[name])
                assert answer.status == 503
            await eventually(lambda: said(daemon, before, "the database cannot be reached"), 20)
            link.mend()
            await eventually(lambda: ready(daemon, 200), 20)
            await eventually(lambda: said(daemon, before, "the database can be reached again"), 20)
        finally:
            daemon.stop()
        about = [line for line in lines(daemon)[before:] if line["event"] not in ("holds", "stopped")]
        assert [(line["event"], line["level"]) for line in about] == [
            ("the database cannot be reached", "warning"), ("the database can be reached again", "info")
        ]  # fmt: skip
        assert about[0]["reason"].startswith("the database is away")
        assert about[1]["seconds"] >= 0
        assert "Traceback" not in daemon.output()


async def ready(daemon: DaemonProcess, status: int) -> bool | None:
    return True if (await daemon.ready())[0] == status else None


async def said(daemon: DaemonProcess, before: int, event: str) -> bool | None:
    return True if any(line["event"] == event for line in lines(daemon)[before:]) else None


def lines(daemon: DaemonProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in daemon.output().splitlines() if line.startswith("{")]
