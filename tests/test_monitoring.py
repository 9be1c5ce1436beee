"""deploy/prometheus and deploy/grafana: promtool accepts them, and all that they name exists.

Grafana itself was not run: its files are checked as far as that goes without.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from core.settings import Settings
from daemons.process.program_list import PROGRAMS
from tests.support.metrics_page import metrics
from tests.support.prometheus_tools import tool
from tests.support.watched import ALERTS, DASHBOARDS, FOLDER, RECORDED, ROOT, named_in, queries, read

OF_THE_LIBRARY = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}


def shown_by_daemons() -> set[str]:
    """The names of all series that daemons show."""
    parts = {"histogram": ("_bucket", "_sum", "_count")}
    return {one.name + part for one in metrics() for part in parts.get(one.type, ("",))}


# --- promtool -----------------------------------------------------------------------------------------------
def promtool(*arguments: str | Path) -> None:
    done = subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, cwd=FOLDER, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_rules_alerts_and_what_is_scraped(tmp_path: Path) -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("check", "config", "compose.yml")
    pods = read("kubernetes.yml")
    for job in pods["scrape_configs"]:
        assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]  # Debian's promtool is built without it
    (tmp_path / "kubernetes.yml").write_text(yaml.safe_dump(pods | {"rule_files": []}), encoding="utf-8")
    promtool("check", "config", "--syntax-only", tmp_path / "kubernetes.yml")


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    promtool("test", "rules", "tests.yml")


def test_promtool_understands_every_query_of_the_dashboards(tmp_path: Path) -> None:
    rules = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(queries())]
    (tmp_path / "queries.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}), encoding="utf-8"
    )
    promtool("check", "rules", tmp_path / "queries.yml")


# --- alerts -------------------------------------------------------------------------------------------------
def test_every_alert_has_a_test_in_which_it_fires_and_stays_silent_before() -> None:
    fires: dict[str, set[bool]] = {}
    for test in read("tests.yml")["tests"]:
        for case in test["alert_rule_test"]:
            fires.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert fires == {name: {False, True} for name in ALERTS}


def test_every_alert_says_how_bad_it_is_and_leads_to_its_section() -> None:
    page = (ROOT / "docs/how-to/answer-an-alert.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert sections.keys() == ALERTS.keys()
    for name, alert in ALERTS.items():
        severity = alert["labels"]["severity"]
        assert severity in {"critical", "warning"}
        assert alert["annotations"]["summary"]
        assert alert["annotations"]["runbook"] == f"docs/how-to/answer-an-alert.md#{name.lower()}"
        assert sections[name].strip().startswith(f"*{severity}*:"), name
        assert sections[name].count("- Look at: ") == sections[name].count("- Do: ") == 1, name


# --- names --------------------------------------------------------------------------------------------------
def test_every_metric_that_a_query_names_is_one_that_daemons_show() -> None:
    known = shown_by_daemons() | RECORDED.keys() | OF_THE_LIBRARY
    for query in queries():
        assert named_in(query), query
        assert named_in(query) <= known, query


def test_a_misspelt_metric_would_be_noticed() -> None:
    assert named_in('sum by (up) (rate(orderdeck_appendz_total{outcome="up"}[5m]))') == {"orderdeck_appendz_total"}
    assert "orderdeck_appendz_total" not in shown_by_daemons()
    assert "orderdeck_appends_total" in shown_by_daemons()


def test_every_recorded_rule_is_used() -> None:
    used = {name for query in queries() for name in named_in(query)}
    assert RECORDED.keys() <= used


def test_what_is_scraped_are_the_default_ports_of_all_programs() -> None:
    ports = {each.name: int(Settings.model_fields[each.port].default) for each in PROGRAMS if each.port}
    (local,) = read("prometheus.yml")["scrape_configs"]
    assert {one["labels"]["program"]: one["targets"] for one in local["static_configs"]} == {
        name: [f"127.0.0.1:{port}"] for name, port in ports.items()
    }
    (compose,) = read("compose.yml")["scrape_configs"]
    assert {one["names"][0]: one["port"] for one in compose["dns_sd_configs"]} == ports


# --- dashboards ---------------------------------------------------------------------------------------------
def test_the_dashboards_are_those_that_the_script_writes() -> None:
    spec = importlib.util.spec_from_file_location("make_dashboards", ROOT / "deploy/grafana/make_dashboards.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert {path.stem: path.read_text(encoding="utf-8") for path in DASHBOARDS} == {
        uid: script.text_of(uid) for uid in script.DASHBOARDS
    }, "run deploy/grafana/make_dashboards.py"
    titles = {title for _, panels in script.DASHBOARDS.values() for title, *_ in panels}
    assert script.EMPTY_UNLESS.keys() <= titles


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_has_room_for_each_panel_and_asks_the_source_that_is_chosen(path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    variables = {f"${{{variable['name']}}}" for variable in board["templating"]["list"]}
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
        assert {panel["datasource"]["uid"], *(one["datasource"]["uid"] for one in panel["targets"])} == variables
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_grafana_finds_its_source_and_its_dashboards_where_compose_puts_them() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    places = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    provisioning = ROOT / "deploy/grafana/provisioning"
    assert places["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    (board,) = yaml.safe_load((provisioning / "dashboards/orderdeck.yml").read_text(encoding="utf-8"))["providers"]
    assert places["./deploy/grafana/dashboards"] == board["options"]["path"]
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text(encoding="utf-8"))["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "--config.file=/etc/prometheus/compose.yml" in services["prometheus"]["command"]
    assert "./deploy/prometheus:/etc/prometheus:ro" in services["prometheus"]["volumes"]
