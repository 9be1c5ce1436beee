"""Watches the primary and its replicas, so that reads go only to those that show enough."""
