"""Shelf: the events of one SKU, folded one by one. It notes each event that cannot have happened there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from core.audit.case import NO_SKIPS, Skips, of_a_newer_release
from core.codec import StoredEvent, decode
from core.domain.inventory import (
    INVENTORY,
    InventoryEvent,
    InventoryReleased,
    InventoryReservationFailed,
    InventoryReserved,
    InventoryShipped,
    StockAdjusted,
    StockReplenished,
    StockReturned,
)
from core.domain.message import ReservationId, Sku, inventory_stream, reservation_of
from core.ports.evidence import Finding
from core.ports.snapshots import Snapshot
from core.projections.inventory_level import INVENTORY_LEVEL, STOCK_EVENTS, InventoryLevel
from core.projections.projection import At
from core.services.snapshots import decode as decode_snapshot
from core.services.snapshots import schema_hash


class Shelf:
    """Everything that the log says about one SKU.

    `level` is the SKU's view as a reader at position `seen_to` must have it at least. `unknown` names the events
    for which `verify` has no rule. From the first event on that a newer release has recorded (`newer`), nothing is
    found wrong any more.
    """

    def __init__(
        self,
        first: StoredEvent,
        seen_to: int,
        snapshot: Snapshot | None,
        skips: Skips = NO_SKIPS,
    ) -> None:
        self._skips = skips
        self.stream = first.stream
        self._snapshot = snapshot if snapshot and snapshot.schema_hash == schema_hash(INVENTORY) else None
        self.level: InventoryLevel | None = None
        self.sku: str | None = None
        self._later: list[tuple[StoredEvent, Sequence[InventoryEvent]]] = []
        self.findings: list[Finding] = []
        self.unknown: set[str] = set()
        self.newer = False
        self._seen_to = seen_to
        self._state = INVENTORY.initial
        self._held: dict[ReservationId, int] = {}
        self._received = self._adjusted = self._returned = self._shipped = 0

    def fold(self, stored: StoredEvent) -> None:
        try:
            events = decode(stored.event_type, stored.schema_version, stored.payload)
        except Exception as error:  # noqa: BLE001 - it is noted, and the other events are judged without it
            if stored.newer:
                self.newer = True
                self.unknown.add(of_a_newer_release(stored))
            elif not self._skips.has(stored.event_id):
                self._note("I2", stored, f"{stored.event_type} cannot be read: {error}")
            self._fold_level(stored, ())
            return
        ours = [each for each in events if isinstance(each, InventoryEvent)]
        if len(ours) < len(events) or any(inventory_stream(each.sku) != stored.stream for each in ours):
            self._note("I2", stored, f"{stored.event_type} lies in a SKU's stream that is not its own")
            return
        for event in ours if stored.event_id not in self._skips.of_decisions else ():
            self._fold_stock(stored, event)
        if (
            self._snapshot is not None
            and self._snapshot.version == stored.version
            and not self._agrees_with(self._snapshot)
        ):
            self._note("I7", stored, f"the snapshot of {ours[-1].sku} is not what the log gives")
        if self._state.available < 0:
            self._note("I5", stored, f"{ours[-1].sku} is at {self._state.available}")
        self._fold_level(stored, ours)

    def _fold_stock(self, stored: StoredEvent, event: InventoryEvent) -> None:
        match event:
            case StockReplenished(quantity=quantity):
                self._received += quantity
            case StockAdjusted(quantity=quantity):
                self._adjusted += quantity
            case StockReturned(quantity=quantity):
                self._returned += quantity
            case InventoryReserved(reservation_id=id_, order_id=order_id, quantity=quantity, sku=sku):
                if id_ in self._held:
                    self._note("I5", stored, f"{sku} was reserved twice for order {order_id}")
                if id_ != reservation_of(order_id, sku):
                    self._note("I5", stored, f"a reservation of {sku} that is not order {order_id}'s")
                self._held[id_] = quantity
            case InventoryReleased(reservation_id=id_, order_id=order_id, quantity=quantity, sku=sku):
                if self._held.pop(id_, None) != quantity:
                    self._note("I5", stored, f"{quantity} of {sku} released for order {order_id}, which were not held")
            case InventoryShipped(reservation_id=id_, order_id=order_id, quantity=quantity, sku=sku):
                self._shipped += quantity
                if self._held.pop(id_, None) != quantity:
                    self._note("I5", stored, f"{quantity} of {sku} shipped for order {order_id}, which were not held")
            case InventoryReservationFailed():
                pass
            case _:
                self.unknown.add(f"event {stored.event_type}")
        self._state = INVENTORY.evolve(self._state, event)

    def _fold_level(self, stored: StoredEvent, events: Sequence[InventoryEvent]) -> None:
        self.sku = events[-1].sku if events else self.sku
        events = () if stored.event_id in self._skips.of_view else events
        if stored.position <= self._seen_to:
            self.level = INVENTORY_LEVEL.apply(STOCK_EVENTS, self.level, events, At(stored.version, stored.recorded_at))
        else:
            self._later.append((stored, events))

    def go_on_to(self, row: InventoryLevel | None) -> None:
        """Bring the level to the row's version, since partitions of Kafka may be read further than `seen_to`."""
        for stored, events in self._later:
            if row is not None and stored.version <= row.version:
                at = At(stored.version, stored.recorded_at)
                self.level = INVENTORY_LEVEL.apply(STOCK_EVENTS, self.level, events, at)

    def _agrees_with(self, snapshot: Snapshot) -> bool:
        try:
            return INVENTORY.snapshot is None or decode_snapshot(INVENTORY.snapshot, snapshot.state) == self._state
        except msgspec.MsgspecError:
            return True  # nobody uses a snapshot that cannot be read, and it is replaced

    def sku_among(self, skus: Iterable[str]) -> str | None:
        """The SKU. If a newer release has recorded all that there is of it, it is the one whose stream this is."""
        if self.sku is not None or not self.newer:
            return self.sku
        return next((each for each in skus if inventory_stream(Sku(each)) == self.stream), None)

    def close(self) -> Sequence[Finding]:
        held = sum(self._held.values())
        if (
            not self.newer
            and self._received + self._adjusted + self._returned != self._state.available + held + self._shipped
        ):
            came = f"received {self._received}, adjusted by {self._adjusted}, returned {self._returned}"
            what = f"{came}, but {self._state.available} + {held} held + {self._shipped} shipped"
            self.findings.append(Finding("I5", what, self.stream))
        return self.findings

    def _note(self, invariant: str, stored: StoredEvent, what: str) -> None:
        if not self.newer:
            self.findings.append(Finding(invariant, what, stored.stream, stored.position))
