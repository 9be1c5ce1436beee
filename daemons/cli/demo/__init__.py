"""`orderdeck demo`: real orders over HTTP, and every event of theirs as it happens."""
