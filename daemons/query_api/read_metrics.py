"""Metrics of the servers that the query API reads from: the reads of each, and how far replicas are behind."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core.services.request_reads import PRIMARY, ReadServers


class ReadMetrics(Collector):
    """Reads the figures of `servers` whenever they are asked for."""

    def __init__(self, servers: ReadServers) -> None:
        self._servers = servers

    def describe(self) -> Iterable[Metric]:
        return ()  # else a second query API in one process, as in tests, is refused for having the same names

    def collect(self) -> Iterable[Metric]:
        states = self._servers.replicas.states()
        reads = CounterMetricFamily("orderdeck_reads", "Reads that a server has answered.", labels=["server"])
        for name in (PRIMARY, *(state.name for state in states)):
            reads.add_metric([name], self._servers.reads[name])
        yield reads
        if not states:
            return
        turned = CounterMetricFamily(
            "orderdeck_replica_failed_reads", "Reads that failed at a replica; the primary did them.", labels=["server"]
        )
        asked = GaugeMetricFamily("orderdeck_replica_asked", "Whether a replica is asked: 1 or 0.", labels=["server"])
        events = GaugeMetricFamily(
            "orderdeck_replica_lag_events", "Events that the primary has and a replica lacks.", labels=["server"]
        )
        seconds = GaugeMetricFamily(
            "orderdeck_replica_lag_seconds", "How long ago a replica had all that the primary had.", labels=["server"]
        )
        for state in states:
            turned.add_metric([state.name], self._servers.turned[state.name])
            asked.add_metric([state.name], state.asked)
            if state.events is not None:
                events.add_metric([state.name], state.events)
            if state.seconds is not None:
                seconds.add_metric([state.name], state.seconds)
        yield from (turned, asked, events, seconds)


@contextmanager
def read_metrics(servers: ReadServers) -> Generator[None]:
    """Show the figures in /metrics of this process."""
    metrics = ReadMetrics(servers)
    REGISTRY.register(metrics)
    try:
        yield
    finally:
        REGISTRY.unregister(metrics)
