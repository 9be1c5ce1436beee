"""Writes the table of docs/reference/metrics.md from the code: `python -m tests.support.metrics_page`."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/metrics.md"
PROGRAMS = {
    "core": "every daemon",
    "daemons/process": "every daemon",
    "daemons/process/cache_metrics.py": "query API, projector; with `REDIS_URL`",
    "daemons/process/backlog_meter.py": "saga runner",
    "daemons/process/http_metrics.py": "every HTTP service",
    "daemons/process/trace_export.py": "every daemon; with `OTEL_EXPORTER_OTLP_ENDPOINT`",
    "daemons/command_api": "command API",
    "daemons/query_api": "query API",
    "daemons/query_api/read_metrics.py": "query API; those of replicas with `ORDERDECK_REPLICA_URLS`",
    "daemons/projector": "projector",
    "daemons/grpc_api": "gRPC API",
    "daemons/relay": "relay",
    "daemons/notifier": "notifier",
    "daemons/saga_runner": "saga runner",
}
TABLE = "| metric | type | labels | unit | means | of |\n|---|---|---|---|---|---|\n"


class Described(NamedTuple):
    """A metric as it is scraped: `name` has the `_total` of counters."""

    name: str
    type: str
    labels: tuple[str, ...]
    means: str


def metrics() -> list[Described]:
    """All metrics of all daemons, sorted by name. They are registered when the modules are imported."""
    for path in sorted((ROOT / "daemons").rglob("*.py")):
        if "prometheus_client" in path.read_text(encoding="utf-8"):
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    importlib.import_module("core.metrics")
    collectors = cast("dict[Any, list[str]]", vars(REGISTRY)["_collector_to_names"])
    own = [each for each in collectors if isinstance(each, MetricWrapperBase)]
    found = [_described(family, vars(each)["_labelnames"]) for each in own for family in each.describe()]
    found += [
        _described(family, tuple(family.samples[0].labels) if family.samples else ())
        for collector in _collectors()
        for family in collector.collect()
    ]
    return sorted(one for one in found if one.name.startswith("orderdeck_"))


def _collectors() -> list[Any]:
    """Those that make metrics of what they are given, with everything that they can show."""
    cache = importlib.import_module("daemons.process.cache_metrics").CacheMetrics()
    cache.report = importlib.import_module("core.ports.order_cache").CacheReport()
    state = SimpleNamespace(name="replica-1", asked=True, events=0, seconds=0.0)
    replicas = SimpleNamespace(states=lambda: [state])
    servers = SimpleNamespace(replicas=replicas, reads=Counter[str](), turned=Counter[str]())
    return [cache, importlib.import_module("daemons.query_api.read_metrics").ReadMetrics(servers)]


def _described(family: Any, labels: tuple[str, ...]) -> Described:
    name = family.name + ("_total" if family.type == "counter" else "")
    return Described(name, family.type, tuple(labels), family.documentation)


def _program(name: str) -> str:
    """Which program has a metric, by where its name stands in the code."""
    text = f'"{name.removesuffix("_total")}"'
    for top in ("core", "daemons"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if text in path.read_text(encoding="utf-8"):
                place = path.relative_to(ROOT)
                return next(PROGRAMS[str(one)] for one in (place, *place.parents) if str(one) in PROGRAMS)
    raise LookupError(name)


def _unit(name: str) -> str:
    if re.search(r"_seconds$", name):
        return "seconds"
    if name.endswith("_ratio"):
        return "0 to 1"
    return "money" if "_money_" in name else "number"


def page() -> str:
    """The page as it is above its table, with the table as the code has it."""
    head, _, _ = PAGE.read_text(encoding="utf-8").partition(TABLE)
    return head + TABLE + "".join(_row(one) for one in metrics())


def _row(one: Described) -> str:
    labels = ", ".join(f"`{label}`" for label in one.labels)
    return f"| `{one.name}` | {one.type} | {labels} | {_unit(one.name)} | {one.means} | {_program(one.name)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
