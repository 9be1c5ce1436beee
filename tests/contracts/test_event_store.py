"""The contract of the log: each append gets one verdict, and is recorded as a whole or not at all."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from msgspec.structs import replace

from core.domain.message import SagaId
from core.errors import UnknownEvent
from core.ports.log import Accepted, Conflict, LeaseLost, Replay
from tests.support.log import a_key, append, entry, saga_row, stream
from tests.support.log_under_test import LogUnderTest, row_of, start_saga


# --- what is appended ---------------------------------------------------------------------------------------
async def test_events_get_the_next_positions_of_the_log_and_the_next_versions_of_their_streams(
    log: LogUnderTest,
) -> None:
    a, b = stream(), stream()
    assert await log.store.head() == 0
    assert await log.store.append(append(entry(a, 0, 2), entry(b, 0, 1))) == Accepted(3)
    assert await log.store.append(append(entry(b, 1, 1), entry(a, 2, 0))) == Accepted(4)
    assert [(e.version, e.position) for e in await log.store.load(a)] == [(1, 1), (2, 2)]
    assert [(e.version, e.position) for e in await log.store.load(b)] == [(1, 3), (2, 4)]
    assert [e.version for e in await log.store.load(b, after=1)] == [2]
    assert list(await log.store.load(b, after=2)) == []
    assert list(await log.store.load(stream())) == []
    assert await log.store.head() == 4


async def test_an_event_is_read_as_it_was_appended(log: LogUnderTest) -> None:
    wanted = append(entry(stream(), 0, 2))
    await log.store.append(wanted)
    loaded = await log.store.load(wanted.entries[0].stream)
    assert [(e.event_id, e.event, e.metadata) for e in loaded] == [
        (new.event_id, new.event, new.metadata) for new in wanted.entries[0].events
    ]
    assert {e.category for e in loaded} == {"inventory"}


async def test_the_log_gives_the_events_of_all_streams_in_the_order_of_their_positions(log: LogUnderTest) -> None:
    a, b = stream(), stream()
    await log.store.append(append(entry(a), entry(b, 0, 2)))
    await log.store.append(append(entry(a, 1)))
    of_log = await log.store.read_log(after=0, limit=10)
    assert [(e.position, e.stream, e.version) for e in of_log] == [(1, a, 1), (2, b, 1), (3, b, 2), (4, a, 2)]
    assert [recorded for e in of_log if e.stream == b for recorded in e.recorded()] == list(await log.store.load(b))
    assert [e.position for e in await log.store.read_log(after=1, limit=2)] == [2, 3]
    assert list(await log.store.read_log(after=4, limit=2)) == []


async def test_no_event_is_recorded_before_an_earlier_one_though_the_clock_was_set_back(log: LogUnderTest) -> None:
    at = stream()
    await log.store.append(append(entry(at)))
    await log.write_elsewhere(at, event_type="StockReplenished", ahead=timedelta(hours=1))
    await log.store.append(append(entry(at, 2)))
    times = [e.recorded_at for e in await log.store.load(at)]
    assert times[1] - times[0] > timedelta(minutes=59)
    assert times[2] == times[1]
    assert times[0].tzinfo == UTC
    assert isinstance(times[0], datetime)


async def test_a_stream_with_an_event_of_unknown_type_cannot_be_loaded_and_all_others_can(log: LogUnderTest) -> None:
    newer, usual = stream(), stream()
    await log.store.append(append(entry(newer), entry(usual)))
    await log.write_elsewhere(newer, event_type="OrderFrozen")
    loads = await asyncio.gather(log.store.load(newer), log.store.load(usual), return_exceptions=True)
    assert isinstance(loads[0], UnknownEvent)
    assert not isinstance(loads[1], BaseException)
    assert len(loads[1]) == 1
    assert len(await log.store.load(newer, after=2)) == 0
    assert len(await log.store.read_log(after=0, limit=10)) == 3


# --- conflicts ----------------------------------------------------------------------------------------------
async def test_a_conflict_names_the_version_of_every_stream_in_the_order_of_the_append_and_records_nothing(
    log: LogUnderTest,
) -> None:
    a, b, c, saga_id = stream(), stream(), stream(), SagaId(stream())
    await log.store.append(append(entry(a, 0, 2), entry(b, 0, 1)))
    wrong = append(entry(a, 2), entry(c, 0, 2), entry(b, 0, 0), key="k", sagas=[saga_row(saga_id, 0)])
    verdict = await log.store.append(wrong)
    assert isinstance(verdict, Conflict)
    assert list(verdict.actual) == [2, 0, 1]
    assert await log.store.head() == 3
    assert await log.store.answered("scope", "k") is None
    assert await log.row(saga_id) is None


async def test_an_append_that_names_a_wrong_version_of_any_stream_is_a_conflict(log: LogUnderTest) -> None:
    a, new = stream(), stream()
    await log.store.append(append(entry(a, 0, 2)))
    ahead, guard_behind, guard_ahead = append(entry(new, 1)), entry(a, 1, 0), entry(a, 3, 0)
    for late in (ahead, append(guard_behind, entry(new)), append(entry(new), guard_ahead), append(entry(a, 1))):
        assert isinstance(await log.store.append(late), Conflict)
    assert await log.store.append(append(entry(new), entry(a, 2, 0))) == Accepted(3)


async def test_the_store_accepts_one_of_many_appends_that_name_the_same_version(log: LogUnderTest) -> None:
    one, guarded = stream(), stream()
    for expected in range(3):
        races = [append(entry(one, expected), entry(guarded, 0, 0)) for _ in range(20)]
        verdicts = await asyncio.gather(*(log.store.append(race) for race in races))
        assert sum(isinstance(verdict, Accepted) for verdict in verdicts) == 1
        assert verdicts.count(Conflict([expected + 1, 0])) == 19


async def test_an_append_that_would_write_one_version_twice_raises_and_records_nothing(log: LogUnderTest) -> None:
    twice, other = stream(), stream()
    wrong = append(entry(other), entry(twice), entry(twice), key="k")
    (outcome,) = await asyncio.gather(log.store.append(wrong), return_exceptions=True)
    assert isinstance(outcome, Exception)
    assert await log.store.head() == 0
    assert list(await log.store.load(other)) == []
    assert await log.store.answered("scope", "k") is None


# --- idempotency keys ---------------------------------------------------------------------------------------
async def test_a_key_keeps_the_first_answer_and_the_fingerprint_of_the_first_command(log: LogUnderTest) -> None:
    key = a_key("k", b"print", amount=Decimal("10.50"), order_id=UUID(int=3), text="\u2713")
    assert await log.store.append(replace(append(entry(stream())), key=key)) == Accepted(1)
    again = await log.store.append(replace(append(entry(stream())), key=replace(key, fingerprint=b"other")))
    assert isinstance(again, Replay)
    assert again == await log.store.answered("scope", "k")
    assert again.fingerprint == b"print"
    kept = {"amount": Decimal("10.50"), "order_id": str(UUID(int=3)), "text": "\u2713"}
    assert again.answer == replace(key.answer, position=1, fields=kept)
    assert await log.store.answered("scope", "other") is None
    assert await log.store.answered("other", "k") is None
    assert await log.store.head() == 1


async def test_a_known_key_is_answered_before_versions_and_leases_are_looked_at(log: LogUnderTest) -> None:
    at, saga_id = stream(), SagaId(stream())
    await log.store.append(append(entry(at), key="k", sagas=[saga_row(saga_id, 0)]))
    assert isinstance(await log.store.append(append(entry(at, 0), key="k")), Replay)
    late = append(entry(at, 1), key="k", sagas=[saga_row(saga_id, 9, status="COMPLETED")])
    assert isinstance(await log.store.append(late), Replay)
    assert (await row_of(log, saga_id)).status == "RUNNING"


async def test_a_command_that_records_nothing_keeps_its_answer_under_its_key(log: LogUnderTest) -> None:
    at, key = stream(), a_key("k")
    key = replace(key, answer=replace(key.answer, position=1))  # of what was recorded before
    await log.store.append(append(entry(at)))
    assert isinstance(await log.store.append(append(entry(at, 0, 0), key="k")), Conflict)
    assert await log.store.append(replace(append(entry(at, 1, 0)), key=key)) == Accepted(0)
    again = await log.store.append(append(entry(at, 1, 0), key="k"))
    assert isinstance(again, Replay)
    assert again.answer.position == 1
    assert await log.store.head() == 1


async def test_the_store_accepts_one_of_many_appends_sent_at_once_with_the_same_key(log: LogUnderTest) -> None:
    appends = [append(entry(stream()), key="k") for _ in range(4)]
    verdicts = await asyncio.gather(*(log.store.append(each) for each in appends))
    assert verdicts.count(Accepted(1)) == 1
    assert sum(isinstance(verdict, Replay) and verdict.answer.position == 1 for verdict in verdicts) == 3


# --- rows of sagas ------------------------------------------------------------------------------------------
async def test_a_sagas_row_is_written_together_with_its_events(log: LogUnderTest) -> None:
    at, saga_id = stream(), SagaId(stream())
    new = saga_row(saga_id, 0, owner="me", due_in=timedelta(seconds=60))
    assert await log.store.append(append(entry(at), sagas=[new])) == Accepted(1)
    row = await row_of(log, saga_id)
    assert (row.epoch, row.owner, row.status, row.claims) == (1, "me", "RUNNING", 0)
    assert 50 < (row.seconds or 0) <= 60
    change = saga_row(saga_id, 1, status="COMPENSATING", step="x", attempts=4, last_error="no")
    assert await log.store.append(append(entry(at, 1), sagas=[change])) == Accepted(2)
    row = await row_of(log, saga_id)
    assert (row.epoch, row.owner, row.status, row.step) == (1, None, "COMPENSATING", "x")
    assert (row.attempts, row.last_error, row.claims, row.seconds) == (4, "no", 0, None)


async def test_a_lease_of_a_saga_that_is_not_there_writes_no_row(log: LogUnderTest) -> None:
    saga_id = SagaId(stream())
    assert await log.store.append(append(entry(stream()), sagas=[saga_row(saga_id, 3)])) == Accepted(1)
    assert await log.row(saga_id) is None


@pytest.mark.parametrize("epoch", [0, 1, 3])
async def test_an_append_under_a_lease_that_was_lost_records_nothing(log: LogUnderTest, epoch: int) -> None:
    saga_id, at = await start_saga(log), stream()
    assert [claim.epoch for claim in await log.sagas.claim("a", limit=1, lease=timedelta(seconds=30))] == [2]
    late = append(entry(at), key="k", sagas=[saga_row(saga_id, epoch, status="COMPLETED")])
    assert await log.store.append(late) == LeaseLost()
    assert await log.store.head() == 1
    assert await log.store.answered("scope", "k") is None
    assert (await row_of(log, saga_id)).status == "RUNNING"
    assert await log.store.append(replace(late, sagas=[saga_row(saga_id, 2)])) == Accepted(2)


async def test_an_append_with_a_lost_lease_and_a_conflict_reports_the_lost_lease(log: LogUnderTest) -> None:
    saga_id = await start_saga(log)
    assert await log.store.append(append(entry(stream(), 5), sagas=[saga_row(saga_id, 7)])) == LeaseLost()
