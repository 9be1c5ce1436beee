"""What administrators look at: events by any filter, streams, readers and snapshots, page by page in bounded steps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from core import codec
from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.connection import connect as connect_to
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.inspection import found_events, inspection
from core.adapters.postgres.inspection.inspection import PLANS, PostgresInspection
from core.adapters.postgres.lanes import opened_with
from core.codec import StoredEvent
from core.ports.inspection import EventSearch, SnapshotSearch, StreamSearch
from tests.support.orders import Sample, order_id, write
from tests.support.query_api import database
from tests.support.samples import replenished
from tests.support.stored_events import stored_events

ACTORS = ("ana", "ben", None)
HIGHEST = UUID(int=2**128 - 1)


def marked(event: StoredEvent) -> StoredEvent:
    """The event with somebody as its author, and the event before it as its cause."""
    metadata: dict[str, Any] = {"correlation_id": str(event.correlation_id), "causation_id": str(cause(event.position))}
    if actor := ACTORS[event.position % 3]:
        metadata |= {"user_id": actor, "request_id": f"request-{event.position // 10}"}
    return replace(event, metadata=codec.json(metadata).decode())


def cause(position: int) -> UUID:
    return UUID(int=position // 4)


ORDERS = Sample(30, payments=True).events()
STOCK = [
    replace(
        event,
        position=len(ORDERS) + event.position,
        recorded_at=ORDERS[-1].recorded_at + timedelta(seconds=event.position),
    )
    for event in stored_events([replenished] * 39)
]
LOG = [marked(event) for event in (*ORDERS, *STOCK)]
MIDDLE = LOG[len(LOG) // 2]
AN_HOUR_LATER = MIDDLE.recorded_at + timedelta(hours=1)


@pytest.fixture(scope="module")
async def dsn(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    async with database(postgres, template, "inspection") as dsn:
        await write(dsn, LOG)
        yield dsn


@pytest.fixture(scope="module")
async def inspected(dsn: str) -> AsyncIterator[PostgresInspection]:
    link = Link(lambda: opened_with(lambda: connect_to(dsn, name="test"), PLANS))
    yield PostgresInspection(link)
    link.close()


def metadata(event: StoredEvent) -> dict[str, Any]:
    return codec.parse(event.metadata)


CASES: dict[str, tuple[dict[str, Any], Callable[[StoredEvent], bool]]] = {
    "all": ({}, lambda _: True),
    "a type": ({"types": ["OrderShipped"]}, lambda e: e.event_type == "OrderShipped"),
    "types": (
        {"types": ["OrderShipped", "PaymentCaptured"]},
        lambda e: e.event_type in ("OrderShipped", "PaymentCaptured"),
    ),
    "a category": ({"categories": ["payment"]}, lambda e: e.category == "payment"),
    "a type of another category": ({"categories": ["payment"], "types": ["OrderShipped"]}, lambda _: False),
    "a stream": ({"stream_id": order_id(3)}, lambda e: e.stream == order_id(3)),
    "a long stream": ({"stream_id": STOCK[0].stream}, lambda e: e.stream == STOCK[0].stream),
    "a stream between positions": (
        {"stream_id": STOCK[0].stream, "after": STOCK[3].position, "before": STOCK[30].position},
        lambda e: e.stream == STOCK[0].stream and STOCK[3].position < e.position < STOCK[30].position,
    ),
    "a correlation": ({"correlation_id": order_id(4)}, lambda e: e.correlation_id == order_id(4)),
    "a correlation and its author": (
        {"correlation_id": order_id(4), "actor": "ben"},
        lambda e: e.correlation_id == order_id(4) and metadata(e).get("user_id") == "ben",
    ),
    "a stream of another correlation": (
        {"stream_id": order_id(3), "correlation_id": order_id(4)}, lambda _: False,
    ),
    "a cause": ({"causation_id": cause(17)}, lambda e: cause(e.position) == cause(17)),
    "an author": ({"actor": "ana"}, lambda e: metadata(e).get("user_id") == "ana"),
    "nobody": ({"actor": "nobody"}, lambda _: False),
    "a request": ({"request_id": "request-2"}, lambda e: metadata(e).get("request_id") == "request-2"),
    "an author and a type": (
        {"actor": "ana", "types": ["OrderCreated"]},
        lambda e: e.event_type == "OrderCreated" and metadata(e).get("user_id") == "ana",
    ),
    "positions": ({"after": 20, "before": 40}, lambda e: 20 < e.position < 40),
    "no positions": ({"after": 40, "before": 20}, lambda _: False),
    "positions beyond the log": ({"after": 2**63 - 1, "before": 2**63 - 1}, lambda _: False),
    "times": (
        {"since": MIDDLE.recorded_at, "until": AN_HOUR_LATER, "categories": ["order"]},
        lambda e: MIDDLE.recorded_at <= e.recorded_at < AN_HOUR_LATER and e.category == "order",
    ),
}  # fmt: skip


async def found(inspected: PostgresInspection, limit: int, **search: Any) -> tuple[list[int], int]:
    """The positions of all pages, and how many pages there were."""
    positions: list[int] = []
    pages = 0
    while True:
        page = await inspected.events(EventSearch(limit=limit, **search))
        positions += [event.position for event in page.events]
        pages += 1
        if page.next_before is None:
            return positions, pages
        assert page.next_before < search.get("before", 2**63)
        search["before"] = page.next_before


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("looked_at", [50_000, 7])
async def test_events_are_found_by_any_filter_however_few_a_page_looks_at(
    inspected: PostgresInspection, monkeypatch: pytest.MonkeyPatch, case: str, looked_at: int
) -> None:
    monkeypatch.setattr(found_events, "LOOKED_AT", looked_at)
    search, fits = CASES[case]
    expected = [event.position for event in reversed(LOG) if fits(event)]
    for limit in (3, 1_000):
        positions, _ = await found(inspected, limit, **search)
        assert positions == expected


async def test_a_page_that_finds_nothing_has_looked_at_no_more_than_it_may(
    inspected: PostgresInspection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_events, "LOOKED_AT", 10)
    cases: tuple[tuple[dict[str, Any], int], ...] = (
        ({}, len(LOG)),
        ({"stream_id": STOCK[0].stream}, len(STOCK)),
        ({"types": ["StockReplenished"]}, len(STOCK)),
        ({"correlation_id": STOCK[0].correlation_id}, len(STOCK)),
    )
    for search, candidates in cases:
        positions, pages = await found(inspected, 5, actor="nobody", **search)
        assert (positions, pages) == ([], -(-candidates // 10)), search


async def test_each_look_at_the_log_goes_along_the_index_that_it_is_bounded_by(dsn: str) -> None:
    seen: list[tuple[str, tuple[Any, ...]]] = []

    class Spy:
        def __init__(self, connection: Connection) -> None:
            self._connection = connection

        async def fetch(self, query: str, *args: Any) -> Any:
            seen.append((query, args))
            return await self._connection.fetch(query, *args)

        async def fetchval(self, query: str, *args: Any) -> Any:
            seen.append((query, args))
            return await self._connection.fetchval(query, *args)

    connection = await opened_with(lambda: connect_to(dsn, name="test"), PLANS)
    try:
        cases: tuple[tuple[dict[str, Any], str], ...] = (
            ({}, "events_pkey"),
            ({"types": ["OrderShipped"]}, "events_type"),
            ({"correlation_id": order_id(4)}, "events_correlation"),
            ({"stream_id": order_id(3)}, "events_stream_id_version_key"),
        )
        for search, index in cases:
            seen.clear()
            spy: Any = Spy(connection)
            await found_events.find_events(spy, EventSearch(limit=5, actor="nobody", **search))
            for query, args in seen[1:]:
                plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {query}", *args))
                assert index in plan, plan
                assert "Seq Scan" not in plan
                assert "Bitmap" not in plan
    finally:
        await connection.close()


def streams_of(events: Sequence[StoredEvent]) -> dict[UUID, list[StoredEvent]]:
    grouped: dict[UUID, list[StoredEvent]] = {}
    for event in events:
        grouped.setdefault(event.stream, []).append(event)
    return grouped


async def test_streams_are_listed_by_their_ids_page_by_page(
    inspected: PostgresInspection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "STREAMS_LOOKED_AT", 4)
    grouped = streams_of(LOG)
    for categories in ((), ("payment",), ("inventory", "order"), ("saga",)):
        for limit in (3, 100):
            first, seen = UUID(int=0), list[Any]()
            while True:
                search = StreamSearch(limit=limit, first=first, last=HIGHEST, categories=categories)
                page = await inspected.streams(search)
                seen += page.streams
                if page.next_after is None:
                    break
                first = UUID(int=page.next_after.int + 1)
            expected = sorted(
                id_ for id_, events in grouped.items() if not categories or events[0].category in categories
            )
            assert [row.stream_id for row in seen] == expected
            for row in seen:
                first_one, last = grouped[row.stream_id][0], grouped[row.stream_id][-1]
                assert (row.version, row.first_position, row.last_position, row.last_type) == (
                    last.version, first_one.position, last.position, last.event_type,
                )  # fmt: skip
    inside = sorted(grouped)[2:5]
    page = await inspected.streams(StreamSearch(limit=9, first=inside[0], last=inside[-1]))
    assert [row.stream_id for row in page.streams] == inside
    assert await inspected.stream(UUID(int=1)) is None


async def test_checkpoints_say_how_far_each_reader_is_and_who_holds_its_shares(
    inspected: PostgresInspection, dsn: str
) -> None:
    owner = await connect_to(dsn, name="test", role=None, limits=False)
    try:
        await owner.execute(
            """
            INSERT INTO checkpoints (reader, position, revision, epoch)
            VALUES ('projector.orders', 5, 'r', 3), ('projector.orders@77', 0, 'r', 0), ('saga-runner', $1, '', 0)
            """,
            len(LOG),
        )
        await owner.execute("""
            INSERT INTO reader_shares (reader, share, position, owner, epoch, lease_until)
            VALUES ('projector.orders', 0, 5, 'a', 2, clock_timestamp() + interval '1 h'),
                   ('projector.orders', 1, 9, 'b', 4, clock_timestamp() - interval '1 h')
        """)
    finally:
        await owner.close()
    orders, filled, runner = await inspected.checkpoints()
    assert (orders.reader, orders.group, orders.generation, orders.epoch) == ("projector.orders", "orders", None, 3)
    assert (orders.position, orders.lag_events) == (5, len(LOG) - 5)
    assert orders.lag_seconds > 0
    assert [(one.share, one.owner, one.epoch, one.lease_until is None) for one in orders.shares] == [
        (0, "a", 2, False), (1, None, 4, True),
    ]  # fmt: skip
    assert (filled.group, filled.generation) == ("orders", 77)
    assert (runner.group, runner.lag_events, runner.lag_seconds, runner.shares) == (None, 0, 0, [])


async def test_snapshots_are_listed_by_their_streams(inspected: PostgresInspection, dsn: str) -> None:
    streams = sorted(streams_of(LOG))[:3]
    connection = await connect_to(dsn, name="test")
    try:
        await connection.execute(
            "SELECT keep_snapshots($1, $2, $3, $4, $5)",
            streams, ["order"] * 3, [1] * 3, [b"\xab" * 32] * 3, ["{}", "{1}", "é"],
        )  # fmt: skip
    finally:
        await connection.close()
    first = await inspected.snapshots(SnapshotSearch(limit=2, first=UUID(int=0), last=HIGHEST))
    assert [(one.stream_id, one.bytes) for one in first.snapshots] == [(streams[0], 2), (streams[1], 3)]
    assert (first.snapshots[0].schema, first.next_after) == ("abababababab", streams[1])
    assert [one.behind for one in first.snapshots] == [len(streams_of(LOG)[id_]) - 1 for id_ in streams[:2]]
    rest = await inspected.snapshots(SnapshotSearch(limit=2, first=streams[2], last=HIGHEST))
    assert ([one.bytes for one in rest.snapshots], rest.next_after) == ([2], None)
    shown = await inspected.stream(streams[0])
    assert shown is not None
    assert shown.snapshot_version == 1
