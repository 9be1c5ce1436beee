#!/usr/bin/env python3
"""Writes the dashboards of Grafana from the tables below: `python deploy/grafana/make_dashboards.py`.

Plain JSON needs no library: grafana-foundation-sdk only builds the same dictionaries, and does not check them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${source}"}
WIDTH, HEIGHT, COLUMNS = 8, 7, 3  # of a panel; a row of Grafana's grid has 24 columns

Panel = tuple[str, str, dict[str, str]]
"""A title, a unit of Grafana, and each query with the legend of its lines."""

LOOP = "sum by (program, instance, le) (rate(orderdeck_event_loop_delay_seconds_bucket[5m]))"
WAIT = "sum by (program, le) (rate(orderdeck_database_wait_seconds_bucket[5m]))"
BATCH = "sum by (program) (rate(orderdeck_append_batch_size_{}[5m]))"
CALLS = "sum by (operation, le) (rate(orderdeck_provider_call_duration_seconds_bucket[5m]))"
GRPC = "sum by (method, le) (rate(orderdeck_grpc_call_duration_seconds_bucket[5m]))"

DASHBOARDS: dict[str, tuple[str, tuple[Panel, ...]]] = {
    "desk": (
        "orderdeck: the desk",
        (
            ("Events recorded", "ops", {"orderdeck:appended_events:rate5m": "{{program}}"}),
            (
                "Money authorised, not captured",
                "none",
                {"max by (currency) (orderdeck_money_authorised)": "{{currency}}"},
            ),
            (
                "Money at risk",
                "none",
                {"max by (state, currency) (orderdeck_money_at_risk)": "{{state}} {{currency}}"},
            ),
            ("Unfinished sagas", "none", {"max by (state) (orderdeck_sagas)": "{{state}}"}),
            ("Readers behind", "s", {"max by (reader) (orderdeck_reader_lag_seconds)": "{{reader}}"}),
            ("Readers behind, in events", "none", {"max by (reader) (orderdeck_reader_lag_events)": "{{reader}}"}),
            ("Dead letters", "none", {"max by (reader) (orderdeck_dead_letters)": "{{reader}}"}),
            ("Rebuilds", "percentunit", {"max by (reader) (orderdeck_rebuild_progress_ratio)": "{{reader}}"}),
            ("Position of the log", "none", {"max(orderdeck_log_position)": "head"}),
        ),
    ),
    "sagas": (
        "orderdeck: sagas and payments",
        (
            ("Sagas, 95 % end within", "s", {"orderdeck:saga_duration_seconds:p95_5m": "{{saga}} {{outcome}}"}),
            (
                "Steps",
                "ops",
                {'orderdeck:saga_steps:rate5m{outcome=~"done|undone"}': "{{saga}} {{step}} {{outcome}}"},
            ),
            (
                "Steps that did not succeed",
                "ops",
                {'orderdeck:saga_steps:rate5m{outcome!~"done|undone"}': "{{saga}} {{step}} {{outcome}}"},
            ),
            ("Waits for a runner", "none", {"max by (kind) (orderdeck_saga_backlog)": "{{kind}}"}),
            ("The oldest has waited", "s", {"max by (kind) (orderdeck_saga_backlog_seconds)": "{{kind}}"}),
            ("Sagas under way", "none", {"orderdeck_saga_runner_sagas": "{{instance}}"}),
            ("Calls to the provider, 99 % within", "s", {f"histogram_quantile(0.99, {CALLS})": "{{operation}}"}),
            (
                "Calls to the provider",
                "ops",
                {
                    "sum by (operation, outcome) (rate(orderdeck_provider_call_duration_seconds_count[5m]))": (
                        "{{operation}} {{outcome}}"
                    )
                },
            ),
            (
                "Breaker open; stock decided again",
                "none",
                {
                    "max(orderdeck_provider_breaker_open)": "breaker",
                    "sum(rate(orderdeck_stock_conflicts_total[5m]))": "conflicts a second",
                    "sum(rate(orderdeck_stock_turns_total[5m]))": "turns a second",
                },
            ),
        ),
    ),
    "daemons": (
        "orderdeck: daemons",
        (
            (
                "Ready",
                "none",
                {"min by (program) (orderdeck_ready)": "{{program}}", 'up{job="orderdeck"}': "up {{program}}"},
            ),
            (
                "Requests",
                "reqps",
                {"sum by (program, outcome) (orderdeck:http_requests:rate5m)": "{{program}} {{outcome}}"},
            ),
            (
                "Routes, 99 % within",
                "s",
                {"topk(10, orderdeck:http_request_duration_seconds:p99_5m)": "{{method}} {{route}}"},
            ),
            (
                "Refused before a route",
                "reqps",
                {"sum by (program, code) (rate(orderdeck_http_refusals_total[5m]))": "{{program}} {{code}}"},
            ),
            ("Event loop late, 99 % within", "s", {f"histogram_quantile(0.99, {LOOP})": "{{program}} {{instance}}"}),
            ("CPU", "percentunit", {"rate(process_cpu_seconds_total[5m])": "{{program}} {{instance}}"}),
            ("Memory", "bytes", {"process_resident_memory_bytes": "{{program}} {{instance}}"}),
            ("Wait for a connection, 99 % within", "s", {f"histogram_quantile(0.99, {WAIT})": "{{program}}"}),
            (
                "Connections",
                "none",
                {
                    "sum by (program) (orderdeck_database_connections)": "{{program}} open",
                    "sum by (program) (orderdeck_database_calls)": "{{program}} calls",
                },
            ),
            (
                "Appends in a batch",
                "none",
                {f"{BATCH.format('sum')} / {BATCH.format('count')}": "{{program}}"},
            ),
            ("A batch of appends, 99 % within", "s", {"orderdeck:append_batch_duration_seconds:p99_5m": "{{program}}"}),
            (
                "Appends that wait; how appends ended",
                "none",
                {
                    "sum by (program) (orderdeck_append_queue_length)": "{{program}} wait",
                    'sum by (outcome) (rate(orderdeck_appends_total{outcome!="accepted"}[5m]))': "{{outcome}} a second",
                },
            ),
            (
                "Relay",
                "ops",
                {
                    "orderdeck:relay_sent:rate5m": "sent",
                    "sum by (kind) (rate(orderdeck_relay_errors_total[5m]))": "errors: {{kind}}",
                },
            ),
            (
                "Webhooks",
                "ops",
                {
                    "sum by (outcome) (rate(orderdeck_webhook_calls_total[5m]))": "{{outcome}}",
                    "max(orderdeck_webhook_due_deliveries)": "due",
                },
            ),
            (
                "E-mails to operators",
                "none",
                {
                    "sum by (kind) (increase(orderdeck_mails_sent_total[15m]))": "sent: {{kind}}",
                    "sum by (kind) (increase(orderdeck_mails_failed_total[15m]))": "not sent: {{kind}}",
                },
            ),
            ("Cache: part of the reads that hit", "percentunit", {"orderdeck:cache_hit:ratio_rate5m": "hits"}),
            (
                "gRPC calls",
                "reqps",
                {"sum by (code) (rate(orderdeck_grpc_call_duration_seconds_count[5m]))": "{{code}}"},
            ),
            ("gRPC calls, 99 % within", "s", {f"histogram_quantile(0.99, {GRPC})": "{{method}}"}),
            ("gRPC streams", "none", {"orderdeck_grpc_streams": "{{instance}}"}),
            ("Replicas behind", "s", {"max by (server) (orderdeck_replica_lag_seconds)": "{{server}}"}),
        ),
    ),
}

EMPTY_UNLESS = {
    "Money at risk": "Empty as long as no money is at risk.",
    "Dead letters": "Empty as long as there are none.",
    "Rebuilds": "Empty as long as nothing is rebuilt.",
    "Relay": "Only with Kafka.",
    "Webhooks": "The calls are empty until a webhook is called.",
    "E-mails to operators": "Only with a mail server.",
    "Cache: part of the reads that hit": "Only with Redis.",
    "Replicas behind": "Only with replicas.",
}
"""What panels say of themselves of which a sound orderdeck may have nothing to show."""


def dashboard(uid: str) -> dict[str, Any]:
    title, panels = DASHBOARDS[uid]
    source = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return {
        "uid": f"orderdeck-{uid}",
        "title": title,
        "tags": ["orderdeck"],
        "schemaVersion": 39,
        "timezone": "utc",
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [source]},
        "panels": [_panel(number, *panel) for number, panel in enumerate(panels)],
    }


def _panel(number: int, title: str, unit: str, queries: dict[str, str]) -> dict[str, Any]:
    row, column = divmod(number, COLUMNS)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "description": EMPTY_UNLESS.get(title, ""),
        "datasource": SOURCE,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for n, (query, legend) in enumerate(queries.items())
        ],
    }


def text_of(uid: str) -> str:
    return json.dumps(dashboard(uid), indent=1) + "\n"


if __name__ == "__main__":
    for name in DASHBOARDS:
        (FOLDER / f"{name}.json").write_text(text_of(name), encoding="utf-8")
