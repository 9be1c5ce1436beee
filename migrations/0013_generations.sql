-- Read models are made anew beside those that are read: a generation is a set of all tables of one group, in a schema of its
-- own, under the same names. A session whose search_path begins with that schema fills and reads it with the same SQL.
-- Its reader is `<reader>@<id>` in `checkpoints`. The tables that everybody reads are the live generation.
CREATE TABLE generations (
    id           bigint      NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    reader       text        NOT NULL,                     -- of the live tables, such as projector.orders
    tables       text[]      NOT NULL,
    revision     text        NOT NULL,                     -- the rules by which it is filled
    purpose      text        NOT NULL CHECK (purpose IN ('rebuild', 'as_of')),
    state        text        NOT NULL DEFAULT 'waiting' CHECK (state IN
                     ('waiting', 'building', 'indexing', 'checking', 'switching', 'ready', 'live', 'kept', 'cancelled', 'failed',
                      'dropped')),
    end_position bigint,                                   -- it is filled up to here; without it, to the end of the log
    max_rate     int         CHECK (max_rate > 0),         -- events a second
    check_all    boolean     NOT NULL DEFAULT false,
    drop_old     boolean     NOT NULL DEFAULT false,
    requested_by text        NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at   timestamptz,
    ended_at     timestamptz,                              -- when it was switched in, given up, or dropped
    keep_until   timestamptz,
    rate         float8      NOT NULL DEFAULT 0,           -- events a second lately
    note         text        NOT NULL DEFAULT ''           -- what it waits for, or why it failed
);

CREATE UNIQUE INDEX generations_live  ON generations (reader) WHERE state = 'live';
CREATE UNIQUE INDEX generations_built ON generations (reader)
 WHERE purpose = 'rebuild' AND state IN ('waiting', 'building', 'indexing', 'checking', 'switching');

-- The schema of a generation's tables, as long as they are not the live ones.
CREATE FUNCTION place_of_generation(id bigint) RETURNS text
LANGUAGE sql STABLE
SET search_path = public, pg_temp
AS $$
    SELECT left(current_schema(), 40) || '_generation_' || id
$$;

-- Only a table that the daemons may empty can be made anew: so no daemon can move the log out of its place.
CREATE FUNCTION may_be_rebuilt(name text) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = public, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_class c, aclexplode(c.relacl) a
                    WHERE c.oid = to_regclass(format('%I', name)) AND c.relkind = 'r'
                      AND a.privilege_type = 'TRUNCATE' AND a.grantee <> c.relowner)
$$;

-- Make the schema and the tables of a generation, as the live ones are, with their primary keys and no other index yet.
CREATE FUNCTION make_generation(for_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    wanted generations;
    place  text := place_of_generation(for_id);
    name   text;
    live   regclass;
    one    record;
BEGIN
    SELECT * INTO STRICT wanted FROM generations g WHERE g.id = for_id FOR UPDATE;
    IF wanted.state <> 'waiting' THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE SCHEMA %I', place);
    FOREACH name IN ARRAY wanted.tables LOOP
        IF NOT may_be_rebuilt(name) THEN
            RAISE EXCEPTION 'the table % is no read model', name;
        END IF;
        live := format('%I', name)::regclass;
        EXECUTE format('CREATE TABLE %I.%I (LIKE %s INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS)',
                       place, name, live);
        FOR one IN SELECT unnest(c.reloptions) AS option FROM pg_class c WHERE c.oid = live LOOP
            EXECUTE format('ALTER TABLE %I.%I SET (%s)', place, name, one.option);
        END LOOP;
        FOR one IN SELECT c.conname, pg_get_constraintdef(c.oid) AS definition
                     FROM pg_constraint c WHERE c.conrelid = live AND c.contype = 'p' LOOP
            EXECUTE format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', place, name, one.conname, one.definition);
        END LOOP;
        FOR one IN SELECT DISTINCT a.privilege_type AS privilege, a.grantee::regrole AS grantee
                     FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = live AND a.grantee NOT IN (0, c.relowner) LOOP
            EXECUTE format('GRANT %s ON %I.%I TO %s', one.privilege, place, name, one.grantee);
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', place, one.grantee);
        END LOOP;
    END LOOP;
    INSERT INTO checkpoints (reader, position, revision) VALUES (wanted.reader || '@' || for_id, 0, wanted.revision);
    UPDATE generations g SET state = 'building', started_at = clock_timestamp() WHERE g.id = for_id;
END
$$;

-- Make the indexes and the statistics that the live tables have and those of the generation lack, under the same names.
-- They are made once the tables are full, which takes far less time than to keep them while the tables are filled.
CREATE FUNCTION index_generation(for_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    wanted generations;
    place  text := place_of_generation(for_id);
    name   text;
    one    record;
BEGIN
    SELECT * INTO STRICT wanted FROM generations g WHERE g.id = for_id;
    FOREACH name IN ARRAY wanted.tables LOOP
        FOR one IN SELECT pg_get_indexdef(i.indexrelid) AS definition
                     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                    WHERE i.indrelid = format('%I', name)::regclass AND NOT i.indisprimary
                      AND to_regclass(format('%I.%I', place, c.relname)) IS NULL LOOP
            EXECUTE replace(one.definition, format(' ON %I.%I ', current_schema(), name),
                            format(' ON %I.%I ', place, name));
        END LOOP;
        FOR one IN SELECT s.stxname, pg_get_statisticsobjdef(s.oid) AS definition FROM pg_statistic_ext s
                    WHERE s.stxrelid = format('%I', name)::regclass
                      AND NOT EXISTS (SELECT FROM pg_statistic_ext n
                                       WHERE n.stxname = s.stxname AND n.stxnamespace = quote_ident(place)::regnamespace) LOOP
            EXECUTE replace(replace(one.definition, format(' FROM %I', name), format(' FROM %I.%I', place, name)),
                            format('STATISTICS %I.%I', current_schema(), one.stxname),
                            format('STATISTICS %I.%I', place, one.stxname));
        END LOOP;
        EXECUTE format('ANALYZE %I.%I', place, name);
    END LOOP;
END
$$;

-- Drop the tables of a generation that nobody reads, and its checkpoint, so that whoever still fills it can save nothing: its
-- next statement finds the live tables under the same names, but no checkpoint. Tables are locked before the checkpoint, as
-- every save locks them. False if there is nothing to drop.
CREATE FUNCTION drop_generation(for_id bigint, becomes text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
    wanted generations;
    place  text := place_of_generation(for_id);
    name   text;
    one    record;
BEGIN
    SELECT * INTO wanted FROM generations g WHERE g.id = for_id FOR UPDATE;
    IF NOT FOUND OR wanted.state IN ('live', 'dropped') THEN
        RETURN false;
    END IF;
    IF to_regnamespace(quote_ident(place)) IS NOT NULL THEN
        FOREACH name IN ARRAY wanted.tables LOOP
            EXECUTE format('DROP TABLE IF EXISTS %I.%I', place, name);
        END LOOP;
        FOR one IN SELECT s.stxname FROM pg_statistic_ext s WHERE s.stxnamespace = quote_ident(place)::regnamespace LOOP
            EXECUTE format('DROP STATISTICS %I.%I', place, one.stxname);
        END LOOP;
        EXECUTE format('DROP SCHEMA %I', place);
    END IF;
    DELETE FROM checkpoints c WHERE c.reader = wanted.reader || '@' || for_id;
    UPDATE generations g
       SET state = becomes, rate = 0, keep_until = NULL,
           ended_at = CASE WHEN wanted.state = 'kept' THEN g.ended_at ELSE clock_timestamp() END
     WHERE g.id = for_id;
    RETURN true;
END
$$;

-- Put a generation in the place of the live one, which is kept for a while. It is one statement, so that it ends also when
-- its caller is gone. While the live tables are locked nobody can read or fill them, so this waits for their locks only
-- `lock_timeout`, and then at most `patience` for the reader of the generation to reach whatever the live tables have. So
-- nobody who reads afterwards misses what was there before. The answer is '' once it is done, and else why it is not.
CREATE FUNCTION switch_generation(for_id bigint, patience interval, keep interval) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    wanted    generations;
    here      text := current_schema();
    place     text := place_of_generation(for_id);
    name      text;
    one       record;
    until     timestamptz;
    target    bigint;
    old_id    bigint;
    old_place text;
    live      checkpoints;
    filled    checkpoints;
BEGIN
    SELECT * INTO wanted FROM generations g WHERE g.id = for_id FOR UPDATE;
    IF NOT FOUND OR wanted.state <> 'switching' THEN
        RETURN 'it is ' || coalesce(wanted.state, 'gone');
    END IF;
    FOREACH name IN ARRAY wanted.tables LOOP
        IF EXISTS (
            (SELECT a.attname, a.atttypid, a.atttypmod FROM pg_attribute a
              WHERE a.attrelid = format('%I.%I', place, name)::regclass AND a.attnum > 0 AND NOT a.attisdropped)
            EXCEPT
            (SELECT a.attname, a.atttypid, a.atttypmod FROM pg_attribute a
              WHERE a.attrelid = format('%I', name)::regclass AND a.attnum > 0 AND NOT a.attisdropped)
        ) OR (SELECT count(DISTINCT n) FROM (
                SELECT count(*) AS n FROM pg_attribute a WHERE a.attnum > 0 AND NOT a.attisdropped
                   AND a.attrelid IN (format('%I.%I', place, name)::regclass, format('%I', name)::regclass)
                 GROUP BY a.attrelid) AS columns) > 1 THEN
            RETURN 'a migration has changed the table ' || name || ' since it was made';
        END IF;
    END LOOP;
    FOREACH name IN ARRAY wanted.tables LOOP
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', name);
    END LOOP;
    -- Partitions of Kafka may be read further than the checkpoint says, but not further than the log.
    SELECT CASE WHEN EXISTS (SELECT FROM reader_shares s WHERE s.reader = wanted.reader)
                THEN (SELECT coalesce(max(e.position), 0) FROM events e) ELSE c.position END
      INTO target FROM checkpoints c WHERE c.reader = wanted.reader;
    until := clock_timestamp() + patience;
    LOOP
        SELECT * INTO filled FROM checkpoints c WHERE c.reader = wanted.reader || '@' || for_id;
        EXIT WHEN filled.position >= target;
        IF filled.position IS NULL OR clock_timestamp() > until THEN
            RETURN 'it is behind what is read';
        END IF;
        PERFORM pg_sleep(0.002);
    END LOOP;
    FOREACH name IN ARRAY wanted.tables LOOP
        EXECUTE format('LOCK TABLE %I.%I IN ACCESS EXCLUSIVE MODE', place, name);
    END LOOP;
    SELECT * INTO live FROM checkpoints c WHERE c.reader = wanted.reader FOR UPDATE;
    SELECT * INTO filled FROM checkpoints c WHERE c.reader = wanted.reader || '@' || for_id FOR UPDATE;

    UPDATE generations g SET state = 'kept', revision = live.revision, keep_until = clock_timestamp() + keep
     WHERE g.reader = wanted.reader AND g.state = 'live' RETURNING g.id INTO old_id;
    IF NOT FOUND THEN
        INSERT INTO generations (reader, tables, revision, purpose, state, requested_by, ended_at, keep_until)
        VALUES (wanted.reader, wanted.tables, live.revision, 'rebuild', 'kept', 'the first fill', clock_timestamp(),
                clock_timestamp() + keep)
        RETURNING id INTO old_id;
    END IF;
    old_place := place_of_generation(old_id);
    EXECUTE format('CREATE SCHEMA %I', old_place);
    FOR one IN SELECT DISTINCT a.grantee::regrole AS grantee
                 FROM pg_namespace n, aclexplode(n.nspacl) a
                WHERE n.nspname = place AND a.grantee NOT IN (0, n.nspowner) LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', old_place, one.grantee);
    END LOOP;
    FOREACH name IN ARRAY wanted.tables LOOP
        EXECUTE format('ALTER TABLE %I.%I SET SCHEMA %I', here, name, old_place);
        FOR one IN SELECT s.stxname FROM pg_statistic_ext s
                    WHERE s.stxrelid = format('%I.%I', old_place, name)::regclass LOOP
            EXECUTE format('ALTER STATISTICS %I.%I SET SCHEMA %I', here, one.stxname, old_place);
        END LOOP;
        EXECUTE format('ALTER TABLE %I.%I SET SCHEMA %I', place, name, here);
        FOR one IN SELECT s.stxname FROM pg_statistic_ext s
                    WHERE s.stxrelid = format('%I.%I', here, name)::regclass LOOP
            EXECUTE format('ALTER STATISTICS %I.%I SET SCHEMA %I', place, one.stxname, here);
        END LOOP;
    END LOOP;
    EXECUTE format('DROP SCHEMA %I', place);

    -- The epochs grow, so that whoever filled the live tables, and remembers their rows, has to open them anew.
    INSERT INTO checkpoints (reader, position, revision, epoch)
    VALUES (wanted.reader || '@' || old_id, live.position, live.revision, live.epoch);
    UPDATE checkpoints c
       SET position = greatest(live.position, filled.position), revision = filled.revision, epoch = live.epoch + 1,
           updated_at = clock_timestamp()
     WHERE c.reader = wanted.reader;
    DELETE FROM checkpoints c WHERE c.reader = wanted.reader || '@' || for_id;
    PERFORM pg_advisory_xact_lock(hashtext('reader_shares'), hashtext(wanted.reader));  -- of keep_shares
    UPDATE reader_shares s SET position = greatest(s.position, filled.position), epoch = s.epoch + 1
     WHERE s.reader = wanted.reader;

    UPDATE generations g
       SET state = 'live', rate = 0, note = '', keep_until = NULL, ended_at = clock_timestamp()
     WHERE g.id = for_id;
    PERFORM pg_notify('views', filled.position::text);
    RETURN '';
END
$$;

REVOKE ALL ON FUNCTION make_generation, index_generation, drop_generation, switch_generation FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_generation, index_generation, drop_generation, switch_generation TO orderdeck_app;
GRANT EXECUTE ON FUNCTION place_of_generation TO orderdeck_app;
GRANT SELECT, INSERT, UPDATE ON generations TO orderdeck_app;
