"""The audit in the database: one chain however many write, nothing in it changes unseen, and it is cut by age."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import asyncpg
import pytest

from core.adapters.postgres import audit as adapter
from core.adapters.postgres.audit import PostgresAudit
from core.adapters.postgres.audit_chain import AUDIT_DISORDER
from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.event_store import PostgresEventStore
from core.domain.message import StreamId
from core.ports.audit import AuditEntry, AuditNote, AuditRow, AuditSearch
from core.ports.log import Accepted, Append, Conflict, Entry
from tests.support.log import an_event
from tests.support.opener import Opener

PUT_IN = """
INSERT INTO audit
SELECT (jsonb_populate_record(a, '{"position": 6, "caller": "eve"}')).* FROM audit a WHERE position = 5
"""
EVERYTHING = AuditSearch(limit=1_000)


@pytest.fixture
async def audit(opener: Opener) -> AsyncIterator[PostgresAudit]:
    link = Link(opener)
    yield PostgresAudit(link)
    link.close()


def entry(caller: str = "ana", *, outcome: str = "done", target: str = "") -> AuditEntry:
    return AuditEntry(action="POST /api/v1/orders", outcome=outcome, caller=caller, target=target)  # pyright: ignore[reportArgumentType]


async def wrong(admin: Connection) -> list[tuple[int, str]]:
    return [(row[1], row[2]) for _, query in AUDIT_DISORDER for row in await admin.fetch(query)]


def hashed(before: str, row: AuditRow) -> str:
    """As docs/how-to/see-who-did-what.md writes it down."""
    fields = [
        row.position, round(row.at.timestamp() * 1_000_000), row.caller, row.key_id, row.on_behalf_of, row.source,
        row.action, row.target, row.outcome, row.status, row.problem, row.request_id, row.event_position, row.times,
        row.detail,
    ]  # fmt: skip
    return hashlib.sha256(bytes.fromhex(before) + json.dumps(fields, ensure_ascii=False).encode()).hexdigest()


async def test_many_who_record_at_once_make_one_chain(opener: Opener, admin: Connection) -> None:
    links = [Link(opener) for _ in range(4)]
    trails = [PostgresAudit(link) for link in links]
    strange = AuditEntry(
        action='"\\\n\t{}[],', outcome="refused", caller="Ŧ→é \u2028", source="::1", times=7, status=401
    )
    await asyncio.gather(*(trail.record([entry(f"c{n}"), strange]) for n in range(10) for trail in trails))
    rows = list(reversed((await trails[0].page(EVERYTHING)).rows))
    assert [row.position for row in rows] == list(range(1, 81))
    before = hashlib.sha256(b"orderdeck audit").hexdigest()
    for row in rows:
        assert row.hash == hashed(before, row)
        before = row.hash
    assert all(earlier.at <= later.at for earlier, later in pairwise(rows))
    assert await wrong(admin) == []
    for link in links:
        link.close()


async def test_an_event_and_who_asked_for_it_are_recorded_together_or_not_at_all(
    store: PostgresEventStore, audit: PostgresAudit
) -> None:
    stream, note = StreamId(uuid4()), AuditNote(action="PUT /x", caller="ana", status=200)

    def append(expected: int, target: str) -> Append:
        events = [an_event(), an_event()]
        return Append([Entry(stream, "inventory", expected, events)], audit=note.entry(target=target))

    silent = Append([Entry(StreamId(uuid4()), "inventory", 0, [an_event()])])
    first, other = await asyncio.gather(store.append(append(0, "one")), store.append(silent))
    assert isinstance(first, Accepted)
    assert isinstance(other, Accepted)
    assert isinstance(await store.append(append(0, "two")), Conflict)
    (row,) = (await audit.page(EVERYTHING)).rows
    assert (row.target, row.event_position, row.caller, row.status) == ("one", first.position, "ana", 200)


async def test_in_a_batch_each_accepted_append_that_somebody_asked_for_has_its_row_in_the_order_of_the_events(
    store: PostgresEventStore, audit: PostgresAudit, admin: Connection
) -> None:
    def append(n: int) -> Append:
        expected = 7 if n % 3 == 0 else 0  # a new stream has version 0, so that 7 is a conflict
        note = None if n % 5 == 0 else AuditNote(action="PUT /x", caller=f"c{n}", status=200).entry()
        return Append([Entry(StreamId(uuid4()), "inventory", expected, [an_event()] * (1 + n % 2))], audit=note)

    verdicts = await asyncio.gather(*(store.append(append(n)) for n in range(60)))
    accepted = {n: verdict.position for n, verdict in enumerate(verdicts) if isinstance(verdict, Accepted)}
    assert list(accepted) == [n for n in range(60) if n % 3]
    rows = reversed((await audit.page(EVERYTHING)).rows)
    assert [(row.caller, row.event_position) for row in rows] == [
        (f"c{n}", position) for n, position in accepted.items() if n % 5
    ]
    assert await wrong(admin) == []


async def test_nobody_may_change_the_audit(audit: PostgresAudit, admin: Connection, opener: Opener) -> None:
    await audit.record([entry(), entry()])
    for statement in ("UPDATE audit SET caller = 'eve'", "DELETE FROM audit", "TRUNCATE audit"):
        with pytest.raises(asyncpg.RestrictViolationError, match="only added to"):
            await admin.execute(statement)
    daemon = await opener()
    for statement in (
        "INSERT INTO audit SELECT * FROM audit", "UPDATE audit_chain SET head = 0", "DELETE FROM audit",
        "ALTER TABLE audit DISABLE TRIGGER ALL",
    ):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await daemon.execute(statement)
    await daemon.close()


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("UPDATE audit SET caller = 'eve' WHERE position = 3", ["row 3 of the audit is not what was recorded"]),
        ("UPDATE audit SET at = at + interval '1 us' WHERE position = 1", ["row 1 of the audit is not what"]),
        ("UPDATE audit SET hash = sha256('x') WHERE position = 5", ["row 5 of the audit is not", "the hash of the"]),
        ("DELETE FROM audit WHERE position = 2", ["row 2 of the audit is missing"]),
        ("DELETE FROM audit WHERE position IN (2, 3)", ["rows 2 to 3 of the audit are missing"]),
        ("DELETE FROM audit WHERE position = 1", ["row 1 of the audit is missing"]),
        ("DELETE FROM audit WHERE position > 3", ["rows 4 to 5 of the audit are missing"]),
        ("DELETE FROM audit", ["rows 1 to 5 of the audit are missing"]),
        (PUT_IN, ["row 6 of the audit was put in"]),
        ("UPDATE audit SET position = 6 WHERE position = 5", ["row 6 of the audit was put in", "rows 5 to 5"]),
        ("UPDATE audit_chain SET cut = 2, cut_hash = (SELECT hash FROM audit WHERE position = 2)",
         ["the audit begins after row 2, and none of its rows says"]),
    ],
)  # fmt: skip
async def test_a_row_that_was_changed_removed_or_put_in_is_named(
    audit: PostgresAudit, admin: Connection, tampering: str, found: list[str]
) -> None:
    await audit.record([entry(f"c{n}") for n in range(5)])
    assert await wrong(admin) == []
    await admin.execute("SET session_replication_role = replica")
    await admin.execute(tampering)
    told = [what for _, what in await wrong(admin)]
    assert len(told) == len(found)
    assert all(what.startswith(start) for what, start in zip(told, found, strict=True)), told


async def test_what_is_older_than_it_has_to_be_kept_is_cut_and_the_cut_is_recorded(
    audit: PostgresAudit, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "FORGOTTEN_AT_ONCE", 2)
    await audit.record([entry(f"c{n}") for n in range(5)])
    assert await audit.cut(timedelta(days=1)) == 0
    assert await audit.cut(timedelta(0)) == 5
    page = await audit.page(EVERYTHING)
    assert [(row.position, row.action, row.target) for row in page.rows] == [(6, "cut the audit", "rows 1 to 5")]
    assert (page.cut, page.head, page.next_before) == (5, 6, None)
    assert await wrong(admin) == []
    await audit.record([entry("later")])
    assert await audit.cut(timedelta(0)) == 2
    assert [(row.position, row.target) for row in (await audit.page(EVERYTHING)).rows] == [(8, "rows 6 to 7")]
    assert await wrong(admin) == []
    await admin.execute("SET session_replication_role = replica")
    await admin.execute("UPDATE audit SET target = 'rows 1 to 3'")
    assert len(await wrong(admin)) == 2  # the row itself, and the start that nobody explains


async def test_a_cut_looks_for_its_place_once_however_many_rows_there_are(admin: Connection) -> None:
    await admin.execute(
        "SELECT record_audit(jsonb_agg(jsonb_build_object('outcome', 'done'))) FROM generate_series(1, 300)"
    )
    async with admin.transaction():
        assert await admin.fetchval("SELECT cut_audit('1 day')") == 0
        looks = await admin.fetchval("SELECT seq_scan + idx_scan FROM pg_stat_xact_user_tables WHERE relname = 'audit'")
    assert 0 < looks < 20  # it halves the 300 rows until one is left; the row is read once more


async def test_pages_are_of_what_is_asked_for_and_look_at_a_bounded_number_of_rows(
    audit: PostgresAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    await audit.record([entry(f"c{n % 3}", outcome="refused" if n % 2 else "done", target=f"t{n}") for n in range(30)])
    middle = datetime.now(UTC)
    await audit.record([entry("late")])

    async def found(**more: object) -> list[str]:
        return [row.target or row.caller for row in (await audit.page(AuditSearch(limit=4, **more))).rows]  # pyright: ignore[reportArgumentType]

    assert await found() == ["late", "t29", "t28", "t27"]
    assert await found(before=4) == ["t2", "t1", "t0"]
    assert await found(who="c1", outcome="refused") == ["t25", "t19", "t13", "t7"]
    assert await found(target="t7", who="c0") == []
    assert await found(since=middle) == ["late"]
    assert await found(until=middle) == ["t29", "t28", "t27", "t26"]
    assert await found(since=middle + timedelta(days=1)) == []
    monkeypatch.setattr(adapter, "LOOKED_AT", 10)
    first = await audit.page(AuditSearch(limit=4, target="t0"))
    assert (first.rows, first.next_before) == ([], 22)
    last = await audit.page(AuditSearch(limit=4, target="t0", before=2))
    assert ([row.target for row in last.rows], last.next_before) == (["t0"], None)
