-- A generation may be older than an index: one that was about to be switched in when a migration made it, or one that is read
-- again. Switched in without it, lists were slow, and so were those of every later generation, whose indexes are those of the
-- live tables. Whoever builds it makes what it lacks.
ALTER FUNCTION switch_generation RENAME TO switch_indexed_generation;
REVOKE ALL ON FUNCTION switch_indexed_generation FROM orderdeck_app;

CREATE FUNCTION switch_generation(for_id bigint, patience interval, keep interval) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    wanted generations;
    lacked text;
BEGIN
    SELECT * INTO wanted FROM generations g WHERE g.id = for_id FOR UPDATE;
    SELECT min(step) INTO lacked FROM steps_of_generation(for_id) AS step
     WHERE wanted.state = 'switching' AND step <> ALL (wanted.tables)
       AND to_regnamespace(quote_ident(place_of_generation(for_id))) IS NOT NULL;
    IF lacked IS NOT NULL THEN
        RETURN 'it lacks the index ' || lacked;
    END IF;
    RETURN switch_indexed_generation(for_id, patience, keep);
END
$$;

REVOKE ALL ON FUNCTION switch_generation FROM PUBLIC;
GRANT EXECUTE ON FUNCTION switch_generation TO orderdeck_app;
