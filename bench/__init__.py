"""The bench: what orderdeck does in a second, beside its peers on the same PostgreSQL in the same run."""
