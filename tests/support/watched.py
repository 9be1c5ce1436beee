"""What deploy/prometheus and deploy/grafana have: rules, alerts, dashboards, and the metrics that queries name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/prometheus"
DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
METRIC = re.compile(r"\b(?:orderdeck|process|python)[a-z0-9_]*(?::[a-z0-9_:]+)?\b|\bup\b")


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


RECORDED = {rule["record"]: rule["expr"] for group in read("rules.yml")["groups"] for rule in group["rules"]}
ALERTS = {rule["alert"]: rule for group in read("alerts.yml")["groups"] for rule in group["rules"]}


def panels() -> list[dict[str, Any]]:
    return [panel for path in DASHBOARDS for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]]


def queries() -> list[str]:
    """Every query of dashboards, rules and alerts."""
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [*shown, *RECORDED.values(), *(alert["expr"] for alert in ALERTS.values())]


def named_in(query: str) -> set[str]:
    """The metrics that a query names; strings and lists of labels are left out."""
    bare = re.sub(r'"[^"]*"', "", re.sub(r"\b(?:by|without) \([^)]*\)|\{[^}]*\}", "", query))
    return set(METRIC.findall(bare))
