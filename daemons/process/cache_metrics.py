"""Shows what the cache of orders has done in /metrics, and what is wrong with it in /ready."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core.ports.order_cache import CacheReport
from core.settings import Settings
from daemons.process.vitals import Vitals


class CacheMetrics(Collector):
    """Nothing is shown of a daemon that has no cache."""

    def __init__(self) -> None:
        self.report: CacheReport | None = None

    def why_degraded(self) -> str | None:
        wrong = self.report.wrong if self.report is not None else None
        return f"orders are not cached: {wrong}" if wrong is not None else None

    def collect(self) -> Iterator[Metric]:
        if (report := self.report) is None:
            return
        reads = CounterMetricFamily(
            "orderdeck_cache_reads", "Orders that were read by their ids, by what the cache did.", labels=["outcome"]
        )
        for outcome, count in (("hit", report.hits), ("miss", report.misses), ("bypass", report.bypasses)):
            reads.add_metric([outcome], count)
        yield reads
        ratio = "The part of all orders read by their ids since the start that the cache answered."
        yield GaugeMetricFamily("orderdeck_cache_hit_ratio", ratio, value=report.hit_ratio)
        yield CounterMetricFamily(
            "orderdeck_cache_errors", "Calls to Redis and tries to connect that failed.", value=report.errors
        )
        yield CounterMetricFamily(
            "orderdeck_cache_marked", "Orders marked in the cache before they were saved.", value=report.marked
        )
        yield CounterMetricFamily(
            "orderdeck_cache_written", "Orders stored in the cache after they were saved.", value=report.written
        )
        usable = "1 while the cache is used; 0 while /ready says why it is not."
        yield GaugeMetricFamily("orderdeck_cache_usable", usable, value=report.wrong is None)


METRICS = CacheMetrics()
REGISTRY.register(METRICS)


def show_cache(settings: Settings, report: CacheReport, vitals: Vitals) -> None:
    """Show the cache of a daemon, if the settings name one. When its work begins anew, so does the report."""
    METRICS.report = report if settings.redis_url is not None else None
    if METRICS.why_degraded not in vitals.degraded:
        vitals.degraded.append(METRICS.why_degraded)
