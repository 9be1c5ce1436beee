-- A saga of which an event cannot be read is set aside: `dead_letters` says which event it is, and the runners try the saga
-- again from time to time. Whoever appends to a saga has read it, so that ends its dead letter, whoever it is.
ALTER TABLE sagas ADD COLUMN set_aside boolean NOT NULL DEFAULT false;

CREATE FUNCTION end_dead_letter_of_saga() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    DELETE FROM dead_letters d WHERE d.reader = 'saga-runner' AND d.row_stream = NEW.saga_id;
    NEW.set_aside := false;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION end_dead_letter_of_saga FROM PUBLIC;

-- Only an append sets updated_at. Claims and leases do not, so they never cause this trigger to be looked at.
CREATE TRIGGER end_dead_letter_of_saga BEFORE UPDATE OF updated_at ON sagas
    FOR EACH ROW WHEN (OLD.set_aside) EXECUTE FUNCTION end_dead_letter_of_saga();
