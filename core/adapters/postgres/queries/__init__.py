"""What is asked of PostgreSQL beside the read models: the log, the sagas, how far readers have come."""
