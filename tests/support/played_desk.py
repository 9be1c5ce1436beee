"""A whole desk with played ports: customers, operators and runners whose every call of a port may be the last."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest import mock
from uuid import UUID

import pytest

from core.domain.inventory import INVENTORY, ReceiveStock
from core.domain.message import OrderId, SagaId, Sku, StreamId, inventory_stream
from core.domain.order import ORDER, CancelOrder, CreateOrder, Item, OrderCommand, ShipOrder
from core.domain.payment_method import PaymentMethod
from core.ports.log import Result
from core.sagas import SAGAS
from core.sagas.fulfil_order import FULFIL_ORDER
from core.sagas.saga import Call, Tables, newest
from core.sagas.wishes import Wish
from core.services.execute import Terms, execute
from core.services.sagas import advance
from core.services.sagas import runner as run_sagas
from core.services.sagas.steer import Operation, operate
from core.services.ship import ship
from tests.support.faulty_provider import FaultyProvider, Mood
from tests.support.played_log import PlayedLog
from tests.support.promises import OneOrder, check_at_any_moment, check_at_rest, unfinished_sagas
from tests.support.samples import ADDRESS
from tests.support.stepped import Program, Runner
from tests.support.still_time import StillLoop

SKUS = (Sku("A"), Sku("B"))
ADA = Terms(user_id="ada")
SCALE = 0.1  # of the deadlines: an undo is tried for 90 seconds
MOST_CLAIMS = 5
ROUNDS = 3_000


def _former() -> Tables:
    """The release before this one: without the newest definition of each saga that has an older one."""
    tables = dict(SAGAS)
    for saga in newest(SAGAS).values():
        if sum(name == saga.name for name, _ in SAGAS) > 1:
            del tables[saga.name, saga.definition]
    return tables


def _next() -> Tables:
    """The release after this one: it charges before it reserves."""
    now = newest(SAGAS)[FULFIL_ORDER.name]
    first, *others = now.steps
    others.sort(key=lambda step: not isinstance(step.do, Call))  # the order is kept among the calls, and the rest
    changed = replace(now, definition=now.definition + 1, steps=(first, *others))
    return {**SAGAS, (changed.name, changed.definition): changed}


RELEASES = {"former": _former(), "this": SAGAS, "next": _next()}


class Surprises:
    """In the place of a log that people read: what a runner did not expect is an error here."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def error(self, _: str, *, exc_info: BaseException | None = None, **__: Any) -> None:
        if exc_info is not None:
            self.errors.append(exc_info)

    def info(self, *_: Any, **__: Any) -> None: ...

    warning = info


class PlayedDesk:
    def __init__(self) -> None:
        self.surprises = Surprises()
        self._patches = [
            mock.patch.object(run_sagas, "log", self.surprises),
            mock.patch.object(advance, "log", self.surprises),
            mock.patch.object(run_sagas, "MOST_CLAIMS", MOST_CLAIMS),
        ]
        for patch in self._patches:
            patch.start()
        self.loop = StillLoop()
        self.log = PlayedLog(self.loop)
        self.provider = FaultyProvider(self.loop.now)
        self.release = "this"
        self.orders: list[OrderId] = []
        self.people = Program(self.loop, self.log, self.surprises.errors)
        self.runners: dict[str, Runner] = {}
        self._failures_before_mending: dict[SagaId, int] = {}
        self._killed: list[Runner] = []  # kept, or what they left half done would be collected with a warning
        for sku in SKUS:
            self._receive(sku, 5)

    def _receive(self, sku: Sku, quantity: int) -> None:
        stream = inventory_stream(sku)
        command = ReceiveStock(now=self.loop.now(), sku=sku, quantity=quantity)
        self.loop.finish(
            execute(
                self.log, INVENTORY, stream, command, Terms(), lambda _: (Result.CREATED, {}), correlation_id=stream
            )
        )

    # --- runners --------------------------------------------------------------------------------------------
    def is_born(self, name: str) -> None:
        """A runner of the installed release, in the place of the one that had the name."""
        if name in self.runners:
            self._killed.append(self.runners[name])
        self.runners[name] = Runner(name, self.provider, RELEASES[self.release], self.people, SCALE)

    def reached(self) -> int:
        return self.log.started

    def hears_news(self, name: str) -> None:
        self.runners[name].hears(self.log.events[self.reached() :])

    # --- people ---------------------------------------------------------------------------------------------
    def place(self, method: str, quantities: tuple[int, ...]) -> None:
        order_id = OrderId(UUID(int=len(self.orders) + 1))
        items = tuple(
            Item(product_id="p", sku=sku, quantity=quantity, unit_price=Decimal("12.50"))
            for sku, quantity in zip(SKUS, quantities, strict=True)
            if quantity
        )
        number = f"ORD-{len(self.orders)}"
        command = CreateOrder(
            now=self.loop.now(), order_id=order_id, order_number=number, customer_id="c-1", items=items,
            shipping_address=ADDRESS, payment_method=PaymentMethod(type=method),
        )  # fmt: skip
        self.loop.finish(self._execute(self.log, command))
        self.orders.append(order_id)

    def command(self, kind: type[OrderCommand], order_id: OrderId, *, calls: int = 0) -> None:
        """Somebody commands it, and gets past so many calls."""
        more: dict[type, dict[str, str]] = {
            CancelOrder: {"reason": "changed my mind"},
            ShipOrder: {"tracking_number": "1Z", "carrier": "UPS"},
        }
        command = kind(now=self.loop.now(), order_id=order_id, **more.get(kind, {}))
        self._begins(self._execute(self.people, command), calls)

    def wish(self, wish: Wish, saga_id: SagaId, *, calls: int = 0) -> None:
        """An operator wishes it, and gets past so many calls."""
        operation, tables = Operation(saga_id, wish, "because"), RELEASES[self.release]
        self._begins(operate(self.people, self.log.sagas, tables, self.loop, operation, ADA), calls)  # type: ignore[arg-type]

    def _begins(self, doing: Coroutine[Any, Any, Any], calls: int) -> None:
        self.people.begins(doing)
        self.people.goes_on(calls, pick=-1)  # this one, not who hesitates since long

    async def _execute(self, store: Any, command: OrderCommand) -> None:
        stream = StreamId(command.order_id)
        if isinstance(command, ShipOrder):
            await ship(store, command, ADA, lambda _: (Result.DONE, {}))
        else:
            await execute(store, ORDER, stream, command, ADA, lambda _: (Result.DONE, {}), correlation_id=stream)

    def failed(self) -> list[SagaId]:
        return [saga_id for saga_id, row in self.log.rows.items() if row.last.status == "FAILED"]

    # --- promises -------------------------------------------------------------------------------------------
    def keeps_its_promises(self) -> None:
        for error in self.surprises.errors:
            raise error
        check_at_any_moment(self.log, self.provider, self.orders, SKUS)

    def late_requests_arrive(self) -> None:
        self.loop.finish(self.provider.late_requests_arrive())

    def faults_end(self) -> None:
        """All goes on, also what is half dead, and a runner of the newest release is there."""
        self.provider.mood = Mood.WELL
        self.release = "next"
        self.is_born("last")

    def provider_is_mended(self) -> None:
        """From now on it does all that it is asked, so a step that is tried for ever is waited for once more."""
        self.provider.mend()
        self._failures_before_mending = {saga_id: row.last.attempts for saga_id, row in self.log.rows.items()}

    def comes_to_rest(self, *, mended: bool = False) -> None:
        self._until_quiet()
        self.keeps_its_promises()
        for order_id in self.orders:
            check_at_rest(OneOrder(self.log, self.provider, order_id), mended=mended)

    def _under_way(self) -> list[str]:
        return unfinished_sagas(self.log, RELEASES["next"], self._failures_before_mending)

    def _until_quiet(self) -> None:
        programs = [*self.runners.values(), self.people]
        for _ in range(ROUNDS):
            for program in programs:
                program.goes_on(1_000)
            if self.reached() < len(self.log.events):
                self.hears_news("last")
            self.runners["last"].claims()
            if any(program.gates for program in programs):
                continue
            timer, due = self.loop.next_timer(), self.log.sagas.next_due()
            waits = [] if timer is None else [timer - self.loop.time()]
            if self._under_way() and due is not None:
                waits.append(max(0.0, (due - self.loop.now()) / timedelta(seconds=1)))
            if not waits:
                return
            self.loop.pass_time(min(waits) + 0.001)
        pytest.fail(f"never quiet: {self._under_way()}")

    def ends(self) -> None:
        self.loop.end()
        for patch in self._patches:
            patch.stop()
