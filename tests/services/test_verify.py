"""verify finds each kind of tampering by its invariant, and nothing in a database that is right."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from msgspec.structs import replace

from core import codec
from core.adapters.memory.payments import MemoryPaymentGateway
from core.adapters.postgres.connection import Connection, connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.evidence import open_evidence
from core.audit.verification import Report, Verification
from core.domain.inventory import INVENTORY
from core.domain.message import OrderId, Sku, inventory_stream, payment_of, saga_of
from core.domain.order import CancelOrder, DeliverOrder, OrderEvent, ShipOrder
from core.domain.provider import Charge
from core.errors import DatabaseFault
from core.ports.evidence import Finding
from core.projections import GROUPS
from core.sagas import SAGAS
from core.services.snapshots import encode, schema_hash
from tests.support.order_desk import Desk
from tests.support.projecting import project
from tests.support.tampering import LEDGERS, SET, WRONGS, at


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class FilledDatabase:
    """A database in which orders came to every kind of end, and what the provider has of them."""

    dsn: str
    orders: Mapping[str, OrderId]
    ledger: Mapping[UUID, Charge]

    async def verify(self, ledger: Mapping[UUID, Charge] | None = None, *, wait: float = 0) -> Report:
        async with open_evidence(lambda: owner(self.dsn), wait=wait) as evidence:
            known = dict(self.ledger if ledger is None else ledger)
            return await Verification(evidence, SAGAS, known, lambda _done, _of: None).run()

    async def tamper(self, sql: str) -> None:
        """Run SQL as the superuser, with the triggers and constraints of the log switched off."""
        ids = {f"{name}": str(order) for name, order in self.orders.items()}
        ids |= {f"{name}_{saga}": str(saga_of(o, saga)) for name, o in self.orders.items() for saga in SAGA_NAMES}
        ids |= {f"{name}_payment": str(payment_of(order)) for name, order in self.orders.items()}
        connection = await asyncpg.connect(self.dsn)
        await connection.execute("SET session_replication_role = replica")
        done = await connection.execute(sql.format(a=inventory_stream(Sku("A")), **ids))
        await connection.close()
        assert not done.endswith(" 0"), f"{done}: nothing was tampered with"


READ_MODELS = [model.name for group in GROUPS for model in group.models]
TABLES = ("events", "idempotency_keys", "sagas", "checkpoints", "snapshots", *READ_MODELS)
assert INVENTORY.snapshot is not None
INVENTORY_AT_FIVE = encode(INVENTORY.snapshot, replace(INVENTORY.initial, known=True, available=5))
SAGA_NAMES = ("fulfil_order", "settle_order", "unwind_order")


async def owner(dsn: str) -> Connection:
    return await connect(dsn, name="verify", role=None, limits=False)


def charges(gateway: MemoryPaymentGateway) -> dict[UUID, Charge]:
    return {
        payment: Charge(
            str(uuid4()), "REFUNDED" if c.refunded else c.state.upper(), c.authorised, c.captured, c.refunded
        )
        for payment, c in gateway._charges.items()
    }


@pytest.fixture(scope="module")
async def filled_database(postgres: EmbeddedPostgres, template: str) -> FilledDatabase:
    """Orders of every fate, recorded by the real services."""
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute(f"CREATE DATABASE books TEMPLATE {template} STRATEGY file_copy")
    await admin.close()
    dsn = postgres.dsn("books")
    store = PostgresEventStore(lambda: connect(dsn, name="test"))
    desk = Desk(lambda: connect(dsn, name="test"), store)
    await desk.stock(A=100, B=100)
    async with desk.running():
        orders = {
            "confirmed": await desk.place(A=2, B=1),
            "shipped": await desk.place(A=1),
            "delivered": await desk.place(B=3),
            "cancelled": await desk.place(A=4),
            "declined": await desk.place("test_card_fail", A=1),
            "short": await desk.place(A=1_000),
        }
        for order_id in orders.values():
            await desk.ended(order_id)
        for name in ("shipped", "delivered"):
            await desk.do(ShipOrder(now=now(), order_id=orders[name], tracking_number="1Z", carrier="UPS"))
        await desk.do(CancelOrder(now=now(), order_id=orders["cancelled"], reason="changed my mind"))
        await desk.ended(orders["shipped"], "settle_order")
        await desk.ended(orders["delivered"], "settle_order")
        await desk.do(DeliverOrder(now=now(), order_id=orders["delivered"]))
        await desk.ended(orders["cancelled"], "unwind_order")
        head = await store.head()
    await project(lambda: connect(dsn, name="projector"))
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE checkpoints SET position = $1 WHERE reader = 'saga-runner'", head)
    await connection.close()
    await store.close()
    return FilledDatabase(dsn, orders, charges(desk.gateway))


# The others are made of these by PostgreSQL.
OWN_COLUMNS = """
SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
 WHERE attrelid = $1::text::regclass AND attnum > 0 AND attgenerated = '' AND NOT attisdropped
"""


@pytest.fixture
async def database(filled_database: FilledDatabase) -> AsyncIterator[FilledDatabase]:
    """The filled database for one test to tamper with; afterwards every table is as it was."""
    connection = await asyncpg.connect(filled_database.dsn)
    await connection.execute("SET session_replication_role = replica; CREATE SCHEMA IF NOT EXISTS kept")
    for table in TABLES:
        await connection.execute(f"CREATE TABLE IF NOT EXISTS kept.{table} AS TABLE {table}")
    yield filled_database
    for table in TABLES:
        own = await connection.fetchval(OWN_COLUMNS, table)
        await connection.execute(f"DELETE FROM {table}; INSERT INTO {table} ({own}) SELECT {own} FROM kept.{table}")
    await connection.close()


async def test_verify_finds_nothing_wrong_after_orders_of_every_fate(database: FilledDatabase) -> None:
    report = await database.verify()
    assert report.violations == []
    assert (report.orders, report.skus, report.unfinished) == (6, 2, 0)
    assert report.events == report.head > 60
    assert report.sagas == 6 + 2 + 1


class OrderNoted(OrderEvent, tag="OrderNoted", frozen=True, kw_only=True):
    order_id: OrderId


async def test_verify_finds_nothing_wrong_with_an_event_that_no_view_declares(
    database: FilledDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(codec._NEWEST, ("OrderNoted", 1), msgspec.json.Decoder(OrderNoted))
    await database.tamper(
        "INSERT INTO events SELECT (SELECT max(position) + 1 FROM events), stream_id, category, version + 1, "
        "gen_random_uuid(), 'OrderNoted', schema_version, payload, metadata, correlation_id, clock_timestamp() "
        f"FROM events {at('delivered', 'OrderDelivered')}"
    )
    await project(lambda: connect(database.dsn, name="projector"))
    assert (await database.verify()).violations == []


KINDS = ("OrderCreated", "OrderShipped", "PaymentAuthorized", "InventoryReserved", "StockReplenished", "SagaStarted")


@pytest.mark.parametrize("kind", KINDS)
async def test_verify_calls_nothing_wrong_that_a_newer_release_records(database: FilledDatabase, kind: str) -> None:
    await database.tamper(f"UPDATE events SET schema_version = 99, payload = '{{{{}}}}' WHERE event_type = '{kind}'")
    report = await database.verify()
    assert [finding.what for finding in report.violations] == []
    assert any(f"{kind} in version 99, which is newer than this release" in note for note in report.notes)


@pytest.mark.parametrize("wrong", WRONGS)
async def test_verify_finds_each_kind_of_tampering_by_its_invariant(database: FilledDatabase, wrong: str) -> None:
    invariant, sql = WRONGS[wrong]
    await database.tamper(sql)
    found = {finding.invariant for finding in (await database.verify()).violations}
    assert invariant in found


@pytest.mark.parametrize("wrong", LEDGERS)
async def test_verify_finds_each_difference_between_the_log_and_the_providers_ledger(
    filled_database: FilledDatabase, wrong: str
) -> None:
    name, charge = LEDGERS[wrong]
    ledger = {
        id_: each for id_, each in filled_database.ledger.items() if id_ != payment_of(filled_database.orders[name])
    }
    if charge is not None:
        ledger[payment_of(filled_database.orders[name])] = charge
    found = (await filled_database.verify(ledger)).violations
    assert [(finding.invariant, finding.stream) for finding in found] == [
        ("I4", payment_of(filled_database.orders[name]))
    ]


async def test_verify_finds_a_live_charge_that_belongs_to_no_order(filled_database: FilledDatabase) -> None:
    stray = uuid4()
    charge = Charge(str(uuid4()), "AUTHORISED", Decimal(9), Decimal(0), Decimal(0))
    found = (await filled_database.verify({**filled_database.ledger, stray: charge})).violations
    assert [(finding.invariant, finding.stream) for finding in found] == [("I4", stray)]


async def test_verify_reports_a_running_reader_that_stays_behind_and_only_notes_one_that_does_not_run(
    database: FilledDatabase,
) -> None:
    await database.tamper("UPDATE checkpoints SET position = position - 7 WHERE reader = 'saga-runner'")
    report = await database.verify()
    assert (report.violations, len(report.notes)) == ([], 1)
    assert "saga-runner does not run, and is 7 events behind" in report.notes[0]
    await database.tamper("INSERT INTO checkpoints (reader, position) SELECT 'relay', max(position) - 7 FROM events")
    running = [await connect(database.dsn, name=name) for name in ("saga-runner", "relay")]
    report = await database.verify()
    for each in running:
        await each.close()
    assert [(f.invariant, f.what[:24]) for f in report.violations] == [("I3", "saga-runner stands still")]
    assert [note[:35] for note in report.notes] == [
        "Kafka has not got the last 7 events"
    ]  # the books are whole without


async def test_verify_does_not_compare_an_order_with_the_ledger_that_got_events_since_verify_began(
    database: FilledDatabase,
) -> None:
    async def append(connection: Any) -> None:
        await connection.execute(
            "INSERT INTO events SELECT position + 1000, gen_random_uuid(), category, 1, gen_random_uuid(), event_type, "
            "schema_version, payload, metadata, correlation_id, recorded_at FROM events "
            f"WHERE stream_id = '{database.orders['confirmed']}' AND version = 1"
        )

    ledger = {id_: each for id_, each in database.ledger.items() if id_ != payment_of(database.orders["confirmed"])}
    async with open_evidence(lambda: owner(database.dsn), wait=0) as evidence:
        connection = await asyncpg.connect(database.dsn)
        await append(connection)
        await connection.close()
        report = await Verification(evidence, SAGAS, ledger, lambda _done, _of: None).run()
    assert report.violations == []


async def test_verify_counts_an_unfinished_order_and_lists_a_saga_that_a_person_resolved(
    database: FilledDatabase,
) -> None:
    await database.tamper(
        f"{SET} event_type = 'SagaResolved', payload = payload || "
        '\'{{"reason": "by phone", "by": "ada"}}\' ' + at("confirmed_fulfil_order", "SagaCompleted")
    )
    await database.tamper("UPDATE sagas SET status = 'RESOLVED' WHERE saga_id = '{confirmed_fulfil_order}'")
    await database.tamper(
        "DELETE FROM events WHERE stream_id = '{cancelled_unwind_order}' AND event_type = 'SagaCompleted'"
    )
    await database.tamper("DELETE FROM sagas WHERE saga_id = '{cancelled_unwind_order}'")
    report = await database.verify()
    assert report.vouched == [f"fulfil_order of order {database.orders['confirmed']} resolved by ada: by phone"]
    assert report.unfinished == 1


async def test_verify_finds_a_snapshot_that_differs_from_the_log_unless_other_code_made_it(
    database: FilledDatabase,
) -> None:
    stream = inventory_stream(Sku("A"))
    connection = await asyncpg.connect(database.dsn)
    await connection.execute(
        "INSERT INTO snapshots SELECT stream_id, category, version, event_id, $2, $3, now() FROM events "
        "WHERE stream_id = $1 AND version = 1",
        stream,
        b"other code",
        INVENTORY_AT_FIVE,
    )
    assert (await database.verify()).violations == []
    await connection.execute("UPDATE snapshots SET schema_hash = $1", schema_hash(INVENTORY))
    found = (await database.verify()).violations
    await connection.close()
    assert [(finding.invariant, finding.stream) for finding in found] == [("I7", stream)]


def test_verify_counts_every_violation_and_lists_the_first_thousand() -> None:
    report = Report()
    report.add([Finding("I1", "one of many")] * 1_500)
    report.add([Finding("I7", "after them")])
    assert (report.violated, len(report.violations), report.broken) == (1_501, 1_000, {"I1": 1_500, "I7": 1})


async def test_verify_says_in_a_sentence_that_the_database_refuses_it_to_read(database: FilledDatabase) -> None:
    async def stranger() -> Connection:
        connection = await owner(database.dsn)
        await connection.execute("SET ROLE pg_monitor")
        return connection

    with pytest.raises(DatabaseFault, match="permission denied"):
        async with open_evidence(stranger, wait=0):
            pass
