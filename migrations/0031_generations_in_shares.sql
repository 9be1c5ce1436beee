-- Several processes fill a generation together, each a share of its rows, and several connections index it, so that no core of
-- the machine waits for another. Each share has a reader of its own, `<reader>@<id>@<share>`. While there are shares, the
-- reader of the whole has no checkpoint: so a builder of an older release, which would fill all rows, can save nothing.

-- Whether a generation is divided. With `begin`, divide it if nothing was saved of it yet.
CREATE FUNCTION share_generation(for_id bigint, shares int, begin boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    wanted generations;
    whole  text;
BEGIN
    SELECT * INTO STRICT wanted FROM generations g WHERE g.id = for_id FOR UPDATE;
    whole := wanted.reader || '@' || for_id;
    IF wanted.state <> 'building' THEN
        RETURN false;
    END IF;
    IF (SELECT count(*) FROM checkpoints c WHERE starts_with(c.reader, whole || '@')) = shares THEN
        RETURN true;
    END IF;
    DELETE FROM checkpoints c WHERE c.reader = whole AND c.position = 0 AND begin;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO checkpoints (reader, position, revision)
    SELECT whole || '@' || n, 0, wanted.revision FROM generate_series(0, shares - 1) AS n;
    RETURN true;
END
$$;

-- Make the shares of a generation one whole again, once all of them are filled up to a position. Whoever still fills one can save
-- nothing more. False if one of them is not there yet.
CREATE FUNCTION join_generation(for_id bigint, upto bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    wanted generations;
    whole  text;
BEGIN
    SELECT * INTO STRICT wanted FROM generations g WHERE g.id = for_id FOR UPDATE;
    whole := wanted.reader || '@' || for_id;
    IF EXISTS (SELECT FROM checkpoints c WHERE c.reader = whole) THEN
        RETURN true;
    END IF;
    PERFORM FROM checkpoints c WHERE starts_with(c.reader, whole || '@') ORDER BY c.reader FOR UPDATE;
    IF EXISTS (SELECT FROM checkpoints c WHERE starts_with(c.reader, whole || '@') AND c.position <> upto) THEN
        RETURN false;
    END IF;
    WITH filled AS (
        DELETE FROM checkpoints c WHERE starts_with(c.reader, whole || '@') RETURNING c.*
    )
    INSERT INTO checkpoints (reader, position, revision, epoch)
    SELECT whole, f.position, f.revision, max(f.epoch) FROM filled f GROUP BY f.position, f.revision;
    RETURN true;
END
$$;

ALTER FUNCTION drop_generation RENAME TO drop_whole_generation;
REVOKE ALL ON FUNCTION drop_whole_generation FROM orderdeck_app;

-- Drop the tables of a generation that nobody reads, and its checkpoints. False if there is nothing to drop.
CREATE FUNCTION drop_generation(for_id bigint, becomes text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
SET lock_timeout = '2s'
AS $$
BEGIN
    IF NOT drop_whole_generation(for_id, becomes) THEN
        RETURN false;
    END IF;
    DELETE FROM checkpoints c USING generations g
     WHERE g.id = for_id AND starts_with(c.reader, g.reader || '@' || for_id || '@');
    RETURN true;
END
$$;

-- Add up the rows with the same key in one table that has no primary key yet, and make that: see 0025.
CREATE FUNCTION sum_up_table_of_generation(for_id bigint, name text) RETURNS void
LANGUAGE plpgsql
SET search_path = public, pg_temp
AS $$
DECLARE
    place  text := place_of_generation(for_id);
    built  regclass := format('%I.%I', place, name)::regclass;
    summed text := format('%I.%I', place, 'summed_' || name);
    key    record;
    parts  record;
BEGIN
    IF EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = built AND c.contype = 'p') THEN
        RETURN;
    END IF;
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
    EXECUTE format('CREATE UNLOGGED TABLE %s AS SELECT %s FROM %s GROUP BY %s ORDER BY %4$s',
                   summed, parts.summed, built, parts.keys);
    EXECUTE format('TRUNCATE %s', built);
    EXECUTE format('INSERT INTO %s SELECT * FROM %s', built, summed);
    EXECUTE format('DROP TABLE %s', summed);
    EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', built, key.conname, key.definition);
END
$$;

CREATE OR REPLACE FUNCTION sum_up_generation(for_id bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM sum_up_table_of_generation(for_id, name) FROM unnest((SELECT g.tables FROM generations g WHERE g.id = for_id)) AS name;
END
$$;

-- What make_step_of_generation has to be called with, each by itself and maybe at the same time: tables first, then the indexes
-- that they lack, those with most columns first, since they take longest.
CREATE FUNCTION steps_of_generation(for_id bigint) RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = public, pg_temp
AS $$
    SELECT step FROM (
        SELECT t.name AS step, 0 AS turn, -t.place AS then_by
          FROM generations g, unnest(g.tables) WITH ORDINALITY AS t(name, place)
         WHERE g.id = for_id
         UNION ALL
        SELECT c.relname, 1, -i.indnatts
          FROM generations g, unnest(g.tables) AS t(name)
          JOIN pg_index i ON i.indrelid = format('%I', t.name)::regclass AND NOT i.indisprimary
          JOIN pg_class c ON c.oid = i.indexrelid
         WHERE g.id = for_id AND to_regclass(format('%I.%I', place_of_generation(for_id), c.relname)) IS NULL
    ) AS steps ORDER BY turn, then_by, step
$$;

-- Do one of these steps. Who does the same one meanwhile waits, and finds nothing left to do; and so does a builder of an older
-- release, who does all of them at once, with the lock that is shared here.
CREATE FUNCTION make_step_of_generation(for_id bigint, step text) RETURNS void
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
            FOR one IN SELECT s.stxname, pg_get_statisticsobjdef(s.oid) AS definition FROM pg_statistic_ext s
                        WHERE s.stxrelid = format('%I', of)::regclass
                          AND NOT EXISTS (SELECT FROM pg_statistic_ext n
                                           WHERE n.stxname = s.stxname AND n.stxnamespace = quote_ident(place)::regnamespace)
            LOOP
                EXECUTE replace(replace(one.definition, format(' FROM %I', of), format(' FROM %I.%I', place, of)),
                                format('STATISTICS %I.%I', current_schema(), one.stxname),
                                format('STATISTICS %I.%I', place, one.stxname));
            END LOOP;
            EXECUTE format('ANALYZE %I.%I', place, of);
        END IF;
        FOR one IN SELECT pg_get_indexdef(i.indexrelid) AS definition
                     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                    WHERE i.indrelid = format('%I', of)::regclass AND NOT i.indisprimary AND c.relname = step
                      AND to_regclass(format('%I.%I', place, c.relname)) IS NULL LOOP
            EXECUTE replace(one.definition, format(' ON %I.%I ', current_schema(), of), format(' ON %I.%I ', place, of));
        END LOOP;
    END LOOP;
END
$$;

REVOKE ALL ON FUNCTION share_generation, join_generation, drop_generation, sum_up_table_of_generation,
    make_step_of_generation FROM PUBLIC;
GRANT EXECUTE ON FUNCTION share_generation, join_generation, drop_generation, steps_of_generation,
    make_step_of_generation TO orderdeck_app;
