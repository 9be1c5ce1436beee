-- Lock and write nothing while no webhook lacks an event: the notifier looks every two seconds, mostly for nothing, and each lock
-- was a commit that waited for the disk.
CREATE OR REPLACE FUNCTION plan_webhook_deliveries(for_epoch bigint, most int, most_waiting int)
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
    SELECT coalesce(max(e.position), 0) INTO head FROM events e;
    IF EXISTS (SELECT FROM reader_shares s JOIN checkpoints c ON c.reader = s.reader
                WHERE s.reader = 'notifier' AND s.share = 0 AND s.epoch = for_epoch AND s.position = head AND c.position = head)
       AND NOT EXISTS (SELECT FROM webhooks w WHERE w.enabled AND w.position < head OR w.position > head) THEN
        SELECT count(*) INTO webhooks_enabled FROM webhooks w WHERE w.enabled;
        RETURN NEXT;
        RETURN;
    END IF;
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
