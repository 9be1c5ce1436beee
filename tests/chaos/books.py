"""The books: what customers were told, order by order, to be held against the log afterwards."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.plan import Wish


@dataclass(frozen=True)
class Told:
    """The answer to a command for good: 2xx or a refusal. `key` is its Idempotency-Key, and its X-Request-Id."""

    key: str
    verb: str
    status: int
    order_id: str
    version: int | None


@dataclass
class Books:
    """`told` by key, every copy's answer; `asked`: the keys that were sent at all; `wrong`: what must never be said."""

    told: dict[str, list[Told]] = field(default_factory=dict)
    asked: dict[str, Wish] = field(default_factory=dict)
    orders: dict[str, Wish] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)

    def tell(self, told: Told) -> None:
        self.told.setdefault(told.key, []).append(told)
