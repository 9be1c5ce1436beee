-- A page of the orders in a range of totals is merged from the buckets of the range, each of which has its orders in the order of
-- lists: so it takes no longer when many orders are in the range.

-- Of the first two bytes of a number as IEEE 754 stores it (binary32), the last two bits are left out: what remains is its exponent
-- and five bits of its fraction. So there are 32 buckets from an amount to twice that amount, and a larger amount is never in a
-- lower bucket. Times 0.7, since no bucket is to begin with a round amount: a range that ends there would have little of it.
CREATE FUNCTION bucket_of_total(total numeric) RETURNS int
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (get_byte(float4send((total * 0.7)::float4), 0) * 256 + get_byte(float4send((total * 0.7)::float4), 1)) / 4;

CREATE INDEX order_views_bucket ON order_views (bucket_of_total(total_amount), created_at, order_id) INCLUDE (total_amount);
