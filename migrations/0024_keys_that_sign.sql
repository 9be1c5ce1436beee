-- A key may have a public key (Ed25519) in the place of a secret: its caller signs each request (RFC 9421), and nobody who
-- reads this database, or a request on its way, can make another one.
ALTER TABLE api_keys
    ADD COLUMN public_key text CHECK (length(public_key) <= 200),  -- PEM
    ALTER COLUMN hash DROP NOT NULL,
    ADD CONSTRAINT secret_or_public_key CHECK ((hash IS NULL) <> (public_key IS NULL));

DROP TRIGGER keys_stay_as_made ON api_keys;
CREATE TRIGGER keys_stay_as_made BEFORE UPDATE ON api_keys
    FOR EACH ROW WHEN (
        (OLD.id, OLD.caller, OLD.role, OLD.speaks_for_others, OLD.routes, OLD.hash, OLD.public_key, OLD.created_at,
         OLD.created_by)
            IS DISTINCT FROM
        (NEW.id, NEW.caller, NEW.role, NEW.speaks_for_others, NEW.routes, NEW.hash, NEW.public_key, NEW.created_at,
         NEW.created_by)
        OR (OLD.revoked_at IS NOT NULL AND (OLD.revoked_at, OLD.revoked_by) IS DISTINCT FROM (NEW.revoked_at, NEW.revoked_by))
        OR (OLD.expires_at IS NOT NULL AND (NEW.expires_at IS NULL OR NEW.expires_at > OLD.expires_at)))
    EXECUTE FUNCTION keep_key_as_made();

-- What signatures have said to be unique (their nonce), for as long as the same signature would count once more.
CREATE TABLE signature_nonces (
    key_id text        NOT NULL REFERENCES api_keys (id),
    nonce  text        NOT NULL CHECK (length(nonce) <= 100),
    until  timestamptz NOT NULL,
    PRIMARY KEY (key_id, nonce)
);
CREATE INDEX signature_nonces_by_end ON signature_nonces (until);

GRANT SELECT, INSERT, DELETE ON signature_nonces TO orderdeck_app;
