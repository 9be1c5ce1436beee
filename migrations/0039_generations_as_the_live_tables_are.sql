-- An index was taken for that of the live tables by its name alone, so one of before a migration stayed as it was. What differs
-- is made anew. And once a generation is read its storage options are those of the live tables, where an operator may have set
-- some: they lost autovacuum_enabled, and whatever had changed since it was made.

-- The definition of an index or of statistics on a table of a place, as it would be on the live one.
CREATE FUNCTION definition_on_live(definition text, place text, name text) RETURNS text
LANGUAGE sql STABLE
SET search_path = public, pg_temp
AS $$
    SELECT replace(replace(replace(definition, format(' ON %I.%I ', place, name), format(' ON %I.%I ', current_schema(), name)),
                           format(' FROM %I.%I', place, name), format(' FROM %I', name)),
                   format('STATISTICS %I.', place), format('STATISTICS %I.', current_schema()))
$$;

CREATE OR REPLACE FUNCTION steps_of_generation(for_id bigint) RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = public, pg_temp
AS $$
    SELECT step FROM (
        SELECT t.name AS step, 0 AS turn, -t.place AS then_by
          FROM generations g, unnest(g.tables) WITH ORDINALITY AS t(name, place)
         WHERE g.id = for_id
         UNION ALL
        SELECT c.relname, 1, -i.indnatts
          FROM generations g, place_of_generation(g.id) AS place, unnest(g.tables) AS t(name)
          JOIN pg_index i ON i.indrelid = format('%I', t.name)::regclass AND NOT i.indisprimary
          JOIN pg_class c ON c.oid = i.indexrelid
         WHERE g.id = for_id
           AND pg_get_indexdef(i.indexrelid) IS DISTINCT FROM
               definition_on_live(pg_get_indexdef(to_regclass(format('%I.%I', place, c.relname))), place, t.name)
    ) AS steps ORDER BY turn, then_by, step
$$;

CREATE OR REPLACE FUNCTION make_step_of_generation(for_id bigint, step text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    place text := place_of_generation(for_id);
    of    text;
    one   record;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('index_generation'), for_id::int);
    PERFORM pg_advisory_xact_lock(hashtext('index_generation ' || step), for_id::int);
    FOREACH of IN ARRAY (SELECT g.tables FROM generations g WHERE g.id = for_id) LOOP
        IF of = step THEN
            PERFORM sum_up_table_of_generation(for_id, of);
            FOR one IN SELECT s.stxname, pg_get_statisticsobjdef(s.oid) AS definition
                         FROM pg_statistic_ext s
                         LEFT JOIN pg_statistic_ext n
                                ON n.stxname = s.stxname AND n.stxnamespace = quote_ident(place)::regnamespace
                        WHERE s.stxrelid = format('%I', of)::regclass
                          AND pg_get_statisticsobjdef(s.oid) IS DISTINCT FROM
                              definition_on_live(pg_get_statisticsobjdef(n.oid), place, of)
            LOOP
                EXECUTE format('DROP STATISTICS IF EXISTS %I.%I', place, one.stxname);
                EXECUTE replace(replace(one.definition, format(' FROM %I', of), format(' FROM %I.%I', place, of)),
                                format('STATISTICS %I.%I', current_schema(), one.stxname),
                                format('STATISTICS %I.%I', place, one.stxname));
            END LOOP;
            EXECUTE format('ANALYZE %I.%I', place, of);
        END IF;
        FOR one IN SELECT pg_get_indexdef(i.indexrelid) AS definition
                     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                    WHERE i.indrelid = format('%I', of)::regclass AND NOT i.indisprimary AND c.relname = step
                      AND pg_get_indexdef(i.indexrelid) IS DISTINCT FROM
                          definition_on_live(pg_get_indexdef(to_regclass(format('%I.%I', place, c.relname))), place, of) LOOP
            EXECUTE format('DROP INDEX IF EXISTS %I.%I', place, step);
            EXECUTE replace(one.definition, format(' ON %I.%I ', current_schema(), of), format(' ON %I.%I ', place, of));
        END LOOP;
    END LOOP;
END
$$;

-- Give a table that was built the storage options of another one, and those of its TOAST table.
CREATE FUNCTION take_options(of regclass, built regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = public, pg_temp
AS $$
DECLARE
    wrong  text := (SELECT string_agg(split_part(option, '=', 1), ', ') FROM storage_options(built) AS option);
    wanted text := (SELECT string_agg(option, ', ') FROM storage_options(of) AS option);
BEGIN
    IF wrong IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s RESET (%s)', built, wrong);
    END IF;
    IF wanted IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s SET (%s)', built, wanted);
    END IF;
END
$$;

CREATE FUNCTION storage_options(of regclass) RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = public, pg_temp
AS $$
    SELECT unnest(c.reloptions) FROM pg_class c WHERE c.oid = of
     UNION ALL
    SELECT 'toast.' || unnest(t.reloptions) FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.oid = of
$$;

DROP TRIGGER generations_are_vacuumed_again ON generations;

CREATE OR REPLACE FUNCTION vacuum_generation_again() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM take_options(format('%I', name)::regclass, format('%I.%I', place_of_generation(NEW.id), name)::regclass)
       FROM unnest(NEW.tables) AS name;
    RETURN NULL;
END
$$;

CREATE TRIGGER generations_are_vacuumed_again AFTER UPDATE OF state ON generations
    FOR EACH ROW WHEN (NEW.state = 'ready' AND NEW.state <> OLD.state) EXECUTE FUNCTION vacuum_generation_again();

CREATE OR REPLACE FUNCTION switch_generation(for_id bigint, patience interval, keep interval) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    wanted  generations;
    lacked  text;
    live    regclass[];
    why_not text;
BEGIN
    SELECT * INTO wanted FROM generations g WHERE g.id = for_id FOR UPDATE;
    SELECT min(step) INTO lacked FROM steps_of_generation(for_id) AS step
     WHERE wanted.state = 'switching' AND step <> ALL (wanted.tables)
       AND to_regnamespace(quote_ident(place_of_generation(for_id))) IS NOT NULL;
    IF lacked IS NOT NULL THEN
        RETURN 'it lacks the index ' || lacked;
    END IF;
    live := ARRAY (SELECT to_regclass(quote_ident(name)) FROM unnest(wanted.tables) WITH ORDINALITY AS t(name, n) ORDER BY n);
    why_not := switch_indexed_generation(for_id, patience, keep);
    IF why_not = '' THEN
        PERFORM take_options(live[n], format('%I', name)::regclass) FROM unnest(wanted.tables) WITH ORDINALITY AS t(name, n);
    END IF;
    RETURN why_not;
END
$$;

-- Those as of an earlier moment that lack an index, since a migration has made it after them, are indexed again: those of a
-- release's own rules, since a builder leaves all others alone.
CREATE FUNCTION index_ready_generations(for_reader text, for_revision text) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
    UPDATE generations g SET state = 'indexing'
     WHERE g.reader = for_reader AND g.revision = for_revision AND g.state = 'ready' AND g.keep_until > clock_timestamp()
       AND to_regnamespace(quote_ident(place_of_generation(g.id))) IS NOT NULL
       AND EXISTS (SELECT FROM steps_of_generation(g.id) AS step WHERE step <> ALL (g.tables))
    RETURNING g.id
$$;

REVOKE ALL ON FUNCTION take_options, index_ready_generations FROM PUBLIC;
GRANT EXECUTE ON FUNCTION index_ready_generations TO orderdeck_app;
