-- The work of a reader of the log is divided into numbered shares, so that several processes can do it together. Each share
-- is held by one process at a time, under a lease by this database's clock. A share's position says how far it has been done.
CREATE TABLE reader_shares (
    reader      text        NOT NULL,
    share       int         NOT NULL,
    position    bigint      NOT NULL,
    offsets     jsonb       NOT NULL DEFAULT '{}',  -- how far it has been read elsewhere than in the log, as in Kafka
    owner       text,
    epoch       bigint      NOT NULL DEFAULT 0,     -- grows with each new owner; an owner of before saves nothing more
    lease_until timestamptz NOT NULL DEFAULT '-infinity',
    saves       bigint      NOT NULL DEFAULT 0,
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (reader, share)
);

-- The processes that would take a share: those that hold one, and those that stand by.
CREATE TABLE reader_members (
    reader text        NOT NULL,
    owner  text        NOT NULL,
    until  timestamptz NOT NULL,
    PRIMARY KEY (reader, owner)
);

-- Who fills read models from the log opens them with an epoch of its own, and whoever opened them before saves nothing more.
ALTER TABLE checkpoints ADD epoch bigint NOT NULL DEFAULT 0;

-- Renew what this owner holds, once less than 0.7 of a lease is left of it, so that few calls write. Give up what is more
-- than its part, take what is free up to its part, and say what it holds now. Its part is the number of shares by the number
-- of members; those that hold more come first, so that shares rarely move. While others hold shares of another number of
-- them, nothing is taken, and one of those others is named.
CREATE FUNCTION keep_shares(for_reader text, for_owner text, wanted int, lease interval)
RETURNS TABLE (share int, epoch bigint, divided_by text)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz;
    head   bigint := (SELECT coalesce(max(e.position), 0) FROM events e);
    other  text;
    held   int;
    part   int;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('reader_shares'), hashtext(for_reader));
    moment := clock_timestamp();
    DELETE FROM reader_members m WHERE m.reader = for_reader AND m.until < moment;
    IF (SELECT count(*) <> wanted OR max(s.share) <> wanted - 1 FROM reader_shares s WHERE s.reader = for_reader) THEN
        SELECT s.owner INTO other FROM reader_shares s
         WHERE s.reader = for_reader AND s.owner <> for_owner AND s.lease_until > moment LIMIT 1;
        IF FOUND THEN
            RETURN QUERY SELECT NULL::int, NULL::bigint, other;
            RETURN;
        END IF;
        WITH before AS (
            DELETE FROM reader_shares s WHERE s.reader = for_reader RETURNING s.epoch
        )
        INSERT INTO reader_shares (reader, share, position, epoch)
        SELECT for_reader, n, coalesce((SELECT c.position FROM checkpoints c WHERE c.reader = for_reader), 0),
               coalesce((SELECT max(b.epoch) FROM before b), 0)
          FROM generate_series(0, wanted - 1) AS n
            ON CONFLICT (reader, share) DO NOTHING;
    END IF;

    INSERT INTO reader_members AS m (reader, owner, until) VALUES (for_reader, for_owner, moment + lease)
        ON CONFLICT (reader, owner) DO UPDATE SET until = excluded.until WHERE m.until < moment + lease * 0.7;
    SELECT m.held, wanted / m.members + CASE WHEN m.place <= wanted % m.members THEN 1 ELSE 0 END
      INTO held, part
      FROM (SELECT i.owner, i.held, count(*) OVER () AS members, row_number() OVER (ORDER BY i.held DESC, i.owner) AS place
              FROM (SELECT m.owner, (SELECT count(*) FROM reader_shares s
                                      WHERE s.reader = for_reader AND s.owner = m.owner) AS held
                      FROM reader_members m WHERE m.reader = for_reader) AS i) AS m
     WHERE m.owner = for_owner;

    UPDATE reader_shares s SET owner = NULL, lease_until = '-infinity'
     WHERE s.reader = for_reader AND s.share IN (
           SELECT o.share FROM reader_shares o WHERE o.reader = for_reader AND o.owner = for_owner
            ORDER BY o.share DESC LIMIT greatest(held - part, 0));
    UPDATE reader_shares s SET lease_until = moment + lease
     WHERE s.reader = for_reader AND s.owner = for_owner AND s.lease_until < moment + lease * 0.7;
    UPDATE reader_shares s
       SET owner = for_owner, epoch = s.epoch + 1, lease_until = moment + lease,
           position = CASE WHEN s.position > head THEN 0 ELSE s.position END  -- an older log was put in place
     WHERE s.reader = for_reader AND s.share IN (
           SELECT o.share FROM reader_shares o
            WHERE o.reader = for_reader AND (o.owner IS NULL OR o.lease_until < moment)
            ORDER BY o.share LIMIT greatest(part - held, 0));
    RETURN QUERY SELECT s.share, s.epoch, NULL::text FROM reader_shares s
                  WHERE s.reader = for_reader AND s.owner = for_owner ORDER BY s.share;
END
$$;

REVOKE ALL ON FUNCTION keep_shares FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_shares TO orderdeck_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON reader_shares, reader_members TO orderdeck_app;
