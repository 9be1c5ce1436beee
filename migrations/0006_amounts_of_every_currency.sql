-- Amounts have as many decimals as their currency: none in JPY, two in USD, three in KWD. Without a scale, each number keeps
-- the decimals that it is saved with. The rows that are there keep their two.
ALTER TABLE order_views        ALTER COLUMN total_amount TYPE numeric;
ALTER TABLE customer_summaries ALTER COLUMN spent        TYPE numeric;
ALTER TABLE product_demand     ALTER COLUMN revenue      TYPE numeric;
ALTER TABLE daily_sales        ALTER COLUMN revenue      TYPE numeric;
