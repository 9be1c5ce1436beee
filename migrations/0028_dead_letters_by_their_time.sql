-- Readers ask several times a second which of their dead letters are to be tried again, and nearly none is.
CREATE INDEX dead_letters_due ON dead_letters (retry_at) WHERE retry_at IS NOT NULL;
