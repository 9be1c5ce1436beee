"""Evidence: what `verify` reads, all of it as of one moment."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import msgspec

from core.codec import StoredEvent
from core.domain.message import OrderId, SagaId
from core.ports.dead_letters import SkippedEvent
from core.ports.snapshots import Snapshot
from core.projections.inventory_level import InventoryLevel
from core.projections.order_view import OrderView
from core.projections.projection import Amounts, RowKey, Sum
from core.sealing import SealingKey


class Finding(msgspec.Struct, frozen=True):
    """A violation of an invariant: which one, a sentence that says what is wrong, and where in the log."""

    invariant: str
    what: str
    stream: UUID | None = None
    position: int | None = None


class SagaSeen(msgspec.Struct, frozen=True):
    """A row of the table `sagas`. `due`: the row has a time at which a runner may claim the saga."""

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
    """How far a reader of the log has come. `revision` names the rules by which it fills its tables.

    `at_work`: the reader is connected, and was connected all the time while `verify` waited for the readers.
    """

    name: str
    position: int
    revision: str
    at_work: bool


class WaitingRow(NamedTuple):
    """A row of a reader that waits behind an event which could not be applied."""

    reader: str
    row: UUID
    event_type: str
    position: int
    error: str


class Evidence(Protocol):
    """The log, and the tables that are made from it, as of one moment, while the daemons go on writing.

    `asked` is the head of the log before `verify` waited for the readers, so each reader at work had time to reach it.
    `head` is the head at the moment that is shown.
    """

    @property
    def head(self) -> int: ...
    @property
    def asked(self) -> int: ...
    @property
    def readers(self) -> Sequence[Reader]: ...

    @property
    def waiting(self) -> Sequence[WaitingRow]: ...
    @property
    def skipped(self) -> Sequence[SkippedEvent]: ...

    def stories(self) -> AsyncGenerator[Sequence[StoredEvent]]:
        """Every event about orders, one order after the other. No order is split between two batches."""
        ...

    def shelves(self) -> AsyncGenerator[Sequence[StoredEvent]]:
        """Every event of SKUs, one SKU after the other, each SKU's in the order of their versions."""
        ...

    def acts(self) -> AsyncGenerator[Sequence[StoredEvent]]:
        """Every event of the readers and the customers: what operators did to them, in the order of the log."""
        ...

    async def disorder(self) -> Sequence[Finding]:
        """What is wrong in the log and the stored answers (I1, I2), rows without an event (I7), the audit (I9)."""
        ...

    async def audit_end(self) -> tuple[int, int, str]:
        """How many rows the audit has, the position of the last one, and its hash."""
        ...

    async def sagas(self, order_ids: Sequence[UUID]) -> Sequence[SagaSeen]: ...
    async def orders(self, order_ids: Sequence[UUID]) -> Mapping[UUID, OrderView]: ...
    async def snapshots(self) -> Mapping[UUID, Snapshot]: ...
    async def levels(self) -> Mapping[str, InventoryLevel]: ...
    async def sums(self, one: Sum[Any, Any, Any]) -> Mapping[RowKey, Amounts]: ...

    async def customer_keys(self, pseudonyms: Iterable[UUID]) -> Mapping[UUID, SealingKey]:
        """The keys of these customers, but for those that were destroyed."""
        ...

    async def moved_on(self, order_ids: Sequence[UUID]) -> set[UUID]:
        """Those of the orders about which the log, as it is now, has events newer than the evidence."""
        ...
