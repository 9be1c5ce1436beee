"""Which rows of a generation are compared with the log before it is read."""

from __future__ import annotations

from uuid import uuid4

from core.audit.generation_check import FOLDED, short_enough
from core.domain.message import StreamId

A, B, C = (StreamId(uuid4()) for _ in range(3))


def test_streams_of_a_sample_are_compared_as_long_as_they_have_few_events_together() -> None:
    assert short_enough([]) == []
    assert short_enough([(A, 2), (B, 2), (C, 2)]) == [A, B, C]
    assert short_enough([(A, FOLDED - 1), (B, 2), (C, 1)]) == [A, C]


def test_a_sample_of_long_streams_is_one_of_them() -> None:
    assert short_enough([(A, 1_000_000), (B, 1_000_000)]) == [A]
