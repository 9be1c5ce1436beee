"""A saga gets a new step while instances are under way: they finish on their table, and new ones take the step."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from core.adapters.postgres.connection import Connection, connect
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.evidence import open_evidence
from core.audit.verification import Report, Verification
from core.domain import saga as events
from core.domain.message import OrderId, StreamId, saga_of
from core.sagas import SAGAS
from core.sagas.fulfil_order import FULFIL_ORDER
from core.sagas.holdings import open_items
from core.sagas.progress import Progress, SagaStatus, StepStatus
from core.sagas.saga import Nothing, newest
from core.sagas.unwind_order import UNWIND_ORDER
from core.services.sagas import advance
from tests.recipes.saga_step.approved_order import APPROVE_ORDER, FULFIL_APPROVED, NEXT
from tests.support.opener import Opener
from tests.support.order_desk import Desk
from tests.support.saga_cases import Away, available, cancellation, happened
from tests.support.saga_facts import order
from tests.support.samples import NOW

OLD_STEPS = [step.name for step in newest(SAGAS)[FULFIL_ORDER.name].steps]
NEW_STEPS = [step.name for step in FULFIL_APPROVED.steps]
STEP = APPROVE_ORDER.name


@dataclass
class Release:
    """A desk whose next release has the step, with one order under way since before."""

    desk: Desk
    dsn: str
    under_way: OrderId

    async def steps(self, order_id: OrderId, kind: type[events.StepEvent]) -> list[str]:
        """The steps that the order's fulfilment recorded such an event of."""
        recorded = await self.desk.store.load(StreamId(saga_of(order_id, FULFIL_ORDER.name)))
        return [each.event.step for each in recorded if isinstance(each.event, kind)]

    async def verify(self) -> Report:
        async def owner() -> Connection:
            return await connect(self.dsn, name="verify", role=None, limits=False)

        async with open_evidence(owner, wait=0) as evidence:
            return await Verification(evidence, NEXT, None, lambda _done, _of: None).run()


@pytest.fixture
async def release(store: PostgresEventStore, opener: Opener, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Release:
    monkeypatch.setattr(advance, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(advance, "LONGEST_WANTED", 0.0)
    desk = Desk(opener, store)
    provider, desk.gateway = desk.gateway, Away(desk, "authorise")  # type: ignore[assignment]
    await desk.stock(A=100)
    async with desk.running("runner of the old release"):
        under_way = await desk.place(A=2)
        await happened(desk, under_way, "SagaStepFailed")
    connection = await opener()
    await connection.execute("UPDATE sagas SET due_at = now()")
    await connection.close()
    desk.gateway, desk.tables = provider, NEXT
    return Release(desk, dsn, under_way)


async def test_a_saga_under_way_finishes_on_its_own_table_and_a_new_saga_takes_the_new_step(release: Release) -> None:
    desk = release.desk
    async with desk.running("runner of the new release"):
        new = await desk.place(A=1)
        assert await desk.ended(release.under_way) == await desk.ended(new) == "SagaCompleted"
    assert await release.steps(release.under_way, events.SagaStepCompleted) == OLD_STEPS
    assert await release.steps(new, events.SagaStepCompleted) == NEW_STEPS
    assert (await release.verify()).violations == []


async def test_a_new_step_that_is_refused_undoes_the_steps_before_it(release: Release) -> None:
    desk = release.desk
    async with desk.running("runner of the new release"):
        dear = await desk.place(A=90)
        assert await desk.ended(dear) == "SagaCompensated"
        await desk.ended(release.under_way)
    assert await release.steps(dear, events.SagaStepFailed) == [STEP]
    assert await release.steps(dear, events.SagaStepCompensated) == NEW_STEPS[: NEW_STEPS.index(STEP)]
    assert await available(desk, "A") == (98, 2), "nothing is held but by the order that was under way"
    report = await release.verify()
    assert report.violations == []
    assert not [note for note in report.notes if "no rule" in note], "verify knows the new table"


async def test_the_new_step_is_undone_when_a_later_step_is_refused(release: Release) -> None:
    desk = release.desk
    async with desk.running("runner of the new release"):
        declined = await desk.place("test_card_fail", A=1)
        assert await desk.ended(declined) == "SagaCompensated"
        await desk.ended(release.under_way)
    undone = await release.steps(declined, events.SagaStepCompensated)
    assert undone[undone.index(STEP) :] == NEW_STEPS[NEW_STEPS.index(STEP) :: -1], "up as it came down"
    assert (await release.verify()).violations == []


async def test_orders_of_both_tables_are_cancelled_and_unwound(release: Release) -> None:
    desk = release.desk
    async with desk.running("runner of the new release"):
        orders = [release.under_way, await desk.place(A=1)]
        for each in orders:
            assert await desk.ended(each) == "SagaCompleted"
            await desk.do(cancellation(each))
            assert await desk.ended(each, UNWIND_ORDER.name) == "SagaCompleted"
    assert await available(desk, "A") == (100, 0)
    assert (await release.verify()).violations == []


def test_a_failed_saga_names_what_the_new_step_still_holds() -> None:
    at_the_step = Progress(status=SagaStatus.FAILED, since=NOW, steps={STEP: StepStatus.RUNNING})
    assert open_items(FULFIL_APPROVED, at_the_step, order()) == ("order ORD-0123456789 is approved",)
    assert not isinstance(APPROVE_ORDER.undo, Nothing)
