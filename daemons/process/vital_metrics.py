"""What every daemon says about itself in /metrics: its release, whether it is ready, and how its event loop turns."""

from __future__ import annotations

from prometheus_client import Gauge, Histogram

INFO = Gauge("orderdeck_build_info", "Always 1; which program and release this is.", ["service", "version"])
READY = Gauge("orderdeck_ready", "1 if /ready would answer 200 now, else 0.")
DEGRADED = Gauge("orderdeck_degraded_parts", "What the daemon does without although it is ready, as /ready says it.")
LOOP_DELAY = Histogram(
    "orderdeck_event_loop_delay_seconds",
    "How much later than asked for the event loop woke up, tried every two seconds.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
