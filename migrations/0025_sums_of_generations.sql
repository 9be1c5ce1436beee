-- While a generation is filled, nobody reads it. So what a batch adds to its sums is kept as rows of its own, in tables
-- without keys, and added up once all of them are there: to look for the older row each time took far longer. A generation
-- that was made before this goes on with the keys that it has.

ALTER FUNCTION make_generation  RENAME TO make_tables_of_generation;
ALTER FUNCTION index_generation RENAME TO index_tables_of_generation;
REVOKE ALL ON FUNCTION make_tables_of_generation, index_tables_of_generation FROM orderdeck_app;

-- Make the schema and the tables of a generation. Of its tables the first, whose rows are views, has its primary key.
CREATE FUNCTION make_generation(for_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    wanted generations;
    place  text := place_of_generation(for_id);
    name   text;
    key    text;
BEGIN
    SELECT * INTO STRICT wanted FROM generations g WHERE g.id = for_id FOR UPDATE;
    IF wanted.state <> 'waiting' THEN
        RETURN;
    END IF;
    PERFORM make_tables_of_generation(for_id);
    FOREACH name IN ARRAY wanted.tables[2:] LOOP
        SELECT c.conname INTO STRICT key FROM pg_constraint c
         WHERE c.conrelid = format('%I.%I', place, name)::regclass AND c.contype = 'p';
        EXECUTE format('ALTER TABLE %I.%I DROP CONSTRAINT %I', place, name, key);
    END LOOP;
END
$$;

-- Add up the rows with the same key in the tables that have no primary key yet, and make that: numbers are added, and of
-- several times the latest is kept. Nothing is left to do if it was done before.
CREATE FUNCTION sum_up_generation(for_id bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = public, pg_temp
AS $$
DECLARE
    place text := place_of_generation(for_id);
    name  text;
    built regclass;
    key   record;
    parts record;
BEGIN
    FOREACH name IN ARRAY (SELECT g.tables FROM generations g WHERE g.id = for_id) LOOP
        built := format('%I.%I', place, name)::regclass;
        CONTINUE WHEN EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = built AND c.contype = 'p');
        SELECT c.conname, pg_get_constraintdef(c.oid) AS definition,
               ARRAY (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)) AS columns
          INTO STRICT key
          FROM pg_constraint c WHERE c.conrelid = format('%I', name)::regclass AND c.contype = 'p';
        SELECT string_agg(CASE WHEN a.attname = ANY (key.columns) THEN format('%I', a.attname)
                               WHEN a.atttypid = 'timestamptz'::regtype THEN format('max(%I) AS %1$I', a.attname)
                               ELSE format('sum(%I)::%s AS %1$I', a.attname, format_type(a.atttypid, a.atttypmod)) END,
                          ', ' ORDER BY a.attnum) AS summed,
               string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum) FILTER (WHERE a.attname = ANY (key.columns)) AS keys
          INTO STRICT parts
          FROM pg_attribute a WHERE a.attrelid = built AND a.attnum > 0 AND NOT a.attisdropped;
        EXECUTE format('CREATE TABLE %I.summed_up AS SELECT %s FROM %s GROUP BY %s ORDER BY %4$s',
                       place, parts.summed, built, parts.keys);
        EXECUTE format('TRUNCATE %s', built);
        EXECUTE format('INSERT INTO %s SELECT * FROM %I.summed_up', built, place);
        EXECUTE format('DROP TABLE %I.summed_up', place);
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', built, key.conname, key.definition);
    END LOOP;
END
$$;

-- Make the keys, indexes and statistics that the live tables have and those of a generation lack, under the same names.
CREATE FUNCTION index_generation(for_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM sum_up_generation(for_id);
    PERFORM index_tables_of_generation(for_id);
END
$$;

REVOKE ALL ON FUNCTION make_generation, sum_up_generation, index_generation FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_generation, index_generation TO orderdeck_app;
