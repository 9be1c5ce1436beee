-- The row of a saga says how much money the saga has open, so that operators see first where the most is at risk. NULL: it
-- is not known, since the order could not be read. `at_risk` is that amount in the smallest unit of its currency, so that
-- amounts of several currencies have an order: nobody here knows their rates, and these units differ least.
ALTER TABLE sagas
    ADD open_amount numeric,
    ADD currency    text;
ALTER TABLE sagas
    ADD at_risk numeric NOT NULL
        GENERATED ALWAYS AS (CASE WHEN open_amount > 0 THEN round(open_amount * power(10::numeric, scale(open_amount)))
                                  ELSE 0 END) STORED;

-- Of the unfinished sagas that are there, only their tables know what they have open. Each is taken to have its order's
-- amount open, until its next event says how much it is.
UPDATE sagas s
   SET open_amount = (e.payload ->> 'total_amount')::numeric, currency = coalesce(e.payload ->> 'currency', 'USD')
  FROM events e
 WHERE s.status IN ('RUNNING', 'COMPENSATING', 'FAILED')
   AND e.stream_id = s.order_id AND e.version = 1 AND e.event_type = 'OrderCreated';

CREATE INDEX sagas_at_risk ON sagas (status, at_risk, saga_id) WHERE status IN ('RUNNING', 'COMPENSATING', 'FAILED');

-- Without the function of before, the daemons of an older release, should some still run, can append nothing.
DROP FUNCTION append_events;

-- Append a batch. Arguments are columns: s_ the streams in order (count 0: a guard that only checks the version),
-- e_ their events in the same order, k_ idempotency keys, g_ rows of sagas (epoch 0: a new one).
-- Each append is all or nothing by itself; the verdict says accepted, replay, lease_lost or conflict.
CREATE FUNCTION append_events(
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
AS $$
DECLARE
    head      bigint;
    moment    timestamptz;
    known     int[] := '{}';
    lost      int[] := '{}';
BEGIN
    IF pg_current_xact_id_if_assigned() IS NOT NULL
       OR current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append_events is one statement of its own, read committed';  -- else its lock outlives it
    END IF;

    -- 1. The sagas' rows first, in id order: nobody waits for a row while holding the log.
    IF cardinality(g_saga) > 0 THEN
        PERFORM FROM sagas s WHERE s.saga_id = ANY (g_saga) ORDER BY s.saga_id FOR UPDATE;
        SELECT coalesce(array_agg(g.a), '{}') INTO lost
          FROM unnest(g_append, g_saga, g_epoch) AS g(a, id, epoch)
          JOIN sagas s ON s.saga_id = g.id
         WHERE s.epoch <> g.epoch;
    END IF;

    -- 2. One writer at a time, from the version check to the commit: positions follow commit order without gaps.
    PERFORM pg_advisory_xact_lock(7236833);

    -- 3. Keys before versions: a repeated command gets its first answer, not a conflict.
    IF cardinality(k_key) > 0 THEN
        SELECT coalesce(array_agg(k.a), '{}') INTO known
          FROM unnest(k_append, k_scope, k_key) AS k(a, scope, key)
         WHERE EXISTS (SELECT FROM idempotency_keys i WHERE i.scope = k.scope AND i.key = k.key);
    END IF;

    SELECT e.position, greatest(clock_timestamp(), e.recorded_at) INTO head, moment
      FROM events e ORDER BY e.position DESC LIMIT 1;
    head   := coalesce(head, 0);
    moment := coalesce(moment, clock_timestamp());

    -- 4. Versions, events, keys and saga rows of the accepted, one notification.
    RETURN QUERY
    WITH entry AS MATERIALIZED (
        SELECT s.a, s.id, s.category, s.expected, s.n, s.o,
               (sum(s.n) OVER (ORDER BY s.o) - s.n)::int AS skip,
               coalesce((SELECT e.version FROM events e
                          WHERE e.stream_id = s.id ORDER BY e.version DESC LIMIT 1), 0) AS actual
          FROM unnest(s_append, s_id, s_category, s_expected, s_count)
               WITH ORDINALITY AS s(a, id, category, expected, n, o)
    ), judged AS MATERIALIZED (
        SELECT t.a,
               CASE WHEN t.a = ANY (known)               THEN 'replay'
                    WHEN t.a = ANY (lost)                THEN 'lease_lost'
                    WHEN NOT bool_and(t.actual = t.expected) THEN 'conflict'
                    ELSE 'accepted' END AS verdict,
               array_agg(t.actual ORDER BY t.o) AS actual
          FROM entry t GROUP BY t.a
    ), accepted AS MATERIALIZED (
        SELECT j.a FROM judged j WHERE j.verdict = 'accepted'
    ), placed AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY t.o, i) + head AS position,
               t.a, t.id, t.category, t.expected + i AS version, t.skip + i AS k
          FROM entry t JOIN accepted USING (a) CROSS JOIN LATERAL generate_series(1, t.n) AS i
    ), inserted AS (
        INSERT INTO events
        SELECT p.position, p.id, p.category, p.version, e_id[p.k], e_type[p.k], e_schema[p.k],
               e_payload[p.k], e_metadata[p.k], e_correlation[p.k], moment
          FROM placed p ORDER BY p.position
    ), last AS MATERIALIZED (
        SELECT p.a, max(p.position) AS position FROM placed p GROUP BY p.a
    ), keyed AS (
        INSERT INTO idempotency_keys
        SELECT k.scope, k.key, k.fingerprint, k.status, k.stream, k.version,
               coalesce((SELECT l.position FROM last l WHERE l.a = k.a), k.position), k.fields, moment
          FROM unnest(k_append, k_scope, k_key, k_fingerprint, k_status, k_stream, k_version, k_position, k_fields)
               AS k(a, scope, key, fingerprint, status, stream, version, position, fields)
          JOIN accepted USING (a)
    ), leased AS MATERIALIZED (
        SELECT g.* FROM unnest(g_append, g_saga, g_name, g_definition, g_order, g_epoch, g_owner,
                               g_status, g_step, g_attempts, g_error, g_due, g_amount, g_currency)
                        AS g(a, id, name, definition, order_id, epoch, owner, status, step, attempts, error, due,
                             amount, currency)
          JOIN accepted USING (a)
    ), moved AS (
        UPDATE sagas s
           SET status = l.status, step = l.step, attempts = l.attempts, last_error = l.error,
               owner = l.owner, due_at = moment + l.due, claims = 0, updated_at = moment,
               open_amount = coalesce(l.amount, s.open_amount), currency = coalesce(l.currency, s.currency)
          FROM leased l WHERE s.saga_id = l.id AND l.epoch > 0
    ), started AS (
        INSERT INTO sagas
        SELECT l.id, l.name, l.definition, l.order_id, l.status, l.step, l.attempts, l.error,
               1, l.owner, 0, moment + l.due, moment, moment, l.amount, l.currency
          FROM leased l WHERE l.epoch = 0
    ), notified AS (
        SELECT pg_notify('events', max(l.position)::text) FROM last l HAVING count(*) > 0
    )
    SELECT j.a, j.verdict, l.position, CASE WHEN j.verdict = 'conflict' THEN j.actual END
      FROM judged j LEFT JOIN last l USING (a) LEFT JOIN notified ON true;
END $$;

REVOKE ALL ON FUNCTION append_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_events TO orderdeck_app;
