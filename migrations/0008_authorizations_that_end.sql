-- Operators list the orders whose authorisation ends soon, and that are not shipped yet. The view of an order has that
-- moment in its document already; the column makes it quick to find.
ALTER TABLE order_views ADD payment_expires_at timestamptz;

UPDATE order_views SET payment_expires_at = (document::json ->> 'payment_expires_at')::timestamptz;

CREATE INDEX order_views_expiring ON order_views (payment_expires_at)
    WHERE status = 'CONFIRMED' AND payment_status = 'AUTHORIZED';
