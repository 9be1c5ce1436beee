"""The plan of a run: every order, what its customer does with it, and every strike; the seed decides all of it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tests.chaos.engine_plan import Engines, draw_strikes
from tests.chaos.strike import Strike

KILLED = ("command-api", "query-api", "payment-sandbox", "projector", "saga-runner", "postgres")
RARE = "RARE-001"  # a SKU of which there is not enough for everybody
FREEZE = (35.0, 45.0)  # seconds; longer than a lease
THAW = 8.0  # seconds in which a daemon that was frozen runs beside the one that took over

METHODS = {
    "card": 78, "paypal": 4, "test_card_fail": 4, "test_card_insufficient_funds": 2, "test_card_flaky": 4,
    "test_card_timeout": 1, "test_card_slow": 2, "test_card_void_fails": 4, "no_such_method": 1,
}  # fmt: skip


class Fate(StrEnum):
    """What a customer does once the order is placed."""

    LEAVE = "leave"
    CANCEL_AT_ONCE = "cancel at once"
    CANCEL_LATER = "cancel later"
    CONFIRM = "confirm by hand"
    SHIP = "ship"
    DELIVER = "ship and deliver"
    GIVE_UP = "never ask what became of it"  # an unknown outcome
    NONSENSE = "order nothing"  # to be refused


FATES = {
    Fate.LEAVE: 52, Fate.CANCEL_AT_ONCE: 10, Fate.CANCEL_LATER: 10, Fate.CONFIRM: 5, Fate.SHIP: 10, Fate.DELIVER: 8,
    Fate.GIVE_UP: 3, Fate.NONSENSE: 2,
}  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """One order to be placed, and its customer. `at`: seconds from the start; `copies`: how often a command is sent."""

    number: int
    at: float
    lines: tuple[tuple[str, int], ...]
    method: str
    fate: Fate
    copies: int

    @property
    def customer(self) -> str:
        return f"chaos-{self.number}"


@dataclass(frozen=True)
class Workload:
    """How much of everything, and for how long. `kills` of each of `killed`; `frozen`: which, one after the other.

    `points`: how often each failpoint is to strike, about. The rates are of the provider's answers. `patience`: seconds
    after the last strike until everybody is answered and every saga has ended; leases have to run out meanwhile.
    `methods`, `fates`: how often each comes. `onlookers`: who look at the newest orders all the time. `engines`: with
    Kafka, Redis and several processes of each program.
    """

    orders: int
    kills: int
    seconds: float
    killed: tuple[str, ...] = KILLED
    frozen: tuple[str, ...] = ()
    outages: int = 0
    redeliveries: int = 0
    points: float = 0.0
    drop_rate: float = 0.1
    error_rate: float = 0.0
    latency_ms: int = 0
    patience: float = 240.0
    methods: Mapping[str, int] = field(default_factory=lambda: METHODS)
    fates: Mapping[Fate, int] = field(default_factory=lambda: FATES)
    onlookers: int = 4
    engines: Engines | None = None


@dataclass(frozen=True)
class Plan:
    seed: int
    workload: Workload
    wishes: Sequence[Wish] = field(repr=False)
    strikes: Sequence[Strike] = field(repr=False)
    failpoints: str

    @property
    def hash(self) -> str:
        """The hash of everything that was drawn: two runs with the same hash have the same plan."""
        drawn = repr((self, self.wishes, self.strikes))
        return hashlib.sha256(drawn.encode()).hexdigest()[:12]

    @property
    def rare(self) -> int:
        """How many units of the rare SKU there are: about half of what is ordered."""
        return max(1, sum(quantity for wish in self.wishes for sku, quantity in wish.lines if sku == RARE) // 2)


def draw(seed: int, workload: Workload) -> Plan:
    rng = random.Random(seed)
    frozen = [_freeze(rng, n, target, workload) for n, target in enumerate(workload.frozen)]
    strikes = [*frozen]
    for target in workload.killed:
        strikes += [_kill(rng, target, workload, frozen) for _ in range(workload.kills)]
    for kind, count in (("outage", workload.outages), ("redelivery", workload.redeliveries)):
        strikes += [
            Strike(rng.uniform(0.1, 0.9) * workload.seconds, kind, seconds=rng.uniform(2, 8)) for _ in range(count)
        ]
    if workload.engines is not None:
        strikes += draw_strikes(rng, workload.engines, workload.seconds)
    wishes = [_wish(rng, n, workload) for n in range(1, workload.orders + 1)]
    return Plan(seed, workload, tuple(wishes), tuple(sorted(strikes)), _failpoints(seed, workload))


def _freeze(rng: random.Random, n: int, target: str, workload: Workload) -> Strike:
    """Freeze one daemon after the other, so that two are never frozen at once."""
    share = workload.seconds / len(workload.frozen)
    seconds = rng.uniform(*FREEZE)
    at = n * share + rng.uniform(0.1, 0.3) * max(0.0, share - seconds - THAW) + 3
    return Strike(at, "freeze", target, seconds=seconds)


def _kill(rng: random.Random, target: str, workload: Workload, frozen: Sequence[Strike]) -> Strike:
    """Kill the daemon at a time when it is not frozen: a frozen one must live on to write under its old lease."""
    how = rng.choice(("daemon", "server", "immediate", "sessions")) if target == "postgres" else "daemon"
    while True:
        at = rng.uniform(0.05, 1) * workload.seconds
        if not any(f.target == target and f.at - 3 < at < f.at + f.seconds + THAW + 3 for f in frozen):
            return Strike(at, "kill", target, how)


def _wish(rng: random.Random, number: int, workload: Workload) -> Wish:
    if rng.random() < 0.06:
        skus = [RARE]
    elif rng.random() < 0.4:
        skus = ["LAPTOP-001"]  # a SKU that many customers order
    else:
        skus = [f"SKU-{k:03d}" for k in rng.sample(range(1, 51), rng.choice((1, 1, 2, 3)))]
    return Wish(
        number=number,
        at=rng.uniform(0, workload.seconds),
        lines=tuple((sku, rng.randint(1, 3)) for sku in skus),
        method=rng.choices(list(workload.methods), list(workload.methods.values()))[0],
        fate=rng.choices(list(workload.fates), list(workload.fates.values()))[0],
        copies=rng.choice((1, 1, 1, 2, 3)),
    )


# About how often an order passes each point. Sagas are claimed only after a runner died; a batch has many orders.
PASSES = {
    "command-api.after_enqueue": 1.7, "command-api.after_commit": 1.7, "projector.after_poll": 1.0,
    "projector.mid_transaction": 1.0, "projector.after_commit": 1.0, "saga-runner.after_claim": 0.1,
    "saga-runner.after_call": 1.2, "saga-runner.after_record": 5.5, "saga-runner.mid_compensation": 0.8,
}  # fmt: skip
PASSES_OF_RELAY = {"relay.after_poll": 1.0, "relay.mid_send": 1.0, "relay.before_checkpoint": 1.0}


def _failpoints(seed: int, workload: Workload) -> str:
    if not workload.points:
        return ""
    known = PASSES if workload.engines is None else PASSES | PASSES_OF_RELAY
    chances = {point: min(0.5, workload.points / (passes * workload.orders)) for point, passes in known.items()}
    return ",".join([f"seed={seed}", *(f"{point}={chance:.6f}" for point, chance in chances.items())])
