"""The Queries port in PostgreSQL; what it reads of a read model stands beside the other SQL of that read model."""
