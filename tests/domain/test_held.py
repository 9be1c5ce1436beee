"""Open reservations: a mapping like any other, whose earlier versions stay as they were, however many there are."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from core.domain import held
from core.domain.held import Held
from core.domain.message import ReservationId

CHANGES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), max_size=80)


@given(CHANGES, st.sampled_from([0, 9, 1_000]))
def test_the_mapping_of_reservations_equals_a_copied_dict_at_every_version(
    changes: list[tuple[int, int]], few: int
) -> None:
    usual, held.FEW = held.FEW, few
    try:
        versions: list[tuple[Held, dict[ReservationId, int]]] = [(Held(), {})]
        for n, quantity in changes:
            id_, (now, plain) = ReservationId(UUID(int=n)), versions[-1]
            if quantity:
                versions.append((now.having(id_, quantity), {**plain, id_: quantity}))
            else:
                versions.append((now.without(id_), {k: v for k, v in plain.items() if k != id_}))
    finally:
        held.FEW = usual
    for now, plain in versions:
        assert now == plain
        assert len(now) == len(plain)
        assert [id_ in now for id_ in plain] == [True] * len(plain)
        assert sum(now.values()) == sum(plain.values())
        assert ReservationId(UUID(int=99)) not in now


def test_a_new_version_of_a_large_mapping_copies_few_of_its_entries() -> None:
    many = Held({ReservationId(UUID(int=n)): 1 for n in range(100_000)})
    copied, now = 0, many
    for n in range(2_000):
        id_ = ReservationId(UUID(int=n))
        then, now = now, now.without(id_) if n % 2 else now.having(id_, 2)
        copied += len(now._since) if now._shared is then._shared else len(now._shared)
    assert copied < 2_000 * 1_000, "a copy for every event would be 200 000 000"
    assert len(many) == 100_000
