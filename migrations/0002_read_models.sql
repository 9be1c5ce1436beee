-- The read models: derived from the log, safe to empty and fill again at any time.

-- `document` is the answer as it is given, ready to send; the other columns are what lists filter and sort by.
CREATE TABLE order_views (
    order_id        uuid          NOT NULL PRIMARY KEY,
    version         int           NOT NULL,
    customer_id     text          NOT NULL,
    order_number    text          NOT NULL,
    status          text          NOT NULL,
    total_amount    numeric(12,2) NOT NULL,
    skus            text[]        NOT NULL,
    tracking_number text,
    created_at      timestamptz   NOT NULL,
    updated_at      timestamptz   NOT NULL,
    document        text          NOT NULL
) WITH (fillfactor = 80);

-- Every list is newest first within its filter, and pages by (created_at, order_id).
CREATE INDEX order_views_created  ON order_views (created_at, order_id);
CREATE INDEX order_views_customer ON order_views (customer_id, created_at, order_id);
CREATE INDEX order_views_status   ON order_views (status, created_at, order_id);
CREATE INDEX order_views_total    ON order_views (total_amount, order_id);
CREATE INDEX order_views_number   ON order_views (order_number text_pattern_ops);
CREATE INDEX order_views_tracking ON order_views (tracking_number text_pattern_ops) WHERE tracking_number IS NOT NULL;
CREATE INDEX order_views_skus     ON order_views USING gin (skus);

CREATE TABLE inventory_levels (
    sku         text        NOT NULL PRIMARY KEY,
    product_id  text,
    name        text,
    on_hand     bigint      NOT NULL,
    reserved    bigint      NOT NULL,
    available   bigint      NOT NULL,
    updated_at  timestamptz NOT NULL,
    version     int         NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE customer_summaries (
    customer_id   text          NOT NULL,
    currency      text          NOT NULL,
    orders        bigint        NOT NULL,
    spent         numeric(20,2) NOT NULL,
    last_order_at timestamptz   NOT NULL,
    PRIMARY KEY (customer_id, currency)
) WITH (fillfactor = 70);

CREATE TABLE product_demand (
    sku           text          NOT NULL,
    currency      text          NOT NULL,
    units_ordered bigint        NOT NULL,
    units_live    bigint        NOT NULL,
    revenue       numeric(20,2) NOT NULL,
    PRIMARY KEY (sku, currency)
) WITH (fillfactor = 50);

CREATE TABLE daily_sales (
    day       date          NOT NULL,
    currency  text          NOT NULL,
    orders    bigint        NOT NULL,
    confirmed bigint        NOT NULL,
    cancelled bigint        NOT NULL,
    revenue   numeric(20,2) NOT NULL,
    PRIMARY KEY (day, currency)
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, UPDATE, TRUNCATE
   ON order_views, inventory_levels, customer_summaries, product_demand, daily_sales TO orderdeck_app;

-- Operators look for these first; there are few.
CREATE INDEX sagas_failed ON sagas (started_at, saga_id) WHERE status = 'FAILED';
