-- The database goes on with the statement of a builder that was killed, while the next one begins its own: that one waits
-- here, and finds nothing left to do. Both at once would give the same tables two primary keys, and the later would fail.
CREATE OR REPLACE FUNCTION index_generation(for_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('index_generation'), for_id::int);
    PERFORM sum_up_generation(for_id);
    PERFORM index_tables_of_generation(for_id);
END
$$;
