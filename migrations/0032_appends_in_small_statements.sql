-- An append runs only the statements that it needs, and each of them runs over the numbers of its arguments' elements. It
-- was one statement, in which PostgreSQL set up 28 scans of arrays and the writes of keys and sagas for every append.
-- What is accepted, and what is recorded then, is as before.

-- Append a batch. Arguments are columns: s_ the streams in order, those of one append side by side (count 0: a guard that
-- only checks the version), e_ their events in the same order, k_ idempotency keys, g_ rows of sagas (epoch 0: a new one).
-- Each append is all or nothing by itself; the verdict says accepted, replay, lease_lost or conflict.
CREATE OR REPLACE FUNCTION append_events(
    s_append int[], s_id uuid[], s_category text[], s_expected int[], s_count int[],
    e_id uuid[], e_type text[], e_schema int[], e_payload jsonb[], e_metadata jsonb[], e_correlation uuid[],
    k_append int[], k_scope text[], k_key text[], k_fingerprint bytea[],
    k_status int[], k_stream uuid[], k_version int[], k_position bigint[], k_fields jsonb[],
    g_append int[], g_saga uuid[], g_name text[], g_definition int[], g_order uuid[], g_epoch bigint[],
    g_owner text[], g_status text[], g_step text[], g_attempts int[], g_error text[], g_due interval[],
    g_amount numeric[], g_currency text[]
) RETURNS TABLE (append int, verdict text, last_position bigint, actual int[])
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off  -- plans cached on tiny tables are slow
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    streams   CONSTANT int := cardinality(s_id);
    keys      CONSTANT int := cardinality(k_key);
    rows      CONSTANT int := cardinality(g_saga);
    head      bigint;
    moment    timestamptz;
    found     int[];            -- by stream: its version in the log
    known     int[] := '{}';    -- appends: their key is there
    lost      int[] := '{}';    --          the lease of one of their sagas is another runner's
    behind    int[] := '{}';    --          one of their streams has another version than they expect
    refused   int[];            --          all of these
    first     int[];            -- by stream: the number of events in e_ before its own
    place     bigint[];         --            the position before its first event, if its append is accepted
    ends      bigint[];         -- by append: the position of its last event
    given     int := 0;
BEGIN
    IF pg_current_xact_id_if_assigned() IS NOT NULL
       OR current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append_events is one statement of its own, read committed';  -- else its lock outlives it
    END IF;

    -- 1. The sagas' rows first, in id order: nobody waits for a row while holding the log.
    IF rows > 0 THEN
        PERFORM FROM sagas s WHERE s.saga_id = ANY (g_saga) ORDER BY s.saga_id FOR UPDATE;
        lost := ARRAY(SELECT g_append[g] FROM generate_series(1, rows) AS g
                        JOIN sagas s ON s.saga_id = g_saga[g] WHERE s.epoch <> g_epoch[g]);
    END IF;

    -- 2. One writer at a time, from the version check to the commit: positions follow commit order without gaps.
    PERFORM pg_advisory_xact_lock(7236833);

    -- 3. Keys before versions: a repeated command gets its first answer, not a conflict.
    IF keys > 0 THEN
        known := ARRAY(SELECT k_append[k] FROM generate_series(1, keys) AS k
                        WHERE EXISTS (SELECT FROM idempotency_keys i WHERE i.scope = k_scope[k] AND i.key = k_key[k]));
    END IF;
    SELECT coalesce(l.position, 0), greatest(clock_timestamp(), l.recorded_at),
           ARRAY(SELECT coalesce((SELECT e.version FROM events e
                                   WHERE e.stream_id = s_id[s] ORDER BY e.version DESC LIMIT 1), 0)
                   FROM generate_series(1, streams) AS s ORDER BY s)
      INTO head, moment, found
      FROM (SELECT) AS one
      LEFT JOIN LATERAL (SELECT e.position, e.recorded_at FROM events e ORDER BY e.position DESC LIMIT 1) AS l ON true;
    IF found <> s_expected THEN
        behind := ARRAY(SELECT s_append[s] FROM generate_series(1, streams) AS s WHERE found[s] <> s_expected[s]);
    END IF;
    refused := known || lost || behind;

    -- 4. The verdicts, and where the events of the accepted go.
    FOR s IN 1 .. streams LOOP
        IF append IS DISTINCT FROM s_append[s] THEN
            append := s_append[s];
            verdict := CASE WHEN append = ANY (known)  THEN 'replay'
                            WHEN append = ANY (lost)   THEN 'lease_lost'
                            WHEN append = ANY (behind) THEN 'conflict'
                            ELSE 'accepted' END;
            last_position := NULL;
            actual := NULL;
        END IF;
        first[s] := given;
        given := given + s_count[s];
        IF verdict = 'accepted' THEN
            place[s] := head;
            IF s_count[s] > 0 THEN
                head := head + s_count[s];
                last_position := head;
                ends[append] := head;
            END IF;
        ELSIF verdict = 'conflict' THEN
            actual := actual || found[s];
        END IF;
        IF s = streams OR s_append[s + 1] <> append THEN
            RETURN NEXT;
        END IF;
    END LOOP;

    -- 5. Events, keys and saga rows of the accepted, one notification.
    IF ends IS NOT NULL THEN
        INSERT INTO events
        SELECT place[s] + n, s_id[s], s_category[s], s_expected[s] + n, e_id[first[s] + n], e_type[first[s] + n],
               e_schema[first[s] + n], e_payload[first[s] + n], e_metadata[first[s] + n], e_correlation[first[s] + n],
               moment
          FROM generate_series(1, streams) AS s CROSS JOIN LATERAL generate_series(1, s_count[s]) AS n
         WHERE s_append[s] <> ALL (refused);
        PERFORM pg_notify('events', head::text);
    END IF;
    IF keys > 0 THEN
        INSERT INTO idempotency_keys
        SELECT k_scope[k], k_key[k], k_fingerprint[k], k_status[k], k_stream[k], k_version[k],
               coalesce(ends[k_append[k]], k_position[k]), k_fields[k], moment
          FROM generate_series(1, keys) AS k
         WHERE k_append[k] <> ALL (refused);
    END IF;
    IF 0 < ANY (g_epoch) THEN
        UPDATE sagas s
           SET status = g_status[g], step = g_step[g], attempts = g_attempts[g], last_error = g_error[g],
               owner = g_owner[g], due_at = moment + g_due[g], claims = 0, updated_at = moment,
               open_amount = coalesce(g_amount[g], s.open_amount), currency = coalesce(g_currency[g], s.currency)
          FROM generate_series(1, rows) AS g
         WHERE s.saga_id = g_saga[g] AND g_epoch[g] > 0 AND g_append[g] <> ALL (refused);
    END IF;
    IF 0 = ANY (g_epoch) THEN
        INSERT INTO sagas
        SELECT g_saga[g], g_name[g], g_definition[g], g_order[g], g_status[g], g_step[g], g_attempts[g], g_error[g],
               1, g_owner[g], 0, moment + g_due[g], moment, moment, g_amount[g], g_currency[g]
          FROM generate_series(1, rows) AS g
         WHERE g_epoch[g] = 0 AND g_append[g] <> ALL (refused);
    END IF;
END $$;
