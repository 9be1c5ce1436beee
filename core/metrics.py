"""What core measures for /metrics: the metrics of appends, connections, the payment provider and sagas.

They stand in one module because prometheus_client keeps one registry for the whole process, and refuses a name that is
used twice. docs/reference/metrics.md explains each of them.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
LONG = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)  # seconds
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

# --- appends ------------------------------------------------------------------------------------------------
APPENDS = Counter("orderdeck_appends", "Appends to the log that were decided, by how they ended.", ["outcome"])
APPENDED_EVENTS = Counter("orderdeck_appended_events", "Events that this process has recorded in the log.")
APPEND_BATCH = Histogram("orderdeck_append_batch_size", "Appends that one statement sent together.", buckets=SIZES)
APPEND_SECONDS = Histogram(
    "orderdeck_append_batch_duration_seconds",
    "From sending a batch of appends until all have a verdict.",
    buckets=QUICK,
)
APPEND_QUEUE = Gauge("orderdeck_append_queue_length", "Appends that wait in this process until they are sent.")

# --- connections to PostgreSQL ------------------------------------------------------------------------------
CONNECTIONS = Gauge("orderdeck_database_connections", "Connections of this process to PostgreSQL that are open.")
DATABASE_CALLS = Gauge("orderdeck_database_calls", "Calls that use one of these connections now or wait for one.")
DATABASE_WAIT = Histogram(
    "orderdeck_database_wait_seconds", "How long calls waited for their connection to be free.", buckets=QUICK
)

# --- the payment provider -----------------------------------------------------------------------------------
PROVIDER_SECONDS = Histogram(
    "orderdeck_provider_call_duration_seconds",
    "How long calls to the payment provider took, by operation and outcome.",
    ["operation", "outcome"],
    buckets=QUICK,
)
BREAKER_OPEN = Gauge(
    "orderdeck_provider_breaker_open", "1 while the payment provider counts as away and is not called."
)
BREAKER_CHANGES = Counter(
    "orderdeck_provider_breaker_changes", "Times that the breaker changed to this state.", ["state"]
)

# --- sagas --------------------------------------------------------------------------------------------------
SAGA_SECONDS = Histogram(
    "orderdeck_saga_duration_seconds",
    "From the start of a saga until it ended or failed, by its name and outcome.",
    ["saga", "outcome"],
    buckets=LONG,
)
SAGA_STEPS = Counter(
    "orderdeck_saga_steps",
    "Steps of sagas that this process recorded, by what became of them.",
    ["saga", "step", "outcome"],
)
STOCK_CONFLICTS = Counter("orderdeck_stock_conflicts", "Decisions on stock that other processes made void.")
STOCK_TURNS = Counter("orderdeck_stock_turns", "Turns at deciding on stock that this process has taken.")
