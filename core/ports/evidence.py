"""Evidence: what `verify` looks at, all of it as of one moment; a port of its own, for one who only reads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

import msgspec

from core.codec import StoredEvent
from core.domain.message import OrderId, SagaId
from core.ports.snapshots import Snapshot
from core.projections.inventory_level import InventoryLevel
from core.projections.order_view import OrderView
from core.projections.projection import Amounts, RowKey, Sum


class Finding(msgspec.Struct, frozen=True):
    """Something that must not be: the invariant it breaks, a sentence, and where in the log."""

    invariant: str
    what: str
    stream: UUID | None = None
    position: int | None = None


class SagaSeen(msgspec.Struct, frozen=True):
    """A saga's row as it stands; `due`: there is a time from which on it may be claimed."""

    saga_id: SagaId
    name: str
    definition: int
    order_id: OrderId
    status: str
    step: str
    attempts: int
    epoch: int
    due: bool


class Reader(msgspec.Struct, frozen=True):
    """Where a reader of the log stands. `revision`: the rules it fills its tables by.

    `at_work`: it is connected, and was as long as it was waited for.
    """

    name: str
    position: int
    revision: str
    at_work: bool


class Evidence(Protocol):
    """One sight of the log and of all that was made of it, frozen at a moment while the daemons go on.

    `asked` was the head when it was asked for: by now the readers at work have had time to reach it.
    """

    @property
    def head(self) -> int: ...
    @property
    def asked(self) -> int: ...
    @property
    def readers(self) -> Sequence[Reader]: ...

    def stories(self) -> AsyncGenerator[Sequence[StoredEvent]]:
        """Every event about an order, order by order, each one's in the order of the log and in one piece."""
        ...

    def shelves(self) -> AsyncGenerator[Sequence[StoredEvent]]:
        """Every event of every SKU, SKU by SKU, in the order of their versions."""
        ...

    async def disorder(self) -> Sequence[Finding]:
        """What the log and the kept answers alone show to be wrong (I1, I2), and rows that no event explains (I7)."""
        ...

    async def sagas(self, order_ids: Sequence[UUID]) -> Sequence[SagaSeen]: ...
    async def orders(self, order_ids: Sequence[UUID]) -> Mapping[UUID, OrderView]: ...
    async def snapshots(self) -> Mapping[UUID, Snapshot]: ...
    async def levels(self) -> Mapping[str, InventoryLevel]: ...
    async def sums(self, one: Sum[Any, Any, Any]) -> Mapping[RowKey, Amounts]: ...

    async def moved_on(self, order_ids: Sequence[UUID]) -> set[UUID]:
        """Those of the orders about which something was recorded after this sight; asked of the log as it is now."""
        ...
