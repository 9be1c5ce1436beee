"""A real Prometheus scrapes every daemon, and what it finds are the metrics that the reference names."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.command_api import ORDER
from tests.support.forked_daemon import ForkedDaemon
from tests.support.metrics_page import metrics
from tests.support.ports import free_port
from tests.support.prometheus_tools import tool
from tests.support.stack import ROOT, Stack, until
from tests.support.watched import named_in, queries

STARTED_HERE = ("relay", "notifier", "grpc_api")
PROGRAMS = ("command", "query", "payment", "projector", "saga_runner", *STARTED_HERE)
SOMETIMES = (
    "orderdeck_cache_",
    "orderdeck_replica_",
    "orderdeck_rebuild_",
    "orderdeck_dead_letters",
    "orderdeck_webhook_call",
)
"""Only with Redis, with replicas, while there is a rebuild, when there is a dead letter, when a webhook is called."""
LATER = ("orderdeck_money_at_risk", "orderdeck_provider_breaker_changes_total")
"""When something goes wrong."""


@pytest.fixture(scope="module")
def scraped(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack with one order and one stranger, a notifier, gRPC, and a relay whose Kafka is away: it answers."""
    refused = httpx.get(stack.url + "/api/v1/orders", headers={"Host": "evil.example"}, trust_env=False, timeout=20)
    assert refused.is_client_error, refused.text
    httpx.post(stack.url + "/api/v1/orders", json=ORDER, trust_env=False, timeout=20).raise_for_status()
    mails = {"ORDERDECK_SMTP_HOST": "localhost", "ORDERDECK_SMTP_FROM": "a@b.test", "ORDERDECK_SMTP_TO": "c@d.test"}
    wanted = {"KAFKA_BROKERS": "127.0.0.1:9", "ORDERDECK_NOTIFIER": "true", "ORDERDECK_GRPC": "true", **mails}
    env, log = stack.env | wanted | {"LOG_LEVEL": "ERROR"}, tmp_path_factory.mktemp("scraped") / "log"
    daemons = [ForkedDaemon(("-m", f"daemons.{name}"), env, log) for name in STARTED_HERE]
    try:
        for name in STARTED_HERE:
            until(lambda name=name: answers(stack, name))
        # A method has figures from its first call on.
        with grpc.insecure_channel(f"127.0.0.1:{stack.port('grpc')}") as channel:
            channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=20, wait_for_ready=True)
        yield stack
    finally:
        for daemon in daemons:
            daemon.terminate()
        for daemon in daemons:
            daemon.wait(timeout=30)


def answers(stack: Stack, program: str) -> bool:
    try:
        return bool(scrape(stack, program))
    except httpx.TransportError:
        return False


def scrape(stack: Stack, program: str) -> str:
    answer = httpx.get(f"http://127.0.0.1:{stack.port(program)}/metrics", trust_env=False, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.text


def names(text: str) -> set[str]:
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def test_every_metric_that_a_query_names_is_in_a_scrape_of_running_daemons(scraped: Stack) -> None:
    found = set[str]()
    wanted = {name for query in queries() for name in named_in(query) if ":" not in name} - {"up", *LATER}

    def missing() -> set[str]:
        """Some are measured once in some seconds only, and are gone while the database does not answer."""
        found.update(*(names(scrape(scraped, program)) for program in PROGRAMS))
        return {name for name in wanted - found if not name.startswith(SOMETIMES)}

    with suppress(AssertionError):
        until(lambda: not missing(), seconds=30)
    assert missing() == set()
    described = {one.name + part for one in metrics() for part in ("", "_bucket", "_sum", "_count")}
    assert {name for name in found if name.startswith("orderdeck_")} <= described


@pytest.mark.parametrize("program", PROGRAMS)
def test_promtool_has_nothing_to_say_against_the_metrics_of_a_daemon(scraped: Stack, program: str) -> None:
    command = [tool("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=scrape(scraped, program), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_real_prometheus_scrapes_every_daemon_without_an_error(scraped: Stack, tmp_path: Path) -> None:
    config: dict[str, Any] = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(ROOT / "deploy/prometheus" / name) for name in config["rule_files"]]
    (job,) = config["scrape_configs"]
    for one, program in zip(job["static_configs"], ("command", "query", "payment", *PROGRAMS[3:]), strict=True):
        assert one["labels"]["program"].startswith(program.replace("_", "-"))
        one["targets"] = [f"127.0.0.1:{scraped.port(program)}"]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    port = free_port()
    command = [
        tool("prometheus"),
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
    ]
    with (tmp_path / "log").open("w") as written:
        running = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=written, stderr=written)
    try:
        until(lambda: len(up(port)) == len(PROGRAMS))
        assert set(up(port).values()) == {"1"}
        targets = ask(port, "targets")["activeTargets"]
        assert [target["lastError"] for target in targets] == [""] * len(PROGRAMS)
        until(lambda: health(port) == {"ok"})
        log = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
        assert [line for line in log if "level=warn" in line or "level=error" in line] == []
    finally:
        running.terminate()
        running.wait(timeout=30)


def ask(port: int, what: str, **parameters: str) -> Any:
    url = f"http://127.0.0.1:{port}/api/v1/{what}"
    return httpx.get(url, params=parameters, trust_env=False, timeout=20).raise_for_status().json()["data"]


def up(port: int) -> dict[str, str]:
    """What Prometheus thinks of each target, by program; nothing while it starts."""
    try:
        found = ask(port, "query", query="up")["result"]
    except httpx.HTTPError:
        return {}
    return {one["metric"]["program"]: one["value"][1] for one in found}


def health(port: int) -> set[str]:
    """How the rules and alerts are evaluated: `unknown` before the first time, `ok`, or `err`."""
    return {rule["health"] for group in ask(port, "rules")["groups"] for rule in group["rules"]}
