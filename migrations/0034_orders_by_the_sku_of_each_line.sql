-- A page of the orders with a SKU is read from where it begins to where it ends, however many orders have the SKU: those with
-- it in the first line, in the second and so on have an index each. Few orders have more than four lines; these are read in
-- the order of the list, as far as the page reaches. The index of all SKUs of an order stays, to count and to look up.
CREATE INDEX order_views_sku1 ON order_views ((skus[1]), created_at, order_id);
CREATE INDEX order_views_sku2 ON order_views ((skus[2]), created_at, order_id) WHERE skus[2] IS NOT NULL;
CREATE INDEX order_views_sku3 ON order_views ((skus[3]), created_at, order_id) WHERE skus[3] IS NOT NULL;
CREATE INDEX order_views_sku4 ON order_views ((skus[4]), created_at, order_id) WHERE skus[4] IS NOT NULL;
CREATE INDEX order_views_long ON order_views (created_at, order_id) WHERE skus[5] IS NOT NULL;
