"""query-api: answers from the read models and the log, and streams the log live; at most it has read models made."""
