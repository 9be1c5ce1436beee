"""Inventory: how much of one SKU is in stock, and how much of it is held for which orders. Stock is never negative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from core.domain.decider import Decider, SnapshotForm
from core.domain.held import Held
from core.domain.message import Command, Event, OrderId, ReservationId, Sku
from core.domain.validation import Fields, wrong_word
from core.errors import NotAllowed, NotFound

LONGEST_SKU = 64
MAX_RECEIPT = 1_000_000_000
LONGEST_REASON = 500
MAX_STOCK = 1_000_000_000_000
UNKNOWN_SKU = "unknown SKU"
OUT_OF_STOCK = "out of stock"


# --- events: these names and fields are the storage format --------------------------------------------------
class InventoryEvent(Event, frozen=True, kw_only=True):
    sku: Sku


class StockReplenished(InventoryEvent, tag="StockReplenished", frozen=True, kw_only=True):
    quantity: int
    product_id: str | None = None
    name: str | None = None


class StockAdjusted(InventoryEvent, tag="StockAdjusted", frozen=True, kw_only=True):
    """Somebody counted: `quantity` more units are there than the log said, or fewer if it is negative."""

    quantity: int
    reason: str


class StockReturned(InventoryEvent, tag="StockReturned", frozen=True, kw_only=True):
    order_id: OrderId
    refund_id: str
    quantity: int


class InventoryReserved(InventoryEvent, tag="InventoryReserved", frozen=True, kw_only=True):
    reservation_id: ReservationId
    order_id: OrderId
    quantity: int


class InventoryReservationFailed(InventoryEvent, tag="InventoryReservationFailed", frozen=True, kw_only=True):
    order_id: OrderId
    requested: int
    available: int
    reason: str


class InventoryReleased(InventoryEvent, tag="InventoryReleased", frozen=True, kw_only=True):
    reservation_id: ReservationId
    order_id: OrderId
    quantity: int
    reason: str


class InventoryShipped(InventoryEvent, tag="InventoryShipped", frozen=True, kw_only=True):
    reservation_id: ReservationId
    order_id: OrderId
    quantity: int


EVENTS: tuple[type[InventoryEvent], ...] = (
    StockReplenished,
    StockAdjusted,
    StockReturned,
    InventoryReserved,
    InventoryReservationFailed,
    InventoryReleased,
    InventoryShipped,
)
OF_NO_ORDER: tuple[type[InventoryEvent], ...] = (StockReplenished, StockAdjusted)


# --- commands -----------------------------------------------------------------------------------------------
class InventoryCommand(Command, frozen=True, kw_only=True):
    sku: Sku


class ReceiveStock(InventoryCommand, frozen=True, kw_only=True):
    quantity: int
    product_id: str | None = None
    name: str | None = None


class AdjustStock(InventoryCommand, frozen=True, kw_only=True):
    quantity: int
    reason: str


class ReturnStock(InventoryCommand, frozen=True, kw_only=True):
    order_id: OrderId
    refund_id: str
    quantity: int


class ReserveInventory(InventoryCommand, frozen=True, kw_only=True):
    reservation_id: ReservationId
    order_id: OrderId
    quantity: int


class ReleaseInventory(InventoryCommand, frozen=True, kw_only=True):
    reservation_id: ReservationId
    order_id: OrderId
    reason: str


class ShipInventory(InventoryCommand, frozen=True, kw_only=True):
    reservation_id: ReservationId
    order_id: OrderId


# --- state: it has only open reservations, so it stays small however long the stream grows -------------------
class Stock(Struct, frozen=True, kw_only=True):
    known: bool = False
    available: int = 0
    held: Held = field(default_factory=Held)


def evolve(stock: Stock, event: InventoryEvent) -> Stock:
    match event:
        case StockReplenished(quantity=quantity):
            return replace(stock, known=True, available=stock.available + quantity)
        case StockAdjusted(quantity=quantity) | StockReturned(quantity=quantity):
            return replace(stock, available=stock.available + quantity)
        case InventoryReserved(reservation_id=id_, quantity=quantity):
            return replace(stock, available=stock.available - quantity, held=stock.held.having(id_, quantity))
        case InventoryReleased(reservation_id=id_, quantity=quantity):
            return replace(stock, available=stock.available + quantity, held=stock.held.without(id_))
        case InventoryShipped(reservation_id=id_):
            return replace(stock, held=stock.held.without(id_))
        case _:
            return stock


# --- snapshot: it is needed because a SKU's stream grows as long as the SKU is sold -------------------------
class StockSnapshot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    known: bool
    available: Annotated[int, Meta(ge=0)]
    held: dict[ReservationId, Annotated[int, Meta(gt=0)]]


def save(stock: Stock) -> StockSnapshot:
    return StockSnapshot(known=stock.known, available=stock.available, held=stock.held.plain())


def restore(kept: StockSnapshot) -> Stock:
    return Stock(known=kept.known, available=kept.available, held=Held(kept.held))


# --- decisions: a command that is repeated records nothing the second time -----------------------------------
def decide(command: InventoryCommand, stock: Stock) -> Sequence[InventoryEvent]:
    match command:
        case ReceiveStock():
            return [_receive(command, stock)]
        case AdjustStock():
            return [_adjust(command, stock)]
        case ReturnStock(quantity=quantity) if quantity < 1:
            raise NotAllowed("cannot take back less than 1")
        case ReturnStock(sku=sku, order_id=order_id, refund_id=refund_id, quantity=quantity):
            return [StockReturned(sku=sku, order_id=order_id, refund_id=refund_id, quantity=quantity)]
        case ReserveInventory(quantity=quantity) if quantity < 1:
            raise NotAllowed("cannot reserve less than 1")  # a negative quantity would add to the stock
        case ReserveInventory(sku=sku, reservation_id=id_, order_id=order_id, quantity=quantity):
            if id_ in stock.held:
                return []
            if quantity <= stock.available:
                return [InventoryReserved(sku=sku, reservation_id=id_, order_id=order_id, quantity=quantity)]
            reason = OUT_OF_STOCK if stock.known else UNKNOWN_SKU
            return [
                InventoryReservationFailed(
                    sku=sku, order_id=order_id, requested=quantity, available=stock.available, reason=reason
                )
            ]
        case ReleaseInventory(sku=sku, reservation_id=id_, order_id=order_id, reason=reason) if id_ in stock.held:
            quantity = stock.held[id_]
            return [InventoryReleased(sku=sku, reservation_id=id_, order_id=order_id, quantity=quantity, reason=reason)]
        case ShipInventory(sku=sku, reservation_id=id_, order_id=order_id) if id_ in stock.held:
            return [InventoryShipped(sku=sku, reservation_id=id_, order_id=order_id, quantity=stock.held[id_])]
        case _:
            return []  # it was released or shipped before, or never held


def wrong_sku(sku: str) -> str | None:
    """What is wrong with a SKU, or None. It has letters and digits of any script, and . _ : - after the first one."""
    return wrong_word(sku, LONGEST_SKU, "._:-", _WANTED_SKU)


_WANTED_SKU = f"1 to {LONGEST_SKU} letters, digits, or . _ : - (the first one a letter or digit)"


def _receive(c: ReceiveStock, stock: Stock) -> StockReplenished:
    fields = Fields()
    fields.check("sku", wrong_sku(c.sku))
    if not 1 <= c.quantity <= MAX_RECEIPT:
        fields.check("quantity", f"must be 1 to {MAX_RECEIPT}")
    if c.product_id is not None:
        fields.text("product_id", c.product_id, 100)
    if c.name is not None:
        fields.text("name", c.name, 200)
    fields.done()
    if stock.available + sum(stock.held.values()) + c.quantity > MAX_STOCK:
        raise NotAllowed(f"SKU {c.sku} would hold more than {MAX_STOCK}")
    return StockReplenished(sku=c.sku, quantity=c.quantity, product_id=c.product_id, name=c.name)


def _adjust(c: AdjustStock, stock: Stock) -> StockAdjusted:
    fields = Fields()
    fields.check("sku", wrong_sku(c.sku))
    if not 1 <= abs(c.quantity) <= MAX_RECEIPT:
        fields.check("quantity", f"must be -{MAX_RECEIPT} to {MAX_RECEIPT}, and not 0")
    fields.text("reason", c.reason, LONGEST_REASON)
    fields.done()
    if not stock.known:
        raise NotFound("SKU", c.sku)
    held = sum(stock.held.values())
    if stock.available + c.quantity < 0:
        there = f"{stock.available} are available" + (f" and {held} reserved" if held else "")
        raise NotAllowed(f"cannot take {-c.quantity} off the stock of {c.sku}: {there}")
    if stock.available + held + c.quantity > MAX_STOCK:
        raise NotAllowed(f"SKU {c.sku} would hold more than {MAX_STOCK}")
    return StockAdjusted(sku=c.sku, quantity=c.quantity, reason=c.reason)


INVENTORY = Decider(
    category="inventory",
    initial=Stock(),
    decide=decide,
    evolve=evolve,
    snapshot=SnapshotForm(StockSnapshot, save, restore, revision=2),
)
