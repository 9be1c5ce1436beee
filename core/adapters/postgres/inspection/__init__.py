"""What administrators look at, in PostgreSQL."""
