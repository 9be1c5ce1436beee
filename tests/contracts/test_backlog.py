"""The backlog of the saga runners: what is due and what is not started yet, the oldest first however much there is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.adapters.postgres.backlog import UNSTARTED
from core.adapters.postgres.saga_log import EXTEND, SET_DUE, WAKE, PostgresSagaLog
from core.ports.sagas import READER, SHARES, STARTS_ON
from tests.support.log import append, entry, saga_row, stream
from tests.support.log_under_test import LogUnderTest, PostgresUnderTest, start_saga
from tests.support.orders import Sample, write

LEASE = timedelta(hours=1)
DUE = 20_000

# Nearly all sagas have ended when the planner looks at the table, as at most times; then many are due at once.
FILL = """
INSERT INTO sagas (saga_id, name, definition, order_id, status, step, attempts, epoch, claims, due_at, started_at,
                   updated_at)
SELECT gen_random_uuid(), 'fulfil_order', 1, gen_random_uuid(), $1, '', 0, 1, 0, now() - random() * interval '1 h',
       now(), now()
  FROM generate_series(1, $2::int)
"""
CLAIMED_TOO_EARLY = """
SELECT count(*) FROM sagas WHERE owner IS NULL AND status = 'RUNNING' AND due_at < (SELECT max(was) FROM claimed)
"""


async def test_sagas_that_are_due_and_that_nobody_holds_are_the_backlog(log: LogUnderTest) -> None:
    assert (await log.sagas.backlog(most=9)).waiting == 0
    for seconds in (9, 2, 0):
        await start_saga(log, due=timedelta(seconds=-seconds))
    await start_saga(log, due=timedelta(seconds=60))
    await start_saga(log, due=LEASE, owner="a")
    ended = await start_saga(log, due=timedelta(seconds=-20))
    await log.store.append(append(entry(stream()), sagas=[saga_row(ended, 1, status="COMPLETED")]))
    for most, counted in ((9, 3), (2, 2)):
        backlog = await log.sagas.backlog(most=most)
        assert (backlog.due, backlog.unstarted, backlog.waiting) == (counted, 0, counted)
        assert 9 <= backlog.due_for == backlog.waits_for < 12
    await log.sagas.claim("a", limit=2, lease=LEASE)
    assert (await log.sagas.backlog(most=9)).due == 1
    assert (await log.sagas.backlog(most=9)).due_for < 3


async def test_events_whose_saga_is_not_started_yet_are_counted_by_the_position_of_their_share(
    postgres_log: PostgresUnderTest, dsn: str
) -> None:
    events = Sample(40).events()
    await write(dsn, events)
    starting = [(n, event) for n, event in enumerate(events, 1) if event.event_type in STARTS_ON]

    async def unstarted() -> int:
        return (await postgres_log.sagas.backlog(most=1_000)).unstarted

    assert await unstarted() == len(starting), "no runner has been here yet"
    place = "INSERT INTO reader_shares (reader, share, position) VALUES ($1, $2, $3)"
    for share in range(SHARES):
        await postgres_log.owner.execute(place, READER, share, 0 if share else len(events))
    left = [event for _, event in starting if event.stream.bytes[15] % SHARES != 0]
    assert 0 < await unstarted() == len(left) < len(starting)
    assert (await postgres_log.sagas.backlog(most=3)).unstarted == 3
    assert (await postgres_log.sagas.backlog(most=3)).unstarted_for > 0
    await postgres_log.owner.execute("UPDATE reader_shares SET position = $1", len(events))
    assert await unstarted() == 0


async def test_events_whose_saga_is_not_started_are_found_without_reading_the_whole_log(
    postgres_log: PostgresUnderTest, dsn: str
) -> None:
    await write(dsn, Sample(1_000).events())
    owner = postgres_log.owner
    await owner.execute("ANALYZE events")
    explained = await owner.fetch(f"EXPLAIN (ANALYZE) {UNSTARTED.format(most=10_000)}")
    lines = [line for (line,) in explained]
    assert any("Index Scan using events_type" in line for line in lines), "\n".join(lines)
    assert sum(int(line.split()[-1]) for line in lines if "Rows Removed by" in line) == 0, "\n".join(lines)


@pytest.mark.parametrize("pinned", [True, False])
async def test_a_claim_reads_only_what_it_claims_however_many_sagas_are_due(
    postgres_log: PostgresUnderTest, *, pinned: bool
) -> None:
    owner = postgres_log.owner
    await owner.execute(FILL, "COMPLETED", 1_000)
    await owner.execute("ANALYZE sagas")
    await owner.execute(FILL, "RUNNING", DUE)
    if not pinned:  # then the planner sorts all that are due, since it takes them for few
        await owner.execute("ALTER FUNCTION claim_sagas RESET ALL")
    await owner.execute("CREATE TEMP TABLE claimed AS SELECT saga_id, due_at AS was FROM sagas WHERE false")
    await owner.execute("CREATE TEMP TABLE before AS SELECT saga_id, due_at FROM sagas WHERE status = 'RUNNING'")
    explained = await owner.fetch("EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM claim_sagas('a', 8, '1 hour')")
    pages = next(int(word.partition("hit=")[2].split()[0]) for (word,) in explained if "hit=" in word)
    assert (pages < DUE / 20) is pinned, f"{pages} pages for 8 claims"
    await owner.execute(
        "INSERT INTO claimed SELECT b.saga_id, b.due_at FROM before b JOIN sagas s USING (saga_id) WHERE s.owner = 'a'"
    )
    assert await owner.fetchval("SELECT count(*) FROM claimed") == 8
    assert await owner.fetchval(CLAIMED_TOO_EARLY) == 0, "an older one was left"
    sagas: PostgresSagaLog = postgres_log.sagas
    assert (await sagas.backlog(most=100)).due == 100


NAMED = "SELECT saga_id FROM sagas WHERE status = 'RUNNING' LIMIT 200"


@pytest.mark.parametrize("known", [True, False], ids=["as the planner last saw it", "never seen by the planner"])
@pytest.mark.parametrize(
    ("statement", "holder", "values"),
    [
        (SET_DUE, "NULL", "({ids}, {epochs}, interval '1 h')"),
        (EXTEND, "'a'", "('a', {ids}, {epochs}, interval '1 h')"),
        (WAKE, "NULL", "({ids})"),
    ],
    ids=["put off", "extend", "wake"],
)
async def test_a_runner_reads_only_the_sagas_that_it_names_however_many_are_open(
    postgres_log: PostgresUnderTest, statement: str, holder: str, values: str, *, known: bool
) -> None:
    owner = postgres_log.owner
    await owner.execute(FILL, "COMPLETED", 1_000)
    if known:
        await owner.execute("ANALYZE sagas")
    await owner.execute(FILL, "RUNNING", 2_000)
    hold = f"UPDATE sagas SET owner = {holder}, due_at = now() + interval '1 h' WHERE status = 'RUNNING'"
    await owner.execute(hold)
    ids = f"ARRAY{[str(saga_id) for (saga_id,) in await owner.fetch(NAMED)]}::uuid[]"
    await owner.execute("SET plan_cache_mode = force_generic_plan")  # as a runner's connection soon has it
    await owner.execute(f"PREPARE named AS {statement}")
    given = values.format(ids=ids, epochs="array_fill(1::bigint, ARRAY[200])")
    lines = [line for (line,) in await owner.fetch(f"EXPLAIN (ANALYZE) EXECUTE named {given}")]
    passed_over = sum(int(line.split()[-1]) for line in lines if "Rows Removed by" in line)
    assert passed_over == 0, "\n".join(lines)
