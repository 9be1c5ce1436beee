"""An operator's command meets a runner that claims the same saga: it is tried again, and its error tells the truth."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from core.adapters.postgres.connection import Connection
from core.domain.message import Metadata, OrderId, SagaId, StreamId, saga_of
from core.domain.saga import CATEGORY, SagaStarted, SagaStepCompleted
from core.errors import SagaTaken, VersionConflict
from core.ports.log import Accepted, Append, Entry, NewEvent, Result, Verdict
from core.sagas.wishes import Wish
from core.services import execute as service
from tests.support.log import saga_row
from tests.support.order_desk import Desk
from tests.support.saga_cases import Operator

CLAIM = "UPDATE sagas SET epoch = epoch + 1, owner = 'runner-1' WHERE saga_id = $1"


class RunnerBetween:
    """The store of an operator, where a runner acts before each of the operator's first appends."""

    def __init__(self, desk: Desk, admin: Connection, saga_id: SagaId, *, times: int, writes: bool) -> None:
        self._store = desk.store
        self._admin = admin
        self._saga_id = saga_id
        self._writes = writes
        self.left = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append(self, append: Append) -> Verdict:
        if self.left:
            self.left -= 1
            await self._admin.execute(CLAIM, self._saga_id)
            if self._writes:
                await self._record_a_step()
        return await self._store.append(append)

    async def _record_a_step(self) -> None:
        stream = StreamId(self._saga_id)
        done = SagaStepCompleted(saga_id=self._saga_id, step="open_order")
        new = NewEvent(uuid7(), done, Metadata(correlation_id=stream))
        entry = Entry(stream, CATEGORY, len(await self._store.load(stream)), [new])
        assert isinstance(await self._store.append(Append([entry])), Accepted)


@pytest.fixture
async def operator(desk: Desk) -> AsyncIterator[Operator]:
    operator = Operator(desk)
    yield operator
    operator.link.close()


async def started_saga(desk: Desk) -> SagaId:
    """The unfinished fulfilment of an order."""
    order: OrderId = await desk.place()
    saga_id = saga_of(order, "fulfil_order")
    started = SagaStarted(saga_id=saga_id, name="fulfil_order", definition=1, order_id=order)
    own = Entry(StreamId(saga_id), CATEGORY, 0, [NewEvent(uuid7(), started, Metadata(correlation_id=order))])
    row = saga_row(saga_id, 0, order_id=order)
    assert isinstance(await desk.store.append(Append([own], sagas=[row])), Accepted)
    return saga_id


async def test_an_operator_whose_saga_is_claimed_meanwhile_reads_it_again_and_succeeds(
    desk: Desk, operator: Operator, admin: Connection
) -> None:
    saga_id = await started_saga(desk)
    desk.store = RunnerBetween(desk, admin, saga_id, times=2, writes=False)  # type: ignore[assignment]
    outcome = await operator.do(Wish.COMPENSATE, saga_id)
    assert (outcome.answer.result, desk.store.left) == (Result.DONE, 0)  # type: ignore[attr-defined]
    assert await admin.fetchval("SELECT status FROM sagas WHERE saga_id = $1", saga_id) == "COMPENSATED"


@pytest.mark.parametrize("writes", [False, True], ids=["the saga stays as it was", "the saga moves on"])
async def test_an_operator_who_always_finds_the_saga_claimed_gets_the_error_that_a_runner_is_at_work(
    desk: Desk, operator: Operator, admin: Connection, monkeypatch: pytest.MonkeyPatch, *, writes: bool
) -> None:
    monkeypatch.setattr(service, "KEEP_TRYING", 0.2)
    saga_id = await started_saga(desk)
    desk.store = RunnerBetween(desk, admin, saga_id, times=1_000, writes=writes)  # type: ignore[assignment]
    with pytest.raises(SagaTaken, match="a runner is at work") as error:
        await operator.do(Wish.COMPENSATE, saga_id)
    assert error.value.version == len(await desk.store.load(StreamId(saga_id)))
    assert (error.value.version > 1) == writes


async def test_an_operator_who_always_loses_the_race_gets_an_error_with_the_sagas_true_version(
    desk: Desk, operator: Operator, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "KEEP_TRYING", -1.0)
    saga_id = await started_saga(desk)
    between = RunnerBetween(desk, admin, saga_id, times=1, writes=True)
    desk.store = between  # type: ignore[assignment]
    monkeypatch.setattr(f"{__name__}.CLAIM", "SELECT $1::uuid")  # it only appends, as another operator would
    with pytest.raises(VersionConflict) as error:
        await operator.do(Wish.COMPENSATE, saga_id)
    assert (error.value.stream, error.value.expected, error.value.actual) == (saga_id, 1, 2)
