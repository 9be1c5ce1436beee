-- A page of the orders in a range of totals is sorted by their time, and the index has it: so those that fit are sorted without
-- reading each of their rows.
DROP INDEX order_views_total;
CREATE INDEX order_views_total ON order_views (total_amount, order_id) INCLUDE (created_at);
