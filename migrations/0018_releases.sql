-- Which release of the programs ran from when on. `migrate` adds a row when it is run by another one than the last time,
-- which each release does before its daemons start. `position` is where the log ended then.
CREATE TABLE releases (
    number   int         NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    version  text        NOT NULL,
    build    text        NOT NULL,                     -- the beginning of a hash of its program files
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    position bigint      NOT NULL
);

GRANT SELECT ON releases TO orderdeck_app;
