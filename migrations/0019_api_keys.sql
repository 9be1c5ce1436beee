-- The keys with which callers show who they are. A key is od_<id>_<secret>; its secret stands nowhere, only a hash of it.
-- A caller may have two keys at a time, so that one can be replaced while both are in use: each has a slot while it is valid.
CREATE TABLE api_keys (
    id                text        NOT NULL PRIMARY KEY,
    caller            text        NOT NULL,
    role              text        NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    speaks_for_others boolean     NOT NULL DEFAULT false,  -- whether Orderdeck-Actor counts, or events name the caller
    routes            text[]      NOT NULL DEFAULT '{}',   -- all that it may ask for, as in GET /api/v1/orders*; none: all
    hash              bytea       NOT NULL,                -- SHA-256 of the whole key
    slot              smallint    CHECK (slot IN (1, 2)),
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by        text        NOT NULL,
    expires_at        timestamptz,
    last_used_at      timestamptz,                         -- to the minute
    revoked_at        timestamptz,
    revoked_by        text,
    UNIQUE (caller, slot),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL)),
    CHECK (revoked_at IS NULL OR slot IS NULL)
);

-- A key that is revoked stays so, and no key becomes more than it was made as.
CREATE FUNCTION keep_key_as_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'key % stays as it was made', OLD.id USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER keys_stay_as_made BEFORE UPDATE ON api_keys
    FOR EACH ROW WHEN (
        (OLD.id, OLD.caller, OLD.role, OLD.speaks_for_others, OLD.routes, OLD.hash, OLD.created_at, OLD.created_by)
            IS DISTINCT FROM
        (NEW.id, NEW.caller, NEW.role, NEW.speaks_for_others, NEW.routes, NEW.hash, NEW.created_at, NEW.created_by)
        OR (OLD.revoked_at IS NOT NULL AND (OLD.revoked_at, OLD.revoked_by) IS DISTINCT FROM (NEW.revoked_at, NEW.revoked_by))
        OR (OLD.expires_at IS NOT NULL AND (NEW.expires_at IS NULL OR NEW.expires_at > OLD.expires_at)))
    EXECUTE FUNCTION keep_key_as_made();

-- How often the keys were changed. Every process of the services looks at it twice a second, and then reads the keys anew.
CREATE TABLE api_key_changes (number bigint NOT NULL);
INSERT INTO api_key_changes VALUES (0);

CREATE FUNCTION count_key_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE api_key_changes SET number = number + 1;
    RETURN NULL;
END
$$;

CREATE TRIGGER keys_are_changed AFTER INSERT OR DELETE OR UPDATE OF expires_at, revoked_at ON api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION count_key_change();

GRANT SELECT, INSERT, UPDATE ON api_keys TO orderdeck_app;
GRANT SELECT, UPDATE ON api_key_changes TO orderdeck_app;
