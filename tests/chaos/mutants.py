"""Mutants: an orderdeck with one guard switched off. Chaos is of use only if it notices each of them.

Some guards close a gap of a few milliseconds, which a run seldom meets. A test that opens the gap has to notice these.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import asyncpg

from tests.chaos.engine_plan import Engines
from tests.chaos.plan import Fate, Workload
from tests.support.stack import ROOT

PATCHES = Path(__file__).parent / "patched"
"""Its sitecustomize.py changes the daemons that start with it on their path."""

SHORT = Workload(orders=200, kills=1, seconds=20, points=1, patience=60)
ZOMBIE = replace(SHORT, seconds=60, kills=0, points=0)
# Some sagas call the provider again and again: under way when their runner is frozen, and still when it wakes. Most are
# answered, or the breaker would open, and the heir would have nothing to write under its own lease.
VOIDS = replace(
    ZOMBIE,
    orders=700,
    seconds=90,
    frozen=("saga-runner",),
    drop_rate=0,
    latency_ms=1_500,
    patience=20,
    methods={"test_card_void_never": 1, "card": 7},
    fates={Fate.CANCEL_LATER: 1},
)

CONTRACTS = "tests/contracts"
FROM_TOPICS = "test_saves_from_topics_that_a_crash_has_lost_are_made_again_although_no_event_comes"
RELIEVED = "test_a_projector_that_another_one_has_relieved_saves_nothing_even_where_both_are_equally_far"
LOST_A_SHARE = "test_a_process_that_lost_a_share_or_whose_save_was_done_already_saves_nothing"
SLOW_READER = "test_what_a_slow_reader_has_read_is_not_stored_after_the_order_has_changed"
WHILE_SAVED = "test_while_an_order_is_being_saved_it_is_read_from_the_database"
NOT_KEPT = "test_whatever_the_broker_has_not_kept_is_sent_again_after_a_kill_or_an_outage"
OLDER_VERSION = "test_an_older_version_of_an_order_does_not_replace_a_newer_one"
LOST_SHARE = "test_whoever_lost_its_share_without_knowing_it_cannot_take_away_the_marks_of_the_new_holder"
NEARLY_OVER = "test_a_projector_whose_lease_is_nearly_over_promises_nothing_and_takes_away_nobodys_marks"

DISTRIBUTED = Workload(
    orders=300,
    kills=2,
    seconds=45,
    killed=("relay", "projector"),
    patience=60,
    engines=Engines(brokers=1, counts={"relay": 1, "projector": 2}, killed=2, stopped=2, repeated=6),
)


@dataclass(frozen=True)
class Mutant:
    """`sign`: a pattern of the violation of a run that gives it away; none when a run seldom meets it.

    `failure`: a pattern of what `test` says when it gives it away. `changes` to a `function` of the database: from a
    pattern of its text to what stands there instead. `patched`: the daemons and the process of the test are changed.
    """

    name: str
    what: str
    sign: str = ""
    workload: Workload = SHORT
    test: str = ""
    failure: str = ""
    function: str = ""
    changes: Mapping[str, str] = field(default_factory=dict)
    patched: bool = False

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": f"{PATCHES}:{ROOT}", "CHAOS_MUTANT": self.name} if self.patched else {}

    def telling_violation(self, violations: Sequence[str]) -> str | None:
        """The violation that shows the missing guard; None when none does."""
        return next((what for what in violations if re.search(self.sign, what)), None)

    def telling_line(self) -> str | None:
        """What its test says that shows the missing guard; None when it says anything else."""
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-n0", "-x", "-p", "no:cacheprovider", self.test],
            env=os.environ | self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return next((line for line in done.stdout.splitlines() if re.search(self.failure, line)), None)

    async def switch_off(self, dsn: str) -> None:
        if not self.function:
            return
        connection = await asyncpg.connect(dsn)
        try:
            text = await connection.fetchval("SELECT pg_get_functiondef($1::regproc)", self.function)
            for pattern, instead in self.changes.items():
                text, count = re.subn(pattern, instead, text)
                assert count == 1, f"{self.function} has {count} times {pattern}: say here what the guard is by now"
            await connection.execute(text)
        finally:
            await connection.close()


MUTANTS = {
    mutant.name: mutant
    for mutant in (
        Mutant(
            "lock",
            "two appends at once, without the log's lock",
            r"answered 500|could not be advanced|positions",
            function="append_events",
            changes={r"PERFORM pg_advisory_xact_lock\(\d+\);": ""},
        ),
        Mutant(
            "version",
            "an append on a stream that has moved since it was read",
            r"answered 500|could not be advanced|versions",
            function="append_events",
            changes={r"IF found <> s_expected THEN": "IF false THEN"},
        ),
        Mutant(
            "idempotency",
            "a repeated command is a new one",
            r"recorded \d+ times",
            function="append_events",
            changes={
                r"IF keys > 0 THEN(\s+known)": r"IF false THEN\1",
                r"(WHERE k_append\[k\] <> ALL \(refused\))": r"\1 ON CONFLICT DO NOTHING",
            },
        ),
        Mutant(
            "fencing",
            "a runner that lost its lease goes on writing",
            r"leases|^I8",
            VOIDS,
            function="append_events",
            changes={r"s\.epoch <> g_epoch\[g\]": "false"},
            patched=True,
        ),
        Mutant(
            "checkpoint",
            "a projector that was frozen saves what another one has saved",
            r"daily sales|^I[37]",
            replace(ZOMBIE, frozen=("projector",)),
            test=f"{CONTRACTS}/test_read_models.py::{RELIEVED}",
            failure="DID NOT RAISE .*CheckpointMoved",
            patched=True,
        ),
        Mutant(
            "provider-key",
            "every try of a charge is a new one to the provider",
            # A charge that was taken is refused to a second key, and voided; one that needs a second try never gets it.
            r"is CANCELLED, and the provider has \['AUTHORISED|not quiet in time",
            patched=True,
        ),
        Mutant(
            "relay-checkpoint",
            "the relay saves its position before Kafka has kept the events",
            r"in Kafka .* goes on from|Kafka has \d+ of",
            DISTRIBUTED,
            test=f"{CONTRACTS}/test_relay_position.py::{NOT_KEPT}",
            failure="^E .*the broker never got these events",
            patched=True,
        ),
        Mutant(
            "versions",
            "an event that Kafka delivers again is folded again",
            r"^I[37]|order views differ|daily sales|cannot be applied|not quiet in time",
            DISTRIBUTED,
            test=f"{CONTRACTS}/test_topic_faults.py::test_any_disorder_repetition_and_loss_gives_the_same_tables[0]",
            failure=r"assert found == await contents\(|EventNotApplied",
            patched=True,
        ),
        Mutant(
            "share-epoch",
            "a projector that was frozen saves what others have saved since",
            test=f"{CONTRACTS}/test_topic_faults.py::{LOST_A_SHARE}",
            failure="DID NOT RAISE .*ShareLost",
            patched=True,
        ),
        Mutant(
            "lost-saves",
            "a position is saved although PostgreSQL has lost saves before it in a crash",
            test=f"{CONTRACTS}/test_lost_commits.py::{FROM_TOPICS}[stay]",
            failure=r"assert found == await contents\(",
            patched=True,
        ),
        Mutant(
            "cache-token",
            "what a reader has read is cached although the order has changed since",
            test=f"{CONTRACTS}/test_order_cache.py::{SLOW_READER}",
            failure=r"^E .*\('hit', 1\) == \('miss', 2\)",
            patched=True,
        ),
        Mutant(
            "cache-mark",
            "an order is not marked while it is being saved",
            test=f"{CONTRACTS}/test_order_cache.py::{WHILE_SAVED}",
            failure=r"^E .*\('hit', 1\) == \('bypass', 2\)",
            patched=True,
        ),
        Mutant(
            "cache-version",
            "an older version of an order replaces a newer one in the cache",
            test=f"{CONTRACTS}/test_order_cache.py::{OLDER_VERSION}",
            failure=r"^E .*\('hit', 2\) == \('hit', 3\)",
            patched=True,
        ),
        Mutant(
            "cache-epoch",
            "a projector that has lost its share begins a new generation of the cache",
            test=f"{CONTRACTS}/test_order_cache_races.py::{LOST_SHARE}",
            failure="^E .*assert not .*_promised|^E .*assert not True",
            patched=True,
        ),
        Mutant(
            "lease-margin",
            "a projector whose lease is nearly over promises to mark what it changes",
            test=f"{CONTRACTS}/test_order_cache_races.py::{NEARLY_OVER}",
            failure="^E .*Marked",
            patched=True,
        ),
    )
}
