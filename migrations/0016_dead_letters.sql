-- Events that a reader of the log could not apply. A row of a read model stays as it was before such an event, and the later
-- events of that row wait behind it, while the reader goes on with all others. A row has at most one, so the table is small.
CREATE TABLE dead_letters (
    id              uuid        PRIMARY KEY,
    reader          text        NOT NULL,
    row_stream      uuid        NOT NULL,              -- the stream of the row whose later events wait
    category        text        NOT NULL,
    event_id        uuid        NOT NULL,
    stream_id       uuid        NOT NULL,
    version         int         NOT NULL,
    position        bigint      NOT NULL,
    event_type      text        NOT NULL,
    schema_version  int         NOT NULL,
    correlation_id  uuid        NOT NULL,
    error           text        NOT NULL,
    fingerprint     text        NOT NULL,              -- the same for events that fail for the same cause
    tries           int         NOT NULL DEFAULT 1,
    first_failed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_failed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    retry_at        timestamptz,                       -- when the reader is to try it again
    UNIQUE (reader, row_stream)
);

-- Events that an operator has decided to leave out of what a reader makes, for ever: also when all of it is made anew.
CREATE TABLE skipped_events (
    reader     text        NOT NULL,
    event_id   uuid        NOT NULL,
    position   bigint      NOT NULL,
    row_stream uuid        NOT NULL,
    by         text        NOT NULL,
    reason     text        NOT NULL,
    skipped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (reader, event_id)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON dead_letters TO orderdeck_app;
GRANT SELECT, INSERT ON skipped_events TO orderdeck_app;

-- Read models that are made anew have a reader of their own, with @ and the generation's number, and so have those that were
-- put aside for them. What a reader could not apply goes with its tables.
CREATE FUNCTION move_dead_letters() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    IF NEW.state = 'live' THEN
        DELETE FROM dead_letters d WHERE d.reader = NEW.reader;
        UPDATE dead_letters d SET reader = NEW.reader WHERE d.reader = NEW.reader || '@' || NEW.id;
    ELSIF NEW.state = 'kept' AND (TG_OP = 'INSERT' OR OLD.state = 'live') THEN
        UPDATE dead_letters d SET reader = NEW.reader || '@' || NEW.id WHERE d.reader = NEW.reader;
    ELSIF NEW.state IN ('cancelled', 'failed', 'dropped') THEN
        DELETE FROM dead_letters d WHERE d.reader = NEW.reader || '@' || NEW.id;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION move_dead_letters FROM PUBLIC;

CREATE TRIGGER move_dead_letters AFTER INSERT OR UPDATE OF state ON generations
    FOR EACH ROW EXECUTE FUNCTION move_dead_letters();
