"""What the stored samples in tests/data/golden must decode to, for ever: edit neither a sample nor its object here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from core.domain import inventory, order, payment, reader, refunds, saga, sealed_customer
from core.domain.message import Event, OrderId, PaymentId, ReservationId, SagaId, Sku, StreamId
from core.domain.payment_method import PaymentMethod

WHOLE = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
MICRO = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)
LATER = datetime(2026, 3, 14, 15, 14, 26, 500000, tzinfo=UTC)
ORDER = OrderId(UUID("0195979f-3e40-7cc1-9d2e-1a2b3c4d5e6f"))
PAYMENT = PaymentId(UUID("4f943e19-aad3-5415-81a0-370e65634916"))
HELD = ReservationId(UUID("a8f76ebb-e0a6-5829-88b5-2a7a18bd79de"))
SAGA = SagaId(UUID("13a2091d-9a48-53b0-8807-c4d1bc274d2b"))
LAPTOP = Sku("LAPTOP-001")
AMOUNT = Decimal("9999999999.90")

PINNED: tuple[Event, ...] = (
    order.OrderCreated(
        order_id=ORDER,
        customer_id='Zoë "Z" O\'Brien 東京',
        order_number="ORD-KQJTNAQE93",
        items=(order.Item(product_id="prod-1", sku=LAPTOP, quantity=2, unit_price=Decimal("1999.90")),),
        total_amount=Decimal("3999.80"),
        currency="HKD",
        shipping_address=order.Address(street="8 Finance Street", city="Central", country="HK"),
        payment_method=PaymentMethod(type="test_card", label="Visa ending in 4242"),
        created_at=MICRO,
    ),
    order.OrderConfirmed(order_id=ORDER, confirmed_at=WHOLE),
    order.OrderCancelled(order_id=ORDER, reason="changed my mind 🙃", cancelled_at=MICRO),
    order.OrderShipped(order_id=ORDER, tracking_number="1Z 999/AA1", carrier="UPS", shipped_at=LATER),
    order.OrderDelivered(order_id=ORDER, delivered_at=WHOLE),
    order.RefundRequested(
        order_id=ORDER,
        refund_id="1f0a3c52-6f0e-5c1b-9a83-2f6d3a1f7c11",
        amount=AMOUNT,
        currency="USD",
        reason="one of two was broken",
        restock=(refunds.Returned(sku=LAPTOP, quantity=1),),
        requested_at=MICRO,
    ),
    inventory.StockReplenished(sku=LAPTOP, quantity=1_000_000_000, product_id="prod-1", name="Laptop 14″"),
    inventory.StockAdjusted(sku=LAPTOP, quantity=-3, reason="counted: 3 fell off the shelf"),
    inventory.StockReturned(sku=LAPTOP, order_id=ORDER, refund_id="re_77", quantity=2),
    inventory.InventoryReserved(sku=LAPTOP, reservation_id=HELD, order_id=ORDER, quantity=2),
    inventory.InventoryReservationFailed(sku=LAPTOP, order_id=ORDER, requested=2, available=1, reason="out of stock"),
    inventory.InventoryReleased(sku=LAPTOP, reservation_id=HELD, order_id=ORDER, quantity=2, reason="payment declined"),
    inventory.InventoryShipped(sku=LAPTOP, reservation_id=HELD, order_id=ORDER, quantity=2),
    payment.PaymentAuthorized(
        payment_id=PAYMENT,
        order_id=ORDER,
        amount=AMOUNT,
        currency="USD",
        payment_method="test_card",
        authorization_code="auth_8f2c",
    ),
    payment.PaymentFailed(payment_id=PAYMENT, order_id=ORDER, reason="card declined"),
    payment.PaymentCaptured(
        payment_id=PAYMENT, order_id=ORDER, amount=AMOUNT, currency="USD", transaction_id="tx_11ab"
    ),
    payment.PaymentCaptureFailed(
        payment_id=PAYMENT, order_id=ORDER, amount=AMOUNT, currency="USD", reason="the authorisation has expired"
    ),
    payment.PaymentVoided(payment_id=PAYMENT, order_id=ORDER, reason="order cancelled"),
    payment.PaymentRefunded(
        payment_id=PAYMENT, order_id=ORDER, refund_id="re_77", amount=AMOUNT, currency="USD", reason="sent back"
    ),
    payment.PaymentRefundFailed(
        payment_id=PAYMENT, order_id=ORDER, refund_id="re_78", amount=AMOUNT, currency="USD", reason="card closed"
    ),
    saga.SagaStarted(saga_id=SAGA, name="fulfil_order", definition=1, order_id=ORDER, deadline=LATER),
    saga.SagaStepStarted(
        saga_id=SAGA, step="authorize_payment", direction="forward", attempt=1, key=f"{PAYMENT}:authorise"
    ),
    saga.SagaStepCompleted(saga_id=SAGA, step="authorize_payment", result="auth_8f2c"),
    saga.SagaStepFailed(
        saga_id=SAGA, step="authorize_payment", attempt=2, error="503 from the provider", final=False, retry_at=LATER
    ),
    saga.SagaCompensationStarted(saga_id=SAGA, reason="card declined"),
    saga.SagaStepCompensated(saga_id=SAGA, step="reserve_inventory"),
    saga.SagaCompensationFailed(
        saga_id=SAGA, step="authorize_payment", attempt=10, error="503 from the provider", final=True
    ),
    saga.SagaCompleted(saga_id=SAGA),
    saga.SagaCompensated(saga_id=SAGA),
    saga.SagaFailed(
        saga_id=SAGA, reason="void_payment gave up", open_items=("authorised USD 20.00", "2 x LAPTOP-001 held")
    ),
    saga.SagaRetried(saga_id=SAGA, reason="the provider is back", by="ada", step="authorize_payment"),
    saga.SagaStepSkipped(saga_id=SAGA, reason="voided by phone", by="ada", step="authorize_payment"),
    saga.SagaCompensationRequested(saga_id=SAGA, reason="fraud", by="ada"),
    saga.SagaResolved(saga_id=SAGA, reason="refunded by hand", by="ada"),
    reader.DeadLetterRetried(
        reader="projector.orders",
        by="ada",
        reason="the release that knows it runs",
        event_id=UUID("0195979f-3e40-7cc1-9d2e-000000000007"),
        event_type="OrderLent",
        stream=StreamId(ORDER),
        version=3,
        position=4711,
    ),
    reader.DeadLetterSkipped(
        reader="projector.stock",
        by="ada",
        reason="a test of the night shift 🙃",
        event_id=UUID("0195979f-3e40-7cc1-9d2e-000000000008"),
        event_type="StockAdjusted",
        stream=StreamId(UUID("9747737d-b2fd-5ef3-9f8d-5694ec29c097")),
        version=9,
        position=4712,
    ),
    reader.RebuildStarted(reader="projector.orders", by="ada", reason="the sums of Tuesday are wrong"),
    reader.RebuildCancelled(reader="projector.orders", by="ada", reason="the shop is busy 🙃"),
    reader.RebuildSwitchedBack(reader="projector.orders", by="ada", reason="the new release goes"),
    reader.OldReadModelsDropped(reader="projector.orders", by="ada", reason="the disk is nearly full"),
    sealed_customer.CustomerErased(
        customer=UUID("0b0ad0f8-7d6c-4c35-9a3a-1f0a5a4fc5f4"), by="ada", reason="the customer asked for it"
    ),
)

OLDER: Mapping[str, Sequence[Event]] = {
    "OrderCreated.v1.json": [
        order.OrderCreated(
            order_id=ORDER,
            customer_id='Zoë "Z" O\'Brien 東京',
            order_number="ORD-KQJTNAQE93",
            items=(
                order.Item(product_id="prod-1", sku=LAPTOP, quantity=2, unit_price=Decimal("1999.90")),
                order.Item(
                    product_id="prod/2 \\ b", sku=Sku("SKU-007"), quantity=1_000_000, unit_price=Decimal("0.01")
                ),
            ),
            total_amount=Decimal("13999.80"),
            currency="USD",
            shipping_address=order.Address(
                street="1 Märkt St", city="San Francisco", state="CA", zip="94105", country="US"
            ),
            payment_method=PaymentMethod(type="test_card"),
            created_at=MICRO,
        ),
    ],
}
"""What the samples of schema versions that are no longer recorded must decode to, by the names of their files."""
