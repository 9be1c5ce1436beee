-- Snapshots: states of long streams, so that they need not be folded from their first event. A cache: whoever reads one
-- asks the log whether it still has the event it was taken after, and all of them may be deleted at any time.

CREATE TABLE snapshots (
    stream_id   uuid        NOT NULL PRIMARY KEY,
    category    text        NOT NULL,
    version     int         NOT NULL,
    event_id    uuid        NOT NULL,  -- of the event at that version: a log restored from a dump may have another there
    schema_hash bytea       NOT NULL,  -- of the state's shape and of the code that folded it
    state       text        NOT NULL,
    taken_at    timestamptz NOT NULL
) WITH (fillfactor = 70);

-- Several streams at once: from the newest state that a snapshot of this hash has after a version, the first events on.
-- The snapshot is a row of its own before them, the only one with a state. Without a hash there is none.
-- Only an index scan stops after a page; anything else would read all of a long stream for each. There is one good plan,
-- whatever the arguments: to look for it anew in each call takes thrice as long as the call.
CREATE FUNCTION load_pages(ids uuid[], after int[], hashes bytea[], most int)
RETURNS TABLE (
    n bigint, state text, version int, "position" bigint, event_type text, schema_version int, payload jsonb
)
LANGUAGE sql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
    SELECT w.n, page.*
      FROM unnest(ids, after, hashes) WITH ORDINALITY AS w(id, after, hash, n)
      LEFT JOIN LATERAL (
          SELECT s.state, s.version, e.position
            FROM snapshots s JOIN events e USING (stream_id, version, event_id)
           WHERE s.stream_id = w.id AND s.version > w.after AND s.schema_hash = w.hash
      ) AS start ON true
     CROSS JOIN LATERAL (
          SELECT start.state, start.version, start.position, NULL::text, NULL::int, NULL::jsonb
           WHERE start.version IS NOT NULL
           UNION ALL (
          SELECT NULL, e.version, e.position, e.event_type, e.schema_version, e.payload
            FROM events e
           WHERE e.stream_id = w.id AND e.version > coalesce(start.version, w.after)
           ORDER BY e.version LIMIT most)
      ) AS page(state, version, position, event_type, schema_version, payload)
     ORDER BY w.n, page.version
$$;

-- Keep the states of several streams. One that is there gives way to a newer one, to one of another hash, and when the
-- log has not the event it was taken after. Rows are written in one order, so that two writers never wait for each other.
CREATE FUNCTION keep_snapshots(ids uuid[], categories text[], versions int[], hashes bytea[], states text[])
RETURNS void
LANGUAGE sql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
    INSERT INTO snapshots AS s (stream_id, category, version, event_id, schema_hash, state, taken_at)
    SELECT w.id, w.category, w.version, e.event_id, w.hash, w.state, clock_timestamp()
      FROM unnest(ids, categories, versions, hashes, states) AS w(id, category, version, hash, state)
      JOIN events e ON e.stream_id = w.id AND e.version = w.version
     ORDER BY w.id
        ON CONFLICT (stream_id) DO UPDATE SET
           category = excluded.category, version = excluded.version, event_id = excluded.event_id,
           schema_hash = excluded.schema_hash, state = excluded.state, taken_at = excluded.taken_at
     WHERE s.version < excluded.version OR s.schema_hash <> excluded.schema_hash
        OR NOT EXISTS (SELECT FROM events e
                        WHERE e.stream_id = s.stream_id AND e.version = s.version AND e.event_id = s.event_id)
$$;

ALTER FUNCTION load_streams SET plan_cache_mode = force_generic_plan;  -- halves what the load of a short stream costs

REVOKE ALL ON FUNCTION load_pages, keep_snapshots FROM PUBLIC;
GRANT EXECUTE ON FUNCTION load_pages, keep_snapshots TO orderdeck_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON snapshots TO orderdeck_app;
