-- An order that has a SKU in several lines is in the index of the first of them only. In those of the later lines it was passed
-- over, which took the longer the more orders have a SKU twice. The new names tell a generation that it lacks these.
CREATE INDEX order_views_second_sku ON order_views ((skus[2]), created_at, order_id) WHERE skus[2] <> ALL (skus[:1]);
CREATE INDEX order_views_third_sku  ON order_views ((skus[3]), created_at, order_id) WHERE skus[3] <> ALL (skus[:2]);
CREATE INDEX order_views_fourth_sku ON order_views ((skus[4]), created_at, order_id) WHERE skus[4] <> ALL (skus[:3]);
DROP INDEX order_views_sku2, order_views_sku3, order_views_sku4;
