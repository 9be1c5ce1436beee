"""Held: an immutable mapping of a SKU's open reservations. A changed copy costs about the square root of its size.

If every event made a full copy, loading a SKU with n reservations would cost n squared: half a minute at 150 000.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core.domain.message import ReservationId

FEW = 1_000  # changes stay apart from the shared mapping until their number squared exceeds this plus its size


class Held(Mapping[ReservationId, int]):
    """A mapping that many copies share, and the changes of this copy. A changed quantity of 0 means: not held."""

    __slots__ = ("_shared", "_since")

    def __init__(
        self, shared: dict[ReservationId, int] | None = None, since: dict[ReservationId, int] | None = None
    ) -> None:
        self._shared = shared or {}
        self._since = since or {}

    def having(self, id_: ReservationId, quantity: int) -> Held:
        since = self._since.copy()  # far quicker than {**self._since}
        since[id_] = quantity
        if len(since) ** 2 <= FEW + len(self._shared):
            return Held(self._shared, since)
        return Held(Held(self._shared, since).plain())

    def plain(self) -> dict[ReservationId, int]:
        """A copy as a plain dict, from which `Held` can be made again."""
        found = self._shared.copy()
        for changed, now in self._since.items():
            if now:
                found[changed] = now
            else:
                found.pop(changed, None)
        return found

    def without(self, id_: ReservationId) -> Held:
        return self.having(id_, 0) if id_ in self else self

    def __getitem__(self, id_: ReservationId) -> int:
        quantity = self._since.get(id_)
        if quantity is None:
            return self._shared[id_]
        if quantity == 0:
            raise KeyError(id_)
        return quantity

    def __iter__(self) -> Iterator[ReservationId]:
        yield from (id_ for id_ in self._shared if id_ not in self._since)
        yield from (id_ for id_, quantity in self._since.items() if quantity)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))
