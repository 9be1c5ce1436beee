-- Addresses that get events by webhook. `position`: for every event up to it there is a delivery, if the webhook wants it.
CREATE TABLE webhooks (
    id           text        NOT NULL PRIMARY KEY,
    url          text        NOT NULL UNIQUE,
    description  text        NOT NULL DEFAULT '',
    event_types  text[]      NOT NULL DEFAULT '{}',  -- what it wants; none: every event
    enabled      boolean     NOT NULL DEFAULT true,
    disabled_why text        NOT NULL DEFAULT '',
    position     bigint      NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by   text        NOT NULL
);

-- The secrets with which messages are signed, which their receiver has too. While one is replaced there are two.
CREATE TABLE webhook_secrets (
    webhook_id text        NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    secret     bytea       NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at    timestamptz,
    PRIMARY KEY (webhook_id, secret)
);

-- One message for one webhook. The message of an event has the event's id, and its text is made when it is sent.
CREATE TABLE webhook_deliveries (
    id           uuid        NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    webhook_id   text        NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    message_id   uuid        NOT NULL,
    message_type text        NOT NULL,
    position     bigint,                              -- of its event; NULL: it has none, and `data` is what is sent
    data         jsonb,
    state        text        NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed', 'skipped')),
    tries        int         NOT NULL DEFAULT 0,
    due_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    tried_at     timestamptz,
    status       int,                                 -- of the last answer, if there was one
    error        text        NOT NULL DEFAULT '',
    UNIQUE (webhook_id, message_id),
    CHECK ((position IS NULL) <> (data IS NULL))
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, due_at, position) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (tried_at) WHERE state <> 'waiting';
CREATE INDEX webhook_deliveries_listed ON webhook_deliveries (webhook_id, created_at DESC, position DESC);

-- Make the deliveries of the next events, and save how far that has come, for who leads the notifiers under this epoch. A
-- webhook with too many deliveries that wait gets no more until there are fewer; its events stay in the log meanwhile.
-- The reader's position leaves such webhooks out, and those that are sent old events again. Returns how many deliveries were
-- made, whether there are more to make, and how many webhooks are enabled; nothing when somebody else leads.
CREATE FUNCTION plan_webhook_deliveries(for_epoch bigint, most int, most_waiting int)
RETURNS TABLE (made int, more boolean, webhooks_enabled int)
LANGUAGE plpgsql
AS $$
DECLARE
    head    bigint;
    reached bigint;
    added   int;
    hook    record;
BEGIN
    made := 0;
    more := false;
    SELECT s.position INTO reached FROM reader_shares s
     WHERE s.reader = 'notifier' AND s.share = 0 AND s.epoch = for_epoch FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT coalesce(max(e.position), 0) INTO head FROM events e;
    UPDATE webhooks w SET position = head WHERE w.position > head;  -- an older log was put in place
    FOR hook IN
        SELECT w.id, w.position, w.event_types FROM webhooks w
         WHERE w.enabled AND w.position < head
           AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.state = 'waiting'
                           OFFSET most_waiting)
         ORDER BY w.id FOR UPDATE
    LOOP
        INSERT INTO webhook_deliveries AS d (webhook_id, message_id, message_type, position)
        SELECT hook.id, e.event_id, e.event_type, e.position FROM events e
         WHERE e.position > hook.position AND e.position <= hook.position + most AND e.position <= head
           AND (hook.event_types = '{}' OR e.event_type = ANY (hook.event_types))
           AND NOT EXISTS (SELECT FROM skipped_events k
                            WHERE k.reader = 'notifier.' || hook.id AND k.event_id = e.event_id)
            ON CONFLICT (webhook_id, message_id) DO UPDATE
           SET state = 'waiting', tries = 0, due_at = clock_timestamp() WHERE d.state IN ('delivered', 'failed');
        GET DIAGNOSTICS added = ROW_COUNT;
        made := made + added;
        more := more OR hook.position + most < head;
        UPDATE webhooks w SET position = least(head, hook.position + most) WHERE w.id = hook.id;
    END LOOP;
    SELECT count(*) INTO webhooks_enabled FROM webhooks w WHERE w.enabled;
    SELECT coalesce(min(w.position) FILTER (WHERE w.position >= reached), head) INTO reached FROM webhooks w
     WHERE w.enabled AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.state = 'waiting'
                                     OFFSET most_waiting);
    UPDATE reader_shares s SET position = reached, saves = s.saves + 1, updated_at = clock_timestamp()
     WHERE s.reader = 'notifier' AND s.share = 0 AND s.position <> reached;
    IF FOUND OR NOT EXISTS (SELECT FROM checkpoints c WHERE c.reader = 'notifier') THEN
        INSERT INTO checkpoints AS c (reader, position) VALUES ('notifier', reached)
            ON CONFLICT (reader) DO UPDATE SET position = excluded.position, updated_at = clock_timestamp();
    END IF;
    RETURN NEXT;
END
$$;

REVOKE ALL ON FUNCTION plan_webhook_deliveries FROM PUBLIC;
GRANT EXECUTE ON FUNCTION plan_webhook_deliveries TO orderdeck_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks, webhook_secrets, webhook_deliveries TO orderdeck_app;
