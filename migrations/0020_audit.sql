-- Who asked for what, from where, and what came of it. Each row's hash covers the row and the hash before it, so a row
-- that was changed, removed or put in later no longer fits its neighbours, and `orderdeck verify` names it.
CREATE TABLE audit (
    position       bigint      NOT NULL PRIMARY KEY,   -- 1, 2, 3 … without gaps
    at             timestamptz NOT NULL,               -- when it was recorded; never earlier than the row before
    caller         text        NOT NULL,               -- whose key was shown; empty: nobody's
    key_id         text        NOT NULL,
    on_behalf_of   text        NOT NULL,               -- whom the caller named as the author, if it named somebody else
    source         text        NOT NULL,               -- the address that asked
    action         text        NOT NULL,               -- a method and a route, or a command of `orderdeck`
    target         text        NOT NULL,               -- what it was about: the id of an order, a SKU, a caller …
    outcome        text        NOT NULL CHECK (outcome IN ('done', 'refused', 'failed')),
    status         smallint    NOT NULL,               -- that HTTP had; 0: it did not come over HTTP
    problem        text        NOT NULL,               -- the code of the problem that was answered
    request_id     text        NOT NULL,
    event_position bigint      NOT NULL,               -- the last event that it recorded; 0: none
    times          integer     NOT NULL CHECK (times > 0),  -- how many equal ones this row stands for
    detail         text        NOT NULL,
    hash           bytea       NOT NULL
);

-- The end of the chain, and its start: rows up to `cut` are older than they have to be kept.
CREATE TABLE audit_chain (
    only_row  boolean     NOT NULL PRIMARY KEY DEFAULT true CHECK (only_row),
    head      bigint      NOT NULL,
    head_at   timestamptz NOT NULL,
    head_hash bytea       NOT NULL,
    cut       bigint      NOT NULL,
    cut_hash  bytea       NOT NULL
);
INSERT INTO audit_chain VALUES (true, 0, '-infinity', sha256('orderdeck audit'), 0, sha256('orderdeck audit'));

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.position <= (SELECT cut FROM audit_chain) THEN
        RETURN OLD;  -- the chain begins after it
    END IF;
    RAISE EXCEPTION 'the audit is only added to' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER audit_is_only_added_to BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_is_never_emptied BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- Add rows to the chain, in their order. `entries` is a JSON array of objects with the columns above, those that are
-- left out being empty. It returns the position of the last.
CREATE FUNCTION record_audit(entries jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    chain  audit_chain;
    e      record;
BEGIN
    SELECT * INTO chain FROM audit_chain FOR UPDATE;  -- one writer at a time, from here to the commit
    chain.head_at := greatest(clock_timestamp(), chain.head_at);
    FOR e IN
        SELECT coalesce(r.caller, '') AS caller, coalesce(r.key_id, '') AS key_id,
               coalesce(r.on_behalf_of, '') AS on_behalf_of, coalesce(r.source, '') AS source,
               coalesce(r.action, '') AS action, coalesce(r.target, '') AS target, coalesce(r.outcome, '') AS outcome,
               coalesce(r.status, 0::smallint) AS status, coalesce(r.problem, '') AS problem,
               coalesce(r.request_id, '') AS request_id, coalesce(r.event_position, 0) AS event_position,
               coalesce(r.times, 1) AS times, coalesce(r.detail, '') AS detail
          FROM jsonb_to_recordset(entries) AS r(
               caller text, key_id text, on_behalf_of text, source text, action text, target text, outcome text,
               status smallint, problem text, request_id text, event_position bigint, times integer, detail text)
    LOOP
        chain.head := chain.head + 1;
        -- The text that is hashed is written down in docs/how-to/see-who-did-what.md, and read by verify.
        chain.head_hash := sha256(chain.head_hash || convert_to(jsonb_build_array(
            chain.head, (extract(epoch FROM chain.head_at) * 1000000)::bigint, e.caller, e.key_id, e.on_behalf_of,
            e.source, e.action, e.target, e.outcome, e.status, e.problem, e.request_id, e.event_position, e.times,
            e.detail)::text, 'UTF8'));
        INSERT INTO audit VALUES (
            chain.head, chain.head_at, e.caller, e.key_id, e.on_behalf_of, e.source, e.action, e.target, e.outcome,
            e.status, e.problem, e.request_id, e.event_position, e.times, e.detail, chain.head_hash);
    END LOOP;
    UPDATE audit_chain SET head = chain.head, head_at = chain.head_at, head_hash = chain.head_hash;
    RETURN chain.head;
END $$;

-- Append a batch as `append_events` does, and record with it who asked for the appends that were accepted: an event
-- and its row of the audit are there together, or neither is. Each entry names its append as `n`.
CREATE FUNCTION append_audited(
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
    numbers   int[];
    verdicts  text[];
    positions bigint[];
    found     jsonb[];
    recorded  jsonb;
BEGIN
    SELECT array_agg(a.append), array_agg(a.verdict), array_agg(a.last_position), array_agg(to_jsonb(a.actual))
      INTO numbers, verdicts, positions, found
      FROM append_events(
        s_append, s_id, s_category, s_expected, s_count, e_id, e_type, e_schema, e_payload, e_metadata, e_correlation,
        k_append, k_scope, k_key, k_fingerprint, k_status, k_stream, k_version, k_position, k_fields,
        g_append, g_saga, g_name, g_definition, g_order, g_epoch, g_owner, g_status, g_step, g_attempts, g_error, g_due,
        g_amount, g_currency) a;
    SELECT jsonb_agg(e || jsonb_build_object('event_position', v.position) ORDER BY v.position) INTO recorded
      FROM jsonb_array_elements(entries) AS e
      JOIN unnest(numbers, verdicts, positions) AS v(n, verdict, position) ON v.n = (e ->> 'n')::int
     WHERE v.verdict = 'accepted' AND v.position > 0;
    IF recorded IS NOT NULL THEN
        PERFORM record_audit(recorded);
    END IF;
    RETURN QUERY
    SELECT v.n, v.verdict, v.position,
           CASE WHEN jsonb_typeof(v.actual) = 'array'
                THEN ARRAY(SELECT jsonb_array_elements_text(v.actual)::int) END
      FROM unnest(numbers, verdicts, positions, found) AS v(n, verdict, position, actual);
END $$;

-- The position of the last row that was recorded before a moment; 0 or the cut: none was. `at` never falls from row to
-- row, so it halves what is left until one is found, and needs no index.
CREATE FUNCTION audit_place(moment timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
DECLARE
    low    bigint;
    high   bigint;
    middle bigint;
BEGIN
    SELECT c.cut, c.head INTO low, high FROM audit_chain c;
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        IF (SELECT a.at < moment FROM audit a WHERE a.position = middle) THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
    END LOOP;
    RETURN low;
END $$;

-- Let the chain begin after the rows that are older than `age`, and record that; how many rows that leaves out.
-- They are removed afterwards, some at a time, by `forget_cut_audit`: the chain's end is not held meanwhile.
CREATE FUNCTION cut_audit(age interval) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    chain audit_chain;
    last  audit;
BEGIN
    SELECT * INTO chain FROM audit_chain FOR UPDATE;
    SELECT * INTO last FROM audit a WHERE a.position = audit_place(clock_timestamp() - age);
    IF last.position IS NULL OR last.position <= chain.cut THEN
        RETURN 0;
    END IF;
    UPDATE audit_chain SET cut = last.position, cut_hash = last.hash;
    PERFORM record_audit(jsonb_build_array(jsonb_build_object(
        'caller', 'orderdeck', 'source', 'database', 'action', 'cut the audit', 'outcome', 'done',
        'target', format('rows %s to %s', chain.cut + 1, last.position),
        'detail', format('older than %s; the last had the hash %s', age, encode(last.hash, 'hex')))));
    RETURN last.position - chain.cut;
END $$;

CREATE FUNCTION forget_cut_audit(most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM audit WHERE position = ANY (ARRAY(
            SELECT a.position FROM audit a, audit_chain c WHERE a.position <= c.cut ORDER BY a.position LIMIT most))
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

-- Each process of each daemon, with the settings that it runs with (no secret among them), and whether it has ended
-- by itself. What changed since its last run is recorded in the audit when it starts.
CREATE TABLE daemon_runs (
    process  text        NOT NULL,  -- such as command-api-2
    host     text        NOT NULL,
    settings jsonb       NOT NULL,
    version  text        NOT NULL,
    pid      integer     NOT NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    PRIMARY KEY (process, host)
);

REVOKE ALL ON FUNCTION record_audit, append_audited, audit_place, cut_audit, forget_cut_audit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_audit, append_audited, audit_place, cut_audit, forget_cut_audit TO orderdeck_app;
GRANT SELECT ON audit, audit_chain TO orderdeck_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON daemon_runs TO orderdeck_app;
