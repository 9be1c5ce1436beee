"""Mutants: an orderdeck with one guard switched off. Chaos is of use only if it notices each of them."""

from __future__ import annotations

import re
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
    """`sign`: a pattern of the violation that gives it away.

    `changes` to a `function` of the database: from a pattern of its text to what stands there instead. `patched`: the
    daemons are changed.
    """

    name: str
    what: str
    sign: str
    workload: Workload = SHORT
    function: str = ""
    changes: Mapping[str, str] = field(default_factory=dict)
    patched: bool = False

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": f"{PATCHES}:{ROOT}", "CHAOS_MUTANT": self.name} if self.patched else {}

    def telling_violation(self, violations: Sequence[str]) -> str | None:
        """The violation that shows the missing guard; None when none does."""
        return next((what for what in violations if re.search(self.sign, what)), None)

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
            changes={r"NOT bool_and\(t\.actual = t\.expected\)": "false"},
        ),
        Mutant(
            "idempotency",
            "a repeated command is a new one",
            r"recorded \d+ times",
            function="append_events",
            changes={
                r"IF cardinality\(k_key\) > 0 THEN": "IF false THEN",
                r"(AS k\(a, scope, key, fingerprint, [^)]*\)\s+JOIN accepted \w+ \(a\))": r"\1 ON CONFLICT DO NOTHING",
            },
        ),
        Mutant(
            "fencing",
            "a runner that lost its lease goes on writing",
            r"leases|^I8",
            VOIDS,
            function="append_events",
            changes={r"s\.epoch <> g\.epoch": "false"},
            patched=True,
        ),
        Mutant(
            "checkpoint",
            "a projector that was frozen saves what another one has saved",
            r"daily sales|^I[37]",
            replace(ZOMBIE, frozen=("projector",)),
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
            patched=True,
        ),
        Mutant(
            "versions",
            "an event that Kafka delivers again is folded again",
            r"^I[37]|order views differ|daily sales|cannot be applied|not quiet in time",
            DISTRIBUTED,
            patched=True,
        ),
        Mutant(
            "share-epoch",
            "a projector that was frozen saves what others have saved since",
            r"^I[37]|order views differ|daily sales|its level|was answered at version",
            replace(DISTRIBUTED, kills=0, seconds=60, frozen=("projector",), patience=90),
            patched=True,
        ),
        Mutant(
            "cache-token",
            "what a reader has read is cached although the order has changed since",
            r"the cache answers|was answered at version",
            replace(DISTRIBUTED, kills=0, engines=Engines(brokers=1, counts={"projector": 2})),
            patched=True,
        ),
    )
}
