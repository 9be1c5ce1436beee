-- The keys with which customers' names and addresses are sealed, one for each customer. Without a customer's key nobody can
-- read what is sealed of that customer in any other table, in a topic or in a backup; so a backup may leave this table out.
-- An erased customer keeps the pseudonym, by which the log names the customer, and nothing that leads to it.
CREATE TABLE customer_keys (
    pseudonym  uuid        NOT NULL PRIMARY KEY,
    lookup     bytea       UNIQUE,                 -- SHA-256 of the customer's own reference
    key        bytea,                              -- of AES-256-GCM
    reference  bytea,                              -- the customer's own reference, sealed
    made_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    erased_at  timestamptz,
    CHECK (num_nonnulls(lookup, key, reference) = CASE WHEN erased_at IS NULL THEN 3 ELSE 0 END)
);

-- An erased customer gets no key again.
CREATE FUNCTION keep_customer_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'customer % is erased', OLD.pseudonym USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER customers_stay_erased BEFORE UPDATE ON customer_keys
    FOR EACH ROW WHEN (OLD.erased_at IS NOT NULL) EXECUTE FUNCTION keep_customer_erased();

GRANT SELECT, INSERT, UPDATE ON customer_keys TO orderdeck_app;
