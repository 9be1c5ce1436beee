"""What a process records in the audit beside its answers: few rows in a flood, none lost uncounted in an outage."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from core.errors import Unavailable
from core.ports.audit import AuditEntry
from core.printable import without_secrets
from daemons.process import audit_recorder
from daemons.process.audit_recorder import MOST_GROUPS, OF_A_CALLER, OTHERS, ROOM, AuditRecorder
from daemons.process.vitals import Vitals


class AuditInMemory:
    def __init__(self) -> None:
        self.rows: list[AuditEntry] = []
        self.away = False

    async def record(self, entries: Sequence[AuditEntry]) -> int:
        if self.away:
            raise Unavailable("away")
        self.rows += entries
        return len(self.rows)


def refusal(source: str = "10.0.0.1", **more: Any) -> AuditEntry:
    return AuditEntry(action="GET /api/v1/…", outcome="refused", source=source, **{"status": 401, **more})


async def flush(recorder: AuditRecorder, audit: AuditInMemory) -> None:
    await recorder.close(cast("Any", audit))


async def test_a_flood_of_one_stranger_is_one_row_and_one_count() -> None:
    recorder, audit = AuditRecorder(), AuditInMemory()
    for n in range(1_000):
        recorder.note(refusal(request_id=str(n)), stranger=True)
    await flush(recorder, audit)
    assert [(row.times, row.request_id) for row in audit.rows] == [(1, "0"), (999, "")]


async def test_a_flood_from_many_addresses_is_bounded_and_counted_whole() -> None:
    recorder, audit = AuditRecorder(), AuditInMemory()
    for n in range(5_000):
        recorder.note(refusal(f"10.0.{n // 256}.{n % 256}"), stranger=True)
    await flush(recorder, audit)
    assert len(audit.rows) == MOST_GROUPS + 1
    assert sum(row.times for row in audit.rows) == 5_000
    assert audit.rows[-1].source == OTHERS


async def test_each_refusal_of_a_caller_is_a_row_until_there_are_very_many() -> None:
    recorder, audit = AuditRecorder(), AuditInMemory()
    for n in range(OF_A_CALLER + 40):
        recorder.note(refusal(caller="eve", target=str(n), status=403))
    await flush(recorder, audit)
    assert [row.target for row in audit.rows[:-1]] == [str(n) for n in range(OF_A_CALLER)]
    assert (audit.rows[-1].times, audit.rows[-1].caller) == (40, "eve")


async def test_what_was_counted_in_a_minute_is_recorded_when_it_is_over_although_nothing_more_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit_recorder, "COUNT_FOR", 3_600)
    monkeypatch.setattr(audit_recorder, "FLUSH_EVERY", 0.001)
    recorder, audit = AuditRecorder(), AuditInMemory()
    for _ in range(5):
        recorder.note(refusal(), stranger=True)
    keeping = asyncio.create_task(recorder.keep(cast("Any", audit), Vitals("query-api")))
    while not audit.rows:
        await asyncio.sleep(0.001)
    keeping.cancel()
    recorder._counting_since -= 3_600
    keeping = asyncio.create_task(recorder.keep(cast("Any", audit), Vitals("query-api")))
    async with asyncio.timeout(5):
        while len(audit.rows) < 2:
            await asyncio.sleep(0.001)
    assert audit.rows[-1].times == 4
    keeping.cancel()


async def test_rows_wait_while_the_database_is_away_and_those_that_find_no_room_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit_recorder, "OF_A_CALLER", ROOM + 10)
    recorder, audit = AuditRecorder(), AuditInMemory()
    audit.away = True
    for n in range(ROOM + 3):
        recorder.note(refusal(caller="ana", target=str(n)))
    await flush(recorder, audit)
    assert audit.rows == []
    audit.away = False
    await flush(recorder, audit)
    assert [row.target for row in audit.rows[:-1]] == [str(n) for n in range(ROOM)]
    assert (audit.rows[-1].action, audit.rows[-1].times) == ("left out of the audit", 3)
    await flush(recorder, audit)
    assert len(audit.rows) == ROOM + 1
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("0198c0de-0000-7000-8000-000000000001", "0198c0de-0000-7000-8000-000000000001"),
        (f"od_abcdefghij_{'0' * 64}", "od_abcdefghij_…"),
        (f"x od_abcdefghij_{'0' * 64} y", "x od_abcdefghij_… y"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl", "eyJ…"),
        ("postgresql://ana:secret@db/desk", "postgresql://…@db/desk"),
        ("a\x1b[31mb\x00\r\n", "a·[31mb···"),
        ("a" * 1_000, "a" * 200),
    ],
)
def test_a_text_of_the_audit_has_no_secret_and_is_one_short_line(text: str, kept: str) -> None:
    assert without_secrets(text) == kept
