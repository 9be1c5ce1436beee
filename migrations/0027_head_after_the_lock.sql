-- Read the head of the log after the wait for the lock: meanwhile the log grows, and others read on. By the head of before, a
-- share seemed to have been read further than the log goes, and was read again from the beginning.
CREATE OR REPLACE FUNCTION keep_shares(for_reader text, for_owner text, wanted int, lease interval)
RETURNS TABLE (share int, epoch bigint, divided_by text)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz;
    head   bigint;
    other  text;
    held   int;
    part   int;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('reader_shares'), hashtext(for_reader));
    head := (SELECT coalesce(max(e.position), 0) FROM events e);
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
