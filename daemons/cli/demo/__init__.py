"""`orderdeck demo`: places real orders over HTTP and prints each of their events as it happens."""
