"""The relay: sends every event of the log to Kafka."""
