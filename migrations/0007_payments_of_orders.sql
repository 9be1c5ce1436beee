-- An order's view shows the state of its payment, and all sums count what was captured and not refunded. The tables are
-- emptied here, so that no row without a payment is answered; the projector fills them again from the log.
TRUNCATE order_views, customer_summaries, product_demand, daily_sales;

ALTER TABLE order_views
    ADD payment_status  text NOT NULL,
    ADD payment_version int  NOT NULL;

CREATE INDEX order_views_payment ON order_views (payment_status, created_at, order_id);
