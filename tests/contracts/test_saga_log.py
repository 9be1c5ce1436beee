"""The contract of the saga log: a saga belongs to one runner until its lease ends, by the clock of the log."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from core.domain.message import SagaId
from core.ports.log import Accepted, LeaseLost
from core.ports.sagas import UnreadEvent
from tests.support.log import append, entry, saga_row, stream
from tests.support.log_under_test import LogUnderTest, row_of, start_saga

LEASE = timedelta(seconds=30)


# --- claims -------------------------------------------------------------------------------------------------
async def test_a_saga_that_is_due_is_claimed_and_then_nobody_claims_it_until_the_lease_ends(log: LogUnderTest) -> None:
    saga_id = await start_saga(log)
    (claim,) = await log.sagas.claim("a", limit=10, lease=LEASE)
    assert (claim.saga_id, claim.name, claim.definition, claim.order_id) == (saga_id, "fulfil_order", 1, UUID(int=7))
    assert (claim.epoch, claim.claims) == (2, 1)
    assert list(await log.sagas.claim("b", limit=10, lease=LEASE)) == []
    row = await row_of(log, saga_id)
    assert (row.owner, row.epoch) == ("a", 2)
    assert 25 < (row.seconds or 0) <= 30
    await log.expire(saga_id)
    (claim,) = await log.sagas.claim("b", limit=10, lease=LEASE)
    assert (claim.epoch, claim.claims) == (3, 2)


async def test_sagas_that_are_due_and_have_not_ended_are_claimed_the_longest_overdue_first(log: LogUnderTest) -> None:
    late = [await start_saga(log, due=timedelta(seconds=-n)) for n in range(1, 4)]
    await start_saga(log, due=timedelta(seconds=60))
    await start_saga(log, due=None)
    for status in ("COMPLETED", "COMPENSATED", "FAILED"):
        await start_saga(log, status=status)
    compensating = await start_saga(log, status="COMPENSATING", due=timedelta(seconds=-9))
    first = await log.sagas.claim("a", limit=2, lease=LEASE)
    assert {claim.saga_id for claim in first} == {compensating, late[2]}
    rest = await log.sagas.claim("a", limit=9, lease=LEASE)
    assert {claim.saga_id for claim in rest} == {late[0], late[1]}


async def test_an_append_of_the_leases_holder_sets_the_count_of_claims_back_to_zero(log: LogUnderTest) -> None:
    saga_id = await start_saga(log)
    for _ in range(3):
        (claim,) = await log.sagas.claim("a", limit=1, lease=LEASE)
        await log.expire(saga_id)
    assert claim.claims == 3
    due = saga_row(saga_id, claim.epoch, due_in=timedelta())
    assert isinstance(await log.store.append(append(entry(stream()), sagas=[due])), Accepted)
    (claim,) = await log.sagas.claim("a", limit=1, lease=LEASE)
    assert (claim.claims, claim.epoch) == (1, 5)


async def test_a_saga_keeps_the_name_and_the_definition_it_was_started_with(log: LogUnderTest) -> None:
    saga_id = await start_saga(log)
    other = saga_row(saga_id, 1, name="unwind_order", definition=9, due_in=timedelta())
    await log.store.append(append(entry(stream()), sagas=[other]))
    (claim,) = await log.sagas.claim("a", limit=1, lease=LEASE)
    assert (claim.name, claim.definition, claim.order_id) == ("fulfil_order", 1, UUID(int=7))


async def test_a_sagas_epoch_is_that_of_its_last_lease(log: LogUnderTest) -> None:
    saga_id = await start_saga(log)
    assert await log.sagas.epoch(saga_id) == 1
    await log.sagas.claim("a", limit=1, lease=LEASE)
    assert await log.sagas.epoch(saga_id) == 2
    assert await log.sagas.epoch(SagaId(stream())) is None


# --- leases -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("next_owner", ["b", "a"])
async def test_a_runner_with_an_old_epoch_can_neither_append_nor_extend_its_lease_and_learns_that_it_lost_it(
    log: LogUnderTest, next_owner: str
) -> None:
    saga_id = await start_saga(log)
    (old,) = await log.sagas.claim("a", limit=1, lease=LEASE)
    await log.expire(saga_id)
    (new,) = await log.sagas.claim(next_owner, limit=1, lease=LEASE)
    hour = timedelta(hours=1)
    assert list(await log.sagas.extend("a", {saga_id: old.epoch}, lease=hour)) == [saga_id]
    assert ((await row_of(log, saga_id)).seconds or 0) <= 30
    late = append(entry(stream()), sagas=[saga_row(saga_id, old.epoch)])
    assert await log.store.append(late) == LeaseLost()
    assert list(await log.sagas.extend(next_owner, {saga_id: new.epoch}, lease=hour)) == []
    assert ((await row_of(log, saga_id)).seconds or 0) > 3000


async def test_extending_never_shortens_a_lease_and_changes_only_sagas_that_are_still_held(log: LogUnderTest) -> None:
    held, parked, ended = [await start_saga(log, due=timedelta(seconds=-n)) for n in range(3)]
    claims = {claim.saga_id: claim for claim in await log.sagas.claim("a", limit=3, lease=LEASE)}
    leases = {saga_id: claim.epoch for saga_id, claim in claims.items()}
    await log.store.append(append(entry(stream()), sagas=[saga_row(parked, 2, due_in=timedelta(seconds=5))]))
    await log.store.append(append(entry(stream()), sagas=[saga_row(ended, 2, status="COMPLETED")]))
    assert list(await log.sagas.extend("a", leases, lease=timedelta(hours=1))) == []
    assert list(await log.sagas.extend("a", leases, lease=timedelta(seconds=1))) == []
    assert ((await row_of(log, held)).seconds or 0) > 3000
    assert 0 < ((await row_of(log, parked)).seconds or 0) <= 5
    assert (await row_of(log, ended)).seconds is None


@pytest.mark.parametrize(("owner", "epoch"), [("b", 2), ("a", 3)])
async def test_extending_under_another_owner_or_an_epoch_to_come_does_nothing(
    log: LogUnderTest, owner: str, epoch: int
) -> None:
    saga_id = await start_saga(log)
    await log.sagas.claim("a", limit=1, lease=LEASE)
    leases = {saga_id: epoch, SagaId(stream()): 2}
    assert list(await log.sagas.extend(owner, leases, lease=timedelta(hours=1))) == []
    assert ((await row_of(log, saga_id)).seconds or 0) <= 30


# --- waking and releasing -----------------------------------------------------------------------------------
async def test_a_parked_saga_is_woken_and_a_claimed_or_ended_one_is_left_alone(log: LogUnderTest) -> None:
    claimed = await start_saga(log)
    await log.sagas.claim("a", limit=1, lease=LEASE)
    parked = await start_saga(log, due=timedelta(seconds=60))
    ended = await start_saga(log, due=timedelta(seconds=60), status="COMPLETED")
    never_due = await start_saga(log, due=None)
    await log.sagas.wake([claimed, parked, ended, never_due, SagaId(stream())])
    assert ((await row_of(log, parked)).seconds or 0) <= 0
    assert ((await row_of(log, claimed)).seconds or 0) > 0
    assert ((await row_of(log, ended)).seconds or 0) > 0
    assert (await row_of(log, never_due)).seconds is None
    assert [claim.saga_id for claim in await log.sagas.claim("b", limit=9, lease=LEASE)] == [parked]


async def test_waking_leaves_a_saga_that_is_due_in_its_place_among_those_that_are_due(log: LogUnderTest) -> None:
    longest = await start_saga(log, due=timedelta(seconds=-60))
    await start_saga(log, due=timedelta(seconds=-30))
    await log.sagas.wake([longest])
    assert [claim.saga_id for claim in await log.sagas.claim("a", limit=1, lease=LEASE)] == [longest]


async def test_parked_sagas_are_put_off_or_made_due_unless_they_were_claimed_since(log: LogUnderTest) -> None:
    parked = await start_saga(log, due=timedelta(seconds=20))
    claimed_since = await start_saga(log)
    await log.sagas.claim("a", limit=1, lease=LEASE)
    ended = await start_saga(log, due=timedelta(seconds=20), status="COMPLETED")
    epochs = {parked: 1, claimed_since: 1, ended: 1, SagaId(stream()): 1}
    await log.sagas.set_due(epochs, due_in=timedelta(hours=1))
    assert 3_500 < ((await row_of(log, parked)).seconds or 0) <= 3_600
    await log.sagas.set_due({parked: 2}, due_in=timedelta())
    assert ((await row_of(log, parked)).seconds or 0) > 3_500, "another epoch than the one it was parked with"
    await log.sagas.set_due(epochs, due_in=timedelta())
    assert ((await row_of(log, parked)).seconds or 0) <= 0
    assert 25 < ((await row_of(log, claimed_since)).seconds or 0) <= 30
    assert 15 < ((await row_of(log, ended)).seconds or 0) <= 20
    assert [claim.saga_id for claim in await log.sagas.claim("b", limit=9, lease=LEASE)] == [parked]


async def test_a_saga_that_is_set_aside_is_due_later_and_its_claim_is_not_counted(log: LogUnderTest) -> None:
    saga_id = await start_saga(log)
    unread = UnreadEvent(1, "error", "cause", "waits for a later release")
    for low, high in ((0.0, 0.1), (0.3, 0.5), (1.5, 2.0), (25.0, 30.0), (25.0, 30.0)):
        [claim] = await log.sagas.claim("a", limit=1, lease=LEASE)
        for owner, epoch in (("b", claim.epoch), ("a", claim.epoch - 1)):
            await log.sagas.set_aside(owner, saga_id, epoch, unread)
        assert (await row_of(log, saga_id)).owner == "a"
        await log.sagas.set_aside("a", saga_id, claim.epoch, unread)
        row = await row_of(log, saga_id)
        assert (row.owner, row.epoch, claim.claims) == (None, claim.epoch, 1)
        assert low <= (row.seconds or 0) <= high
        assert (await log.sagas.backlog(most=9)).set_aside == 1
        await log.sagas.wake([saga_id])
    [claim] = await log.sagas.claim("b", limit=1, lease=LEASE)
    row = saga_row(saga_id, claim.epoch, owner="b")
    await log.store.append(append(entry(stream()), sagas=[row]))
    assert (await log.sagas.backlog(most=9)).set_aside == 0


async def test_releasing_an_owner_makes_all_its_sagas_due_and_no_other_saga(log: LogUnderTest) -> None:
    held, theirs, ended = [await start_saga(log, owner=owner, due=LEASE) for owner in ("a", "b", "a")]
    await log.store.append(append(entry(stream()), sagas=[saga_row(ended, 1, owner="a", status="COMPLETED")]))
    overdue = await start_saga(log, owner="c", due=timedelta(seconds=-1))
    assert sorted(await log.sagas.owners()) == ["a", "b"]
    assert await log.sagas.release(["a", "nobody"]) == 1
    assert list(await log.sagas.owners()) == ["b"]
    assert {claim.saga_id for claim in await log.sagas.claim("d", limit=9, lease=LEASE)} == {held, overdue}
    assert (await row_of(log, theirs)).owner == "b"
    assert (await row_of(log, ended)).seconds is None


async def test_an_owner_that_was_released_by_mistake_keeps_its_saga_until_another_claims_it(log: LogUnderTest) -> None:
    saga_id = await start_saga(log, owner="a", due=LEASE)
    await log.sagas.release(["a"])
    leased = saga_row(saga_id, 1, owner="a", due_in=LEASE)
    assert isinstance(await log.store.append(append(entry(stream()), sagas=[leased])), Accepted)
    assert list(await log.sagas.claim("b", limit=9, lease=LEASE)) == []
    await log.sagas.release(["a"])
    assert [claim.epoch for claim in await log.sagas.claim("b", limit=9, lease=LEASE)] == [2]
    assert await log.store.append(append(entry(stream()), sagas=[leased])) == LeaseLost()


async def test_a_saga_that_was_claimed_four_times_without_an_append_is_released_no_more(log: LogUnderTest) -> None:
    saga_id = await start_saga(log)
    released: list[int] = []
    for _ in range(6):  # a runner that dies each time as soon as it has claimed
        await log.sagas.claim("a", limit=10, lease=LEASE)
        released.append(await log.sagas.release(["a"]))
    assert released == [1, 1, 1, 0, 0, 0], "then it waits for its lease, as does whatever makes the runner die"
    assert (await row_of(log, saga_id)).owner == "a"


# --- keys --------------------------------------------------------------------------------------------------
async def test_idempotency_keys_of_an_age_are_deleted_in_portions_and_younger_ones_are_kept(log: LogUnderTest) -> None:
    for n in range(5):
        await log.store.append(append(entry(stream()), key=f"k{n}"))
    await log.age_keys("k0", "k1", "k2", "k3", by=timedelta(hours=49))
    hours = timedelta(hours=48)
    assert await log.sagas.forget_keys(older_than=hours, limit=3) == 3
    assert await log.sagas.forget_keys(older_than=hours, limit=3) == 1
    assert await log.sagas.forget_keys(older_than=hours, limit=3) == 0
    assert await log.store.answered("scope", "k4") is not None
    assert await log.store.append(append(entry(stream()), key="k0")) == Accepted(6)
