-- While the tables of a generation are filled and indexed, autovacuum leaves them alone: the index builds wait for it, each for a
-- second at most, and what it finds out is found out again when all rows are there. Once the tables are read it comes again.

ALTER FUNCTION make_generation RENAME TO make_tables_and_keys_of_generation;
REVOKE ALL ON FUNCTION make_tables_and_keys_of_generation FROM orderdeck_app;

-- Make the schema and the tables of a generation: see 0025.
CREATE FUNCTION make_generation(for_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    wanted generations;
    name   text;
BEGIN
    SELECT * INTO STRICT wanted FROM generations g WHERE g.id = for_id FOR UPDATE;
    IF wanted.state <> 'waiting' THEN
        RETURN;
    END IF;
    PERFORM make_tables_and_keys_of_generation(for_id);
    FOREACH name IN ARRAY wanted.tables LOOP
        EXECUTE format('ALTER TABLE %I.%I SET (autovacuum_enabled = off)', place_of_generation(for_id), name);
    END LOOP;
END
$$;

CREATE FUNCTION vacuum_generation_again() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    place text := CASE NEW.state WHEN 'live' THEN current_schema() ELSE place_of_generation(NEW.id) END;
    name  text;
BEGIN
    FOREACH name IN ARRAY NEW.tables LOOP
        EXECUTE format('ALTER TABLE %I.%I RESET (autovacuum_enabled)', place, name);
    END LOOP;
    RETURN NULL;
END
$$;

CREATE TRIGGER generations_are_vacuumed_again AFTER UPDATE OF state ON generations
    FOR EACH ROW WHEN (NEW.state IN ('ready', 'live') AND NEW.state <> OLD.state) EXECUTE FUNCTION vacuum_generation_again();

REVOKE ALL ON FUNCTION make_generation, vacuum_generation_again FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_generation TO orderdeck_app;
