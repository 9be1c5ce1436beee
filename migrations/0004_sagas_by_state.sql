-- Operators list sagas newest first, by what they are at. The finished ones are nearly all, and are not to be passed over
-- one by one to find the others.
CREATE INDEX sagas_open   ON sagas (started_at, saga_id) WHERE status IN ('RUNNING', 'COMPENSATING');
CREATE INDEX sagas_undone ON sagas (started_at, saga_id) WHERE status IN ('COMPENSATED', 'RESOLVED');
