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

-- Save a batch: p_reader goes from one position to another, and everything the events between changed goes with it.
-- One statement, so that the server works on it while the projector folds the next batch. Other arguments are columns:
-- order documents, l_ stock levels, c_ customer summaries, p_ product demand, d_ daily sales.
-- False, and nothing is saved, when the reader is not where it is said to be: a second projector, or one that was
-- frozen and woke up. The row stays locked until the commit, so only one of two can pass.
CREATE FUNCTION save_read_models(
    reader_name text, from_position bigint, to_position bigint, documents text[],
    l_sku text[], l_product_id text[], l_name text[], l_on_hand bigint[], l_reserved bigint[], l_available bigint[],
    l_updated_at timestamptz[], l_version int[],
    c_customer_id text[], c_currency text[], c_orders bigint[], c_spent numeric[], c_last_order_at timestamptz[],
    p_sku text[], p_currency text[], p_units_ordered bigint[], p_units_live bigint[], p_revenue numeric[],
    d_day date[], d_currency text[], d_orders bigint[], d_confirmed bigint[], d_cancelled bigint[], d_revenue numeric[]
) RETURNS boolean
LANGUAGE plpgsql
SET search_path = public, pg_temp
AS $$
BEGIN
    UPDATE checkpoints SET position = to_position, updated_at = clock_timestamp()
     WHERE reader = reader_name AND position = from_position;
    IF NOT FOUND THEN
        RETURN false;
    END IF;

    -- Views: a whole new row.
    INSERT INTO order_views (order_id, version, customer_id, order_number, status, total_amount, skus,
                             tracking_number, created_at, updated_at, document)
    SELECT d.order_id, d.version, d.customer_id, d.order_number, d.status, d.total_amount,
           ARRAY (SELECT i ->> 'sku' FROM json_array_elements(d.items) AS i),
           d.tracking_number, d.created_at, d.updated_at, doc
      FROM unnest(documents) AS doc
     CROSS JOIN json_to_record(doc::json)
        AS d(order_id uuid, version int, customer_id text, order_number text, status text, total_amount numeric,
             items json, tracking_number text, created_at timestamptz, updated_at timestamptz)
        ON CONFLICT (order_id) DO UPDATE SET
           version = excluded.version, status = excluded.status, tracking_number = excluded.tracking_number,
           updated_at = excluded.updated_at, document = excluded.document;

    INSERT INTO inventory_levels (sku, product_id, name, on_hand, reserved, available, updated_at, version)
    SELECT * FROM unnest(l_sku, l_product_id, l_name, l_on_hand, l_reserved, l_available, l_updated_at, l_version)
        ON CONFLICT (sku) DO UPDATE SET
           product_id = excluded.product_id, name = excluded.name, on_hand = excluded.on_hand,
           reserved = excluded.reserved, available = excluded.available, updated_at = excluded.updated_at,
           version = excluded.version;

    -- Sums: amounts to add. Last, in one order of tables and keys: rows that several readers touch are held shortest,
    -- and nobody waits for someone who waits for him.
    INSERT INTO customer_summaries AS t (customer_id, currency, orders, spent, last_order_at)
    SELECT * FROM unnest(c_customer_id, c_currency, c_orders, c_spent, c_last_order_at)
        ON CONFLICT (customer_id, currency) DO UPDATE SET
           orders = t.orders + excluded.orders, spent = t.spent + excluded.spent,
           last_order_at = greatest(t.last_order_at, excluded.last_order_at);

    INSERT INTO daily_sales AS t (day, currency, orders, confirmed, cancelled, revenue)
    SELECT * FROM unnest(d_day, d_currency, d_orders, d_confirmed, d_cancelled, d_revenue)
        ON CONFLICT (day, currency) DO UPDATE SET
           orders = t.orders + excluded.orders, confirmed = t.confirmed + excluded.confirmed,
           cancelled = t.cancelled + excluded.cancelled, revenue = t.revenue + excluded.revenue;

    INSERT INTO product_demand AS t (sku, currency, units_ordered, units_live, revenue)
    SELECT * FROM unnest(p_sku, p_currency, p_units_ordered, p_units_live, p_revenue)
        ON CONFLICT (sku, currency) DO UPDATE SET
           units_ordered = t.units_ordered + excluded.units_ordered, units_live = t.units_live + excluded.units_live,
           revenue = t.revenue + excluded.revenue;

    PERFORM pg_notify('views', to_position::text);
    RETURN true;
END $$;

REVOKE ALL ON FUNCTION save_read_models FROM PUBLIC;
GRANT EXECUTE ON FUNCTION save_read_models TO orderdeck_app;
