-- Operators list orders of one currency, since amounts of several cannot be compared, and orders that nothing has happened
-- to for long. An order's document has both already; the column and the index make them quick to find.
ALTER TABLE order_views ADD currency text;

UPDATE order_views SET currency = document::json ->> 'currency';

ALTER TABLE order_views ALTER COLUMN currency SET NOT NULL;

CREATE INDEX order_views_currency ON order_views (currency);

-- Few of the pairs of a status and a payment's status occur; without these statistics the planner takes them to be
-- independent, and guesses wrongly how many orders there are.
CREATE STATISTICS order_views_statuses (mcv) ON status, payment_status FROM order_views;

CREATE INDEX order_views_updated ON order_views (updated_at, order_id);
