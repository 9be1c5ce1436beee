"""One order, its stock and its payment, told in events and commands; what the tests of the domain start from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from msgspec.structs import replace

from core.domain.inventory import (
    AdjustStock,
    InventoryReleased,
    InventoryReserved,
    InventoryShipped,
    ReceiveStock,
    ReleaseInventory,
    ReserveInventory,
    ReturnStock,
    ShipInventory,
    StockAdjusted,
    StockReplenished,
    StockReturned,
)
from core.domain.message import OrderId, PaymentId, ReservationId, Sku
from core.domain.order import (
    CARD,
    Address,
    CancelOrder,
    ConfirmOrder,
    CreateOrder,
    DeliverOrder,
    Item,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    OrderDelivered,
    OrderShipped,
    RefundOrder,
    RefundRequested,
    ShipOrder,
)
from core.domain.payment import (
    PAYMENT,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentFailed,
    PaymentRefunded,
    PaymentRefundFailed,
    PaymentVoided,
    RecordAuthorization,
    RecordCapture,
    RecordCaptureFailure,
    RecordDecline,
    RecordRefund,
    RecordRefundFailure,
    RecordVoid,
)
from core.domain.refunds import Returned

NOW = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)
ORDER_ID = OrderId(UUID("0195979f-3e40-7cc1-9d2e-000000000001"))
PAYMENT_ID = PaymentId(UUID("0195979f-3e40-5cc1-9d2e-000000000002"))
HELD = ReservationId(UUID("0195979f-3e40-5cc1-9d2e-000000000003"))
LAPTOP = Sku("LAPTOP-001")

# --- an order -----------------------------------------------------------------------------------------------
ITEMS = (
    Item(product_id="prod-1", sku=LAPTOP, quantity=2, unit_price=Decimal("999.99")),
    Item(product_id="prod-2", sku=Sku("SKU-007"), quantity=3, unit_price=Decimal("0.50")),
)
ADDRESS = Address(street="1 Market St", city="San Francisco", state="CA", zip="94105", country="US")

create = CreateOrder(
    now=NOW,
    order_id=ORDER_ID,
    customer_id="cust-1",
    order_number="ORD-0123456789",
    items=ITEMS,
    shipping_address=ADDRESS,
)
confirm = ConfirmOrder(now=NOW, order_id=ORDER_ID)
cancel = CancelOrder(now=NOW, order_id=ORDER_ID, reason="changed my mind")
ship = ShipOrder(now=NOW, order_id=ORDER_ID, tracking_number="1Z999", carrier="UPS")
ship_otherwise = ShipOrder(now=NOW, order_id=ORDER_ID, tracking_number="1Z000", carrier="UPS")
deliver = DeliverOrder(now=NOW, order_id=ORDER_ID)

created = OrderCreated(
    order_id=ORDER_ID,
    customer_id="cust-1",
    order_number="ORD-0123456789",
    items=ITEMS,
    total_amount=Decimal("2001.48"),
    currency="USD",
    shipping_address=ADDRESS,
    payment_method=CARD,
    created_at=NOW,
)
confirmed = OrderConfirmed(order_id=ORDER_ID, confirmed_at=NOW)
cancelled = OrderCancelled(order_id=ORDER_ID, reason="changed my mind", cancelled_at=NOW)
shipped = OrderShipped(order_id=ORDER_ID, tracking_number="1Z999", carrier="UPS", shipped_at=NOW)
delivered = OrderDelivered(order_id=ORDER_ID, delivered_at=NOW)

# --- stock of one SKU ---------------------------------------------------------------------------------------
receive = ReceiveStock(now=NOW, sku=LAPTOP, quantity=10, product_id="prod-1", name="Laptop")
adjust = AdjustStock(now=NOW, sku=LAPTOP, quantity=-3, reason="counted")
take_back = ReturnStock(now=NOW, sku=LAPTOP, order_id=ORDER_ID, refund_id="re-1", quantity=2)
reserve = ReserveInventory(now=NOW, sku=LAPTOP, reservation_id=HELD, order_id=ORDER_ID, quantity=4)
release = ReleaseInventory(now=NOW, sku=LAPTOP, reservation_id=HELD, order_id=ORDER_ID, reason="cancelled")
ship_stock = ShipInventory(now=NOW, sku=LAPTOP, reservation_id=HELD, order_id=ORDER_ID)

replenished = StockReplenished(sku=LAPTOP, quantity=10, product_id="prod-1", name="Laptop")
adjusted = StockAdjusted(sku=LAPTOP, quantity=-3, reason="counted")
taken_back = StockReturned(sku=LAPTOP, order_id=ORDER_ID, refund_id="re-1", quantity=2)
reserved = InventoryReserved(sku=LAPTOP, reservation_id=HELD, order_id=ORDER_ID, quantity=4)
released = InventoryReleased(sku=LAPTOP, reservation_id=HELD, order_id=ORDER_ID, quantity=4, reason="cancelled")
stock_shipped = InventoryShipped(sku=LAPTOP, reservation_id=HELD, order_id=ORDER_ID, quantity=4)

# --- a payment ----------------------------------------------------------------------------------------------
authorize = RecordAuthorization(
    now=NOW,
    payment_id=PAYMENT_ID,
    order_id=ORDER_ID,
    amount=Decimal("2001.48"),
    currency="USD",
    payment_method="card",
    authorization_code="auth-1",
)
decline = RecordDecline(now=NOW, payment_id=PAYMENT_ID, order_id=ORDER_ID, reason="card declined")
capture = RecordCapture(now=NOW, payment_id=PAYMENT_ID, order_id=ORDER_ID, transaction_id="tx-1")
void = RecordVoid(now=NOW, payment_id=PAYMENT_ID, order_id=ORDER_ID, reason="cancelled")
authorize_anew = replace(authorize, authorization_code="auth-2", expires_at=NOW + timedelta(days=7))
fail_capture = RecordCaptureFailure(now=NOW, payment_id=PAYMENT_ID, order_id=ORDER_ID, reason="authorisation expired")
fail_renewal = replace(fail_capture, reason="card declined", authorization=2)
refund = RecordRefund(now=NOW, payment_id=PAYMENT_ID, order_id=ORDER_ID, refund_id="re-1", reason="sent back")
refund_part = replace(refund, refund_id="re-2", amount=Decimal("0.48"))
fail_refund = RecordRefundFailure(
    now=NOW,
    payment_id=PAYMENT_ID,
    order_id=ORDER_ID,
    refund_id="re-3",
    amount=Decimal("1.00"),
    reason="card closed",
)

authorized = PaymentAuthorized(
    payment_id=PAYMENT_ID,
    order_id=ORDER_ID,
    amount=Decimal("2001.48"),
    currency="USD",
    payment_method="card",
    authorization_code="auth-1",
)
authorized_anew = replace(authorized, authorization_code="auth-2", expires_at=NOW + timedelta(days=7))
failed = PaymentFailed(payment_id=PAYMENT_ID, order_id=ORDER_ID, reason="card declined")
captured = PaymentCaptured(
    payment_id=PAYMENT_ID, order_id=ORDER_ID, amount=Decimal("2001.48"), currency="USD", transaction_id="tx-1"
)
capture_failed = PaymentCaptureFailed(
    payment_id=PAYMENT_ID,
    order_id=ORDER_ID,
    amount=Decimal("2001.48"),
    currency="USD",
    reason="authorisation expired",
)
voided = PaymentVoided(payment_id=PAYMENT_ID, order_id=ORDER_ID, reason="cancelled")
refunded = PaymentRefunded(
    payment_id=PAYMENT_ID,
    order_id=ORDER_ID,
    refund_id="re-1",
    amount=Decimal("2001.48"),
    currency="USD",
    reason="sent back",
)
part_refunded = replace(refunded, refund_id="re-2", amount=Decimal("0.48"))
rest_refunded = replace(refunded, amount=Decimal("2001.00"))
refund_failed = PaymentRefundFailed(
    payment_id=PAYMENT_ID,
    order_id=ORDER_ID,
    refund_id="re-3",
    amount=Decimal("1.00"),
    currency="USD",
    reason="card closed",
)

# --- a refund of the order ------------------------------------------------------------------------------------
refund_order = RefundOrder(
    now=NOW,
    order_id=ORDER_ID,
    refund_id="re-9",
    amount=Decimal("999.99"),
    reason="one laptop was broken",
    payment=PAYMENT.fold([authorized, captured]),
    restock=(Returned(sku=LAPTOP, quantity=1),),
)
refund_requested = RefundRequested(
    order_id=ORDER_ID,
    refund_id="re-9",
    amount=Decimal("999.99"),
    currency="USD",
    reason="one laptop was broken",
    restock=(Returned(sku=LAPTOP, quantity=1),),
    requested_at=NOW,
)
