"""The read models in PostgreSQL, one SQL module a read model."""
