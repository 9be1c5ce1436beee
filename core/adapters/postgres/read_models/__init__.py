"""The tables of the read models in PostgreSQL. The SQL of a read model is in a file of its own."""
