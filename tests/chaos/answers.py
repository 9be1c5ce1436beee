"""The answers that customers got, order by order; they are compared with the log afterwards."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.plan import Wish


@dataclass(frozen=True)
class FinalAnswer:
    """The answer that ends a command: 2xx or a refusal. `key` is its Idempotency-Key, and its X-Request-Id."""

    key: str
    verb: str
    status: int
    order_id: str
    version: int | None


@dataclass
class Answers:
    """`by_key`: the final answer to each copy; `sent`: the keys that were sent; `wrong`: answers that are forbidden."""

    by_key: dict[str, list[FinalAnswer]] = field(default_factory=dict)
    sent: dict[str, Wish] = field(default_factory=dict)
    orders: dict[str, Wish] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)

    def add(self, answer: FinalAnswer) -> None:
        self.by_key.setdefault(answer.key, []).append(answer)
