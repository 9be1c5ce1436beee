"""Rebuilds: what an operator writes wrongly, what is kept, and a projector whose forking process is killed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.adapters.postgres.embedded import EmbeddedPostgres
from daemons.cli import rebuild
from daemons.process import exits
from daemons.projector import build
from tests.support.command_api import command_api
from tests.support.daemon_process import DaemonProcess
from tests.support.query_api import query_api

PATH = "/api/v1/admin/rebuilds"


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_hostile_reasons_are_refused_one_generation_is_kept_and_a_lost_forking_process_ends_the_projector(
    postgres: EmbeddedPostgres, template: str, tmp_path: Path
) -> None:
    async with command_api(postgres, template, tmp_path) as commands, query_api(commands.dsn, tmp_path) as queries:
        for reason in ("a\x1b[31mb", "\u202e evil", "  ", "a\nb", "x" * 501):
            answer = await commands.http.post(PATH, json={"group": "stock", "reason": reason})
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "reason"), reason
        first, again = [await commands.http.post(PATH, json={"group": "stock"}) for _ in range(2)]
        assert again.json() == first.json()  # it names the event that is recorded, which `orderdeck verify` looks for
        assert first.json()["position"] > 0
        projector = DaemonProcess("projector", commands.dsn, tmp_path)
        projector.start()

        async def states() -> list[str]:
            return sorted(row["state"] for row in (await queries.get(PATH))["rebuilds"] if row["group"] == "stock")

        async def are(wanted: list[str]) -> None:
            async with asyncio.timeout(30):
                while await states() != wanted:
                    await asyncio.sleep(0.05)

        try:
            await are(["kept", "live"])
            assert (await commands.http.post(PATH, json={"group": "stock", "reason": "why not"})).is_success
            await are(["dropped", "kept", "live"])
            assert projector.process is not None
            [forking] = children(projector.process.pid)
            os.kill(forking, 9)
            assert await asyncio.to_thread(projector.process.wait) == exits.STOPPED
            assert "the process that forks others was killed" in projector.output()
        finally:
            projector.kill()


def test_an_act_on_all_groups_is_for_those_that_have_something_to_act_on(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Mapping[str, Any]] = [
        {"group": "stock", "purpose": "rebuild", "state": "building"},
        {"group": "orders", "purpose": "rebuild", "state": "kept"},
        {"group": "orders", "purpose": "as_of", "state": "building"},
    ]
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(rebuild, "read", lambda _path: {"rebuilds": rows})
    monkeypatch.setattr(rebuild, "send", lambda _method, path, body, **_: sent.append((path, body["group"])))
    rebuild.rebuild("", every=True, cancel=True)
    rebuild.rebuild("", every=True, switch_back=True)
    assert sent == [(f"{PATH}/cancel", "stock"), (f"{PATH}/switch-back", "orders")]
    rows.clear()
    sent.clear()
    rebuild.rebuild("", every=True, drop_old=True)  # the service says of each that there is nothing
    assert [group for _, group in sent] == ["orders", "stock"]


def test_a_line_that_is_drawn_over_fits_in_one_row_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in ("20", "1"):
        monkeypatch.setenv("COLUMNS", columns)
        assert len(rebuild.in_one_row("x" * 200)) == max(1, int(columns) - 1)


async def test_a_share_whose_processes_end_again_and_again_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, lacks = asyncio.Event(), iter([True, True, True, False])
    ended.set()

    async def share_lacks_events(*_: int) -> bool:
        return next(lacks)

    at: Any = SimpleNamespace(generation=SimpleNamespace(id=7), generations=SimpleNamespace())
    at.generations.share_lacks_events = share_lacks_events
    others: Any = SimpleNamespace(begin=lambda _: ended)
    monkeypatch.setattr(build, "PAUSE", 0.0)
    with capture_logs() as logs:
        await build.have_filled(at, others, 100, 1)
    assert [each["event"] for each in logs] == ["a process that fills a share has ended too early, and another goes on"]
