"""Verification: reads the whole log once, order by order, and checks that everything made from it is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import aclosing
from decimal import Decimal
from itertools import groupby
from typing import Any
from uuid import UUID

import msgspec

from core.audit.acts import newer_act, skipped, wrong_act
from core.audit.case import Case, skips
from core.audit.judge import judge, under_way, unstarted, vouched_for
from core.audit.reconcile import LIVE, reconcile
from core.audit.saga_story import SagaRules
from core.audit.seals import unopened
from core.audit.shelf import Shelf
from core.audit.unpaid import UnpaidOrder, unpaid
from core.codec import event_type
from core.domain.inventory import OF_NO_ORDER
from core.domain.message import OrderId, payment_of
from core.domain.order import OrderCreated
from core.domain.provider import Charge
from core.ports.evidence import Evidence, Finding, Reader
from core.ports.sagas import READER as SAGA_RUNNER
from core.projections import ORDERS, STOCK
from core.projections.order_view import OrderView
from core.projections.projection import Amounts, Group, RowKey, plus
from core.sagas.saga import Tables
from core.services.project import ahead
from core.services.relay import READER as RELAY

MOST_LISTED = 1_000
TOLD = (
    *("version", "status", "payment_version", "payment_status", "captured_amount", "refunded_amount"),
    *("on_hand", "reserved"),
)
"""The fields in which two rows of a read model mostly differ."""
_OF_NO_ORDER = {event_type(kind) for kind in OF_NO_ORDER}

Ledger = MutableMapping[UUID, Charge]
"""The provider's charges by payment. A charge is removed as soon as its order has been found."""

Tell = Callable[[int, int], None]
"""Called with the number of events read so far, and the number of all events."""


class Report(msgspec.Struct, kw_only=True):
    """What `verify` counted and found.

    `violated` is the number of all violations, `broken` their number by invariant, and `violations` lists the first
    thousand. Two kinds of orders are not judged: `unfinished` ones, and `failed` ones, which a person decides about.

    `unpaid` is the number of orders that were shipped and not paid, `unpaid_amounts` their sum by currency, and
    `unpaid_orders` lists the first thousand. They violate nothing.
    """

    head: int = 0
    events: int = 0
    orders: int = 0
    skus: int = 0
    sagas: int = 0
    unfinished: int = 0
    failed: int = 0
    unpaid: int = 0
    unpaid_amounts: dict[str, Decimal] = msgspec.field(default_factory=dict[str, Decimal])
    unpaid_orders: list[UnpaidOrder] = msgspec.field(default_factory=list[UnpaidOrder])
    ledger: str = "absent"
    seconds: float = 0.0
    violated: int = 0
    broken: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    violations: list[Finding] = msgspec.field(default_factory=list[Finding])
    vouched: list[str] = msgspec.field(default_factory=list[str])
    notes: list[str] = msgspec.field(default_factory=list[str])

    def add(self, findings: Sequence[Finding]) -> None:
        self.violated += len(findings)
        for finding in findings:
            self.broken[finding.invariant] = self.broken.get(finding.invariant, 0) + 1
        self.violations += findings[: max(0, MOST_LISTED - len(self.violations))]

    def add_unpaid(self, order: UnpaidOrder) -> None:
        self.unpaid += 1
        self.unpaid_amounts[order.currency] = self.unpaid_amounts.get(order.currency, Decimal()) + order.amount
        if len(self.unpaid_orders) < MOST_LISTED:
            self.unpaid_orders.append(order)


class Verification:
    """One run of `verify`. `ledger` is None if the provider's cannot be read. `orders`: the read models to compare."""

    def __init__(
        self,
        evidence: Evidence,
        tables: Tables,
        ledger: Ledger | None,
        tell: Tell,
        orders: Group[OrderView] = ORDERS,
    ) -> None:
        self._orders = orders
        self._evidence = evidence
        self._rules = SagaRules(tables)
        self._ledger = ledger
        self._tell = tell
        self._unknown: set[str] = set()
        self._differences: dict[UUID, Finding] = {}  # by order: what differs from the ledger, which is read later
        self._sums: dict[str, dict[RowKey, Amounts]] = {one.name: {} for one in self._orders.sums}
        readers = {reader.name: reader for reader in evidence.readers}
        runner = readers.get(SAGA_RUNNER)
        self._started_to = runner.position if runner else 0
        self._seen_to = {group.name: _position(readers.get(group.reader)) for group in (self._orders, STOCK)}
        self._skips = {one.name: skips(evidence.skipped, one.reader) for one in (self._orders, STOCK)}
        self._waiting = {one.row for one in evidence.waiting}
        self._comparable = {
            group.name for group in (self._orders, STOCK) if _filled_by_our_rules(group, readers.get(group.reader))
        }
        self.report = Report(head=evidence.head)

    async def run(self) -> Report:
        report = self.report
        report.add(await self._evidence.disorder())
        self._readers()
        async with aclosing(self._evidence.stories()) as stories, aclosing(ahead(stories)) as chunks:
            async for chunk in chunks:
                cases = [
                    Case(OrderId(order_id), self._seen_to[ORDERS.name], self._rules, self._skips[ORDERS.name]).fold(
                        list(story)
                    )
                    for order_id, story in groupby(chunk, key=lambda stored: stored.correlation_id)
                ]
                await self._judge(cases)
                self._report_progress(len(chunk))
        await self._acts()
        await self._stock()
        if ORDERS.name in self._comparable:
            await self._compare_sums()
        await self._reconcile()
        report.notes += [
            f"verify has no rule for {each}: orders that have it are counted, and not judged by how they ended"
            for each in sorted(self._unknown)
        ]
        report.violations.sort(key=lambda finding: (finding.invariant, finding.position or 0))
        return report

    def _readers(self) -> None:
        for reader in self._evidence.readers:
            behind = self._evidence.asked - reader.position
            if reader.position > self._evidence.head:
                what = f"{reader.name} is at {reader.position}, beyond the log's head {self._evidence.head}"
                self.report.add([Finding("I3", what, None, reader.position)])
            elif behind > 0 and reader.at_work and reader.name == RELAY:
                self.report.notes.append(
                    f"Kafka has not got the last {behind} events, and gets them later: `orderdeck status` says why"
                )
            elif behind > 0 and reader.at_work:
                what = f"{reader.name} stands still at {reader.position}, {behind} events before the head"
                self.report.add([Finding("I3", what, None, reader.position)])
            elif behind > 0:
                self.report.notes.append(f"{reader.name} does not run, and is {behind} events behind: it will read on")
        for one in self._evidence.waiting:
            row = f"{one.reader} has set {one.event_type} at position {one.position} aside: {one.error}"
            self.report.notes.append(f"{row}; what comes after it in {one.row} waits: `orderdeck deadletters`")
        for group in (self._orders, STOCK):
            if group.name not in self._comparable:
                what = f"the read models of {group.name} were filled by another release's rules: they are not compared"
                self.report.notes.append(what)

    async def _judge(self, cases: Sequence[Case]) -> None:
        report = self.report
        ids = [case.order_id for case in cases]
        rows = {row.saga_id: row for row in await self._evidence.sagas(ids)}
        views = await self._evidence.orders(ids)
        report.add(await unopened(self._evidence, [part for case in cases for part in case.sealed]))
        for case in cases:
            report.orders += OrderCreated in case.first
            report.sagas += len(case.sagas)
            self._unknown |= case.unknown
            report.add(case.findings)
            report.add(list(unstarted(case, self._started_to)))
            for story in case.sagas.values():
                wrong = story.row(rows.get(story.saga_id), case.order_id)
                report.add([wrong] if wrong and not case.newer else [])
                report.vouched += story.vouched
            if ORDERS.name in self._comparable:
                self._compare(case, views.get(case.order_id))
            charge = self._ledger.pop(payment_of(case.order_id), None) if self._ledger is not None else None
            if (owed := unpaid(case, charge)) is not None:
                report.add_unpaid(owed)
            if under_way(case):
                report.unfinished += 1
                continue
            report.failed += vouched_for(case)
            report.add(list(judge(case)))
            if self._ledger is not None and not vouched_for(case) and case.judgeable:
                difference = reconcile(case, charge)
                if difference:
                    self._differences[case.order_id] = difference

    def _compare(self, case: Case, actual: Any) -> None:
        case.go_on_to(actual)
        if case.order_id in self._waiting or case.newer:  # only the view can say what the sums have of such an event
            case.view = actual
        if case.view != actual:
            what = f"order_views has {_short(actual)}, the log gives {_short(case.view)}"
            self.report.add([Finding("I7", what, case.order_id, case.last)])
        if case.view is not None:
            for one in self._orders.sums:
                rows = self._sums[one.name]
                for key, amounts in one.change(None, case.view):
                    rows[key] = plus((rows[key], amounts)) if key in rows else amounts

    async def _acts(self) -> None:
        """Look at what operators did to readers and customers, and list what they vouch for."""
        async with aclosing(self._evidence.acts()) as acts:
            async for chunk in acts:
                for stored in chunk:
                    self.report.add(wrong_act(stored))
                    self.report.vouched += skipped(stored)
                    self.report.notes += newer_act(stored)
                self._report_progress(len(chunk))

    async def _stock(self) -> None:
        levels, snapshots = dict(await self._evidence.levels()), await self._evidence.snapshots()
        shelf: Shelf | None = None
        async with aclosing(self._evidence.shelves()) as shelves, aclosing(ahead(shelves)) as chunks:
            async for chunk in chunks:
                for stored in chunk:
                    if shelf is None or shelf.stream != stored.stream:
                        self._close(shelf, levels)
                        shelf = Shelf(
                            stored, self._seen_to[STOCK.name], snapshots.get(stored.stream), self._skips[STOCK.name]
                        )
                    shelf.fold(stored)
                self._report_progress(sum(1 for stored in chunk if stored.event_type in _OF_NO_ORDER))
        self._close(shelf, levels)
        if STOCK.name in self._comparable:
            self.report.add([Finding("I7", f"inventory_levels has {sku}, the log does not") for sku in levels])

    def _close(self, shelf: Shelf | None, levels: MutableMapping[str, Any]) -> None:
        if shelf is None:
            return
        self.report.skus += 1
        self._unknown |= shelf.unknown
        self.report.add(shelf.close())
        if STOCK.name in self._comparable and (sku := shelf.sku_among(levels)) is not None:
            actual = levels.pop(sku, None)
            shelf.go_on_to(actual)
            if actual != shelf.level and shelf.stream not in self._waiting and not shelf.newer:
                what = f"inventory_levels has {_short(actual)}, the log gives {_short(shelf.level)}"
                self.report.add([Finding("I7", what, shelf.stream, None)])

    async def _compare_sums(self) -> None:
        for one in self._orders.sums:
            expected, actual = self._sums[one.name], await self._evidence.sums(one)
            for key in expected.keys() | actual.keys():
                if actual.get(key) != expected.get(key):
                    what = f"{one.name} has {actual.get(key)} for {key}, the log gives {expected.get(key)}"
                    self.report.add([Finding("I7", what)])

    async def _reconcile(self) -> None:
        """Report charges that our log lacks, and differences; but not for orders that have new events since."""
        for payment_id, charge in (self._ledger or {}).items():
            if charge.state in LIVE:
                order_id = _uuid(charge.order_id) or payment_id
                what = f"the provider has {charge.state} {charge.authorised} for {charge.order_id}, which our log lacks"
                self._differences[order_id] = Finding("I4", what, payment_id)
        changed = await self._evidence.moved_on(list(self._differences))
        self.report.add([finding for order_id, finding in self._differences.items() if order_id not in changed])

    def _report_progress(self, events: int) -> None:
        self.report.events += events
        self._tell(self.report.events, self._evidence.head)


def _position(reader: Reader | None) -> int:
    return reader.position if reader else 0


def _filled_by_our_rules(group: Group[Any], reader: Reader | None) -> bool:
    return reader is None or reader.revision == group.revision


def _short(row: Any) -> str:
    """Those fields of a row that are in TOLD."""
    if row is None:
        return "no row"
    fields: Mapping[str, Any] = msgspec.structs.asdict(row)
    values = {name: fields[name] for name in TOLD if name in fields}
    return " ".join(f"{name} {value}" for name, value in values.items())


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
