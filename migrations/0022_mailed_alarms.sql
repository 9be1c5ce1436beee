-- What operators were told of by e-mail. An alarm that is over is kept for a day, so that the pause between two mails of its
-- kind is kept too; when it begins anew, `since` differs, and it is told again.
CREATE TABLE mailed_alarms (
    kind      text        NOT NULL,
    subject   text        NOT NULL,                  -- the saga, dead letter, reader or webhook
    since     timestamptz NOT NULL,
    ended     boolean     NOT NULL DEFAULT false,
    mailed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, subject)
);
CREATE INDEX mailed_alarms_mailed ON mailed_alarms (kind, mailed_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON mailed_alarms TO orderdeck_app;
