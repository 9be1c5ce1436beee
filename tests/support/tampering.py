"""What can be wrong with the books: how to make it so, and which invariant it breaks."""

# ruff: noqa: E501 - a table reads better by rows
from __future__ import annotations

from decimal import Decimal

from core.domain.provider import Charge

SET = "UPDATE events SET"
OF = "WHERE stream_id = '{%s}' AND event_type = '%s'"


def at(stream: str, event_type: str) -> str:
    return OF % (stream, event_type)


ONE_KEY = """
INSERT INTO idempotency_keys VALUES ('s', 'k-1', '\\x00', 201, '{confirmed}', 99, 1, '{{}}', now())
"""
PAYLOAD = "UPDATE events SET payload = payload || "
WRONGS = {
    # --- I1, I2: the log itself ---
    "a kept answer points at no event": ("I1", ONE_KEY),
    "a kept answer is older than its event": ("I1", ONE_KEY.replace("99, 1,", "2, 1,")),
    "an event is there twice": ("I1", f"{SET} event_id = (SELECT event_id FROM events LIMIT 1) {at('short', 'OrderCancelled')}"),
    "two orders have one number": ("I1", f"{SET} payload = payload || (SELECT jsonb_build_object('order_number', payload -> 'order_number') FROM events {at('confirmed', 'OrderCreated')}) {at('short', 'OrderCreated')}"),
    "a position is missing": ("I2", f"{SET} position = position + 1000 {at('delivered', 'OrderDelivered')}"),
    "a version is missing": ("I2", f"{SET} version = version + 1 {at('delivered', 'OrderDelivered')}"),
    "time runs backwards": ("I2", f"{SET} recorded_at = now() - interval '1 day' {at('delivered', 'OrderDelivered')}"),
    "an event cannot be read": ("I2", f"{SET} event_type = 'OrderLost' {at('delivered', 'OrderDelivered')}"),
    "versions run against positions": ("I2", "; ".join(f"{SET} version = {now} WHERE stream_id = '{{delivered}}' AND version = {was}" for was, now in ((1, 9), (2, 1), (9, 2)))),
    # --- I3: the readers ---
    "a saga was never started": ("I3", "DELETE FROM events WHERE stream_id = '{shipped_settle_order}'"),
    "a saga was started for nothing": ("I3", f"DELETE FROM events {at('shipped', 'OrderShipped')}"),
    "a reader is beyond the head": ("I3", "UPDATE checkpoints SET position = 1000000 WHERE reader = 'projector.orders'"),
    # --- I4: money ---
    "a confirmed order's payment is another amount": (
        "I4", PAYLOAD + "'{{\"amount\": 1.00}}' " + at("confirmed_payment", "PaymentAuthorized"),
    ),
    "a cancelled order's payment was not voided": ("I4", f"DELETE FROM events {at('cancelled_payment', 'PaymentVoided')}"),
    "a shipped order's payment was not taken": ("I4", f"DELETE FROM events {at('shipped_payment', 'PaymentCaptured')}"),
    "a payment was voided that was never made": ("I4", f"{SET} event_type = 'PaymentVoided', payload = payload || '{{{{\"reason\": \"r\"}}}}' {at('confirmed_payment', 'PaymentAuthorized')}"),
    "a payment lies with another order": ("I2", PAYLOAD + "'{{\"order_id\": \"{short}\"}}' " + at("confirmed_payment", "PaymentAuthorized")),
    # --- I5: stock ---
    "less was released than held": ("I5", PAYLOAD + "'{{\"quantity\": 1}}' WHERE event_type = 'InventoryReleased' AND correlation_id = '{cancelled}'"),
    "a SKU was below nothing": ("I5", PAYLOAD + "'{{\"quantity\": 1}}' " + at("a", "StockReplenished")),
    "a shipped order still holds stock": ("I5", "DELETE FROM events WHERE event_type = 'InventoryShipped' AND correlation_id = '{shipped}'"),
    "a confirmed order holds none": ("I5", "DELETE FROM events WHERE event_type = 'InventoryReserved' AND correlation_id = '{confirmed}'"),
    "a reservation is another order's": ("I5", PAYLOAD + "'{{\"order_id\": \"{short}\"}}' WHERE event_type = 'InventoryReserved' AND correlation_id = '{confirmed}'"),
    # --- I6: ends ---
    "a cancelled order's saga is completed": ("I6", f"{SET} event_type = 'SagaCompleted' {at('declined_fulfil_order', 'SagaCompensated')}"),
    "a confirmed order's saga is compensated": ("I6", f"{SET} event_type = 'SagaCompensated' {at('confirmed_fulfil_order', 'SagaCompleted')}"),
    "a shipped order was never confirmed": ("I6", f"DELETE FROM events {at('shipped', 'OrderConfirmed')}"),
    "a failed saga does not say what is open": (
        "I6",
        f"{SET} event_type = 'SagaFailed', payload = payload || '{{{{\"reason\": \"r\"}}}}' {at('confirmed_fulfil_order', 'SagaCompleted')}",
    ),
    "an order was never created": ("I6", f"DELETE FROM events {at('confirmed', 'OrderCreated')}"),
    # --- I7: what was made of the log ---
    "a saga that nobody will ever claim": ("I7", "UPDATE sagas SET status = 'RUNNING', due_at = NULL WHERE saga_id = '{confirmed_fulfil_order}'"),
    "an order's row is old": ("I7", "UPDATE order_views SET document = replace(document, 'CONFIRMED', 'CREATED') WHERE order_id = '{confirmed}'"),
    "an order's columns are not its document": ("I7", "UPDATE order_views SET status = 'CREATED' WHERE order_id = '{confirmed}'"),
    "an order's row says that it is refunded": ("I7", "UPDATE order_views SET document = replace(document, 'CAPTURED', 'REFUNDED') WHERE order_id = '{shipped}'"),
    "an order's row has captured too much": ("I7", "UPDATE order_views SET document = replace(document, '\"captured_amount\":', '\"captured_amount\":9') WHERE order_id = '{shipped}'"),
    "an order is listed under another state of its payment": ("I7", "UPDATE order_views SET payment_status = 'VOIDED' WHERE order_id = '{shipped}'"),
    "an order's payment is at another version": ("I7", "UPDATE order_views SET payment_version = 7 WHERE order_id = '{shipped}'"),
    "an order's row is missing": ("I7", "DELETE FROM order_views WHERE order_id = '{confirmed}'"),
    "a row of an order that is not": ("I7", "UPDATE order_views SET order_id = gen_random_uuid() WHERE order_id = '{confirmed}'"),
    "a stock level is wrong": ("I7", "UPDATE inventory_levels SET reserved = reserved + 1 WHERE sku = 'A'"),
    "a stock level of nothing": ("I7", "INSERT INTO inventory_levels SELECT 'Z', null, null, 1, 0, 1, now(), 1"),
    "a customer was summed twice": ("I7", "UPDATE customer_summaries SET spent = spent * 2"),
    "the revenue of a SKU is wrong": ("I7", "UPDATE product_demand SET revenue = revenue + 0.01 WHERE sku = 'A'"),
    "the revenue of a day is wrong": ("I7", "UPDATE daily_sales SET revenue = revenue - 0.01"),
    "demand is missing": ("I7", "DELETE FROM product_demand WHERE sku = 'A'"),
    "a day's sales are wrong": ("I7", "UPDATE daily_sales SET cancelled = cancelled - 1"),
    "a saga's row says another end": ("I7", "UPDATE sagas SET status = 'FAILED' WHERE saga_id = '{confirmed_fulfil_order}'"),
    "a saga's row is missing": ("I7", "DELETE FROM sagas WHERE saga_id = '{confirmed_fulfil_order}'"),
    "a row of a saga that is not": ("I7", "UPDATE sagas SET saga_id = gen_random_uuid() WHERE saga_id = '{confirmed_fulfil_order}'"),
    # --- I8: leases ---
    "an older lease wrote after a newer one": ("I8", f"{SET} metadata = metadata || jsonb_build_object('epoch', CASE WHEN event_type = 'SagaCompleted' THEN 1 ELSE 2 END) WHERE stream_id = '{{confirmed_fulfil_order}}'"),
    "a row's epoch is older than its events'": (
        "I8", f"{SET} metadata = metadata || '{{{{\"epoch\": 7}}}}' WHERE stream_id = '{{confirmed_fulfil_order}}'",
    ),
}  # fmt: skip


LEDGERS: dict[str, tuple[str, Charge | None]] = {
    "nothing held for a confirmed order": ("confirmed", None),
    "a confirmed order's charge was voided": ("confirmed", Charge("", "VOIDED", Decimal("37.50"), Decimal(0), Decimal(0))),
    "another amount is held": ("confirmed", Charge("", "AUTHORISED", Decimal("37.49"), Decimal(0), Decimal(0))),
    "a cancelled order is still charged": ("cancelled", Charge("", "AUTHORISED", Decimal("50.00"), Decimal(0), Decimal(0))),
    "a declined order is charged": ("declined", Charge("", "AUTHORISED", Decimal("12.50"), Decimal(0), Decimal(0))),
    "an order out of stock is charged": ("short", Charge("", "CAPTURED", Decimal(1), Decimal(1), Decimal(0))),
    "less was taken": ("shipped", Charge("", "CAPTURED", Decimal("12.50"), Decimal("12.00"), Decimal(0))),
    "a part was given back": ("shipped", Charge("", "CAPTURED", Decimal("12.50"), Decimal("12.50"), Decimal(1))),
}  # fmt: skip
