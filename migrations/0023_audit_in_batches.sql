-- Rows of the audit are written a batch at a time, by one INSERT that computes the hashes of all of them. A loop that
-- inserted row by row took the database half as long again as the events themselves. What the rows and their hashes
-- are, and who may add to them, is as before.

CREATE FUNCTION next_audit_hash(before bytea, start bytea, row_text text) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN sha256(coalesce(before, start) || convert_to(row_text, 'UTF8'));
END $$;

-- The hash of each row, over rows in their order; `start` is the hash before the first.
CREATE AGGREGATE audit_hash(start bytea, row_text text) (SFUNC = next_audit_hash, STYPE = bytea);

-- Add rows to the chain, in their order, and return the position of the last. `entries` is what `record_audit` takes.
-- With `appends` only the entries whose `n` is among them, each with the event position that stands at its place.
-- Only the two functions below call it.
CREATE FUNCTION add_to_audit(entries jsonb, appends int[], positions bigint[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    chain audit_chain;
    added bigint;
BEGIN
    SELECT * INTO chain FROM audit_chain FOR UPDATE;  -- one writer at a time, from here to the commit
    chain.head_at := greatest(clock_timestamp(), chain.head_at);
    WITH entry AS (
        SELECT chain.head + row_number() OVER (ORDER BY r.place) AS position,
               coalesce(r.caller, '') AS caller, coalesce(r.key_id, '') AS key_id,
               coalesce(r.on_behalf_of, '') AS on_behalf_of, coalesce(r.source, '') AS source,
               coalesce(r.action, '') AS action, coalesce(r.target, '') AS target, coalesce(r.outcome, '') AS outcome,
               coalesce(r.status, 0::smallint) AS status, coalesce(r.problem, '') AS problem,
               coalesce(r.request_id, '') AS request_id,
               coalesce(positions[array_position(appends, r.n)], r.event_position, 0) AS event_position,
               coalesce(r.times, 1) AS times, coalesce(r.detail, '') AS detail
          FROM ROWS FROM (jsonb_to_recordset(entries) AS (
               n int, caller text, key_id text, on_behalf_of text, source text, action text, target text, outcome text,
               status smallint, problem text, request_id text, event_position bigint, times integer, detail text))
               WITH ORDINALITY AS r(
               n, caller, key_id, on_behalf_of, source, action, target, outcome,
               status, problem, request_id, event_position, times, detail, place)
         WHERE appends IS NULL OR r.n = ANY (appends)
    ), written AS (
        INSERT INTO audit
        -- The text that is hashed is written down in docs/how-to/see-who-did-what.md, and read by verify.
        SELECT e.position, chain.head_at, e.caller, e.key_id, e.on_behalf_of, e.source, e.action, e.target, e.outcome,
               e.status, e.problem, e.request_id, e.event_position, e.times, e.detail,
               audit_hash(chain.head_hash, json_build_array(
                   e.position, (extract(epoch FROM chain.head_at) * 1000000)::bigint, e.caller, e.key_id,
                   e.on_behalf_of, e.source, e.action, e.target, e.outcome, e.status, e.problem, e.request_id,
                   e.event_position, e.times, e.detail)::text) OVER (ORDER BY e.position ROWS UNBOUNDED PRECEDING)
          FROM entry e
        RETURNING position, hash
    )
    UPDATE audit_chain SET head = last.position, head_at = chain.head_at, head_hash = last.hash
      FROM (SELECT w.position, w.hash FROM written w ORDER BY w.position DESC LIMIT 1) AS last
    RETURNING head INTO added;
    RETURN coalesce(added, chain.head);
END $$;

CREATE OR REPLACE FUNCTION record_audit(entries jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN add_to_audit(entries, NULL, NULL);
END $$;

CREATE OR REPLACE FUNCTION append_audited(
    s_append int[], s_id uuid[], s_category text[], s_expected int[], s_count int[],
    e_id uuid[], e_type text[], e_schema int[], e_payload jsonb[], e_metadata jsonb[], e_correlation uuid[],
    k_append int[], k_scope text[], k_key text[], k_fingerprint bytea[],
    k_status int[], k_stream uuid[], k_version int[], k_position bigint[], k_fields jsonb[],
    g_append int[], g_saga uuid[], g_name text[], g_definition int[], g_order uuid[], g_epoch bigint[],
    g_owner text[], g_status text[], g_step text[], g_attempts int[], g_error text[], g_due interval[],
    g_amount numeric[], g_currency text[], entries jsonb
) RETURNS TABLE (append int, verdict text, last_position bigint, actual int[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    appends   int[]    := '{}';
    positions bigint[] := '{}';
BEGIN
    FOR append, verdict, last_position, actual IN
        SELECT * FROM append_events(
            s_append, s_id, s_category, s_expected, s_count, e_id, e_type, e_schema, e_payload, e_metadata,
            e_correlation, k_append, k_scope, k_key, k_fingerprint, k_status, k_stream, k_version, k_position, k_fields,
            g_append, g_saga, g_name, g_definition, g_order, g_epoch, g_owner, g_status, g_step, g_attempts, g_error,
            g_due, g_amount, g_currency)
    LOOP
        IF verdict = 'accepted' AND last_position > 0 THEN
            appends   := appends || append;
            positions := positions || last_position;
        END IF;
        RETURN NEXT;
    END LOOP;
    IF cardinality(appends) > 0 THEN
        PERFORM add_to_audit(entries, appends, positions);
    END IF;
END $$;

REVOKE ALL ON FUNCTION next_audit_hash, audit_hash, add_to_audit FROM PUBLIC;
