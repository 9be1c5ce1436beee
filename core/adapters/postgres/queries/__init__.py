"""The Queries port in PostgreSQL. The SQL that reads a read model is in that model's file in `read_models`."""
