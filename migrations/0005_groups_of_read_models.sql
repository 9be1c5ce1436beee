-- The read models come in two groups, each with a reader of its own: `projector.orders` and `projector.stock`. Both start
-- where the one reader before them was, so that nothing is filled again, unless it was filled by other rules.
INSERT INTO checkpoints (reader, position, revision, updated_at)
SELECT 'projector.' || g.name, c.position, CASE WHEN c.revision = 'order_views:1 inventory_levels:1 '
                                                  || 'customer_summaries:1 product_demand:1 daily_sales:1'
                                                THEN g.revision ELSE c.revision END, c.updated_at
  FROM checkpoints c
 CROSS JOIN (VALUES ('orders', 'order_views:1 customer_summaries:1 product_demand:1 daily_sales:1'),
                    ('stock', 'inventory_levels:1')) AS g(name, revision)
 WHERE c.reader = 'projector';

DELETE FROM checkpoints WHERE reader = 'projector';

-- A batch is saved by one statement that is put together from what each read model declares. Without this function the
-- projector of an older release, should one still run, can save nothing.
DROP FUNCTION save_read_models;
