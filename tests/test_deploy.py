"""The container files, checked as far as they can be without an engine: schema, ports, health, and what they copy."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from core.database_address import read_address
from core.settings import Settings, env_names
from daemons.process.program_list import PROGRAMS

ROOT = Path(__file__).resolve().parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SCHEMA: dict[str, Any] = json.loads((ROOT / "tests/data/compose-spec.json").read_text(encoding="utf-8"))
LOCAL_PORT = re.compile(r"127\.0\.0\.1:(\d+):(\d+)")


def dockerfile() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def instructions(name: str) -> list[str]:
    return [argument for each, argument in dockerfile() if each == name]


# --- docker-compose.yml -------------------------------------------------------------------------------------
def test_compose_is_valid_against_the_schema() -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(COMPOSE)


def test_the_check_of_the_compose_schema_refuses_a_wrong_file() -> None:
    wrong = {"services": {"app": {"image": "x", "port": ["1:1"]}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SCHEMA).validate(wrong)


def test_compose_runs_the_app_postgres_kafka_and_redis() -> None:
    images = {name: service.get("image", "built here") for name, service in SERVICES.items()}
    assert set(images) == {"app", "postgres", "kafka", "redis"}
    assert re.fullmatch(r"postgres:18(\.\d+)?", images["postgres"])
    assert all(re.search(r":\d", image) for image in images.values() if image != "built here"), "pin the version"


@pytest.mark.parametrize("name", SERVICES)
def test_compose_publishes_ports_only_on_this_machine(name: str) -> None:
    assert all(LOCAL_PORT.fullmatch(port) for port in SERVICES[name].get("ports", []))
    assert SERVICES[name].get("network_mode") is None


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_of_compose_has_a_health_check_and_is_restarted(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_a_service_that_waits_for_anothers_health_waits_for_one_with_a_health_check() -> None:
    for service in SERVICES.values():
        for needed, how in service.get("depends_on", {}).items():
            assert how["condition"] == "service_healthy"
            assert "healthcheck" in SERVICES[needed]


def test_every_volume_of_compose_is_declared_and_used() -> None:
    used = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_the_app_in_compose_gets_only_settings_that_exist() -> None:
    environment = SERVICES["app"]["environment"]
    assert set(environment) <= {each for field in Settings.model_fields for each in env_names(field)}
    assert environment["ORDERDECK_ALLOW_ANONYMOUS"] == "true"
    assert environment["ORDERDECK_HOST"] == "0.0.0.0"  # noqa: S104 - inside the container
    database = SERVICES["postgres"]["environment"]
    expected = f"postgresql://{database['POSTGRES_USER']}:{database['POSTGRES_PASSWORD']}@postgres:5432/"
    assert environment["ORDERDECK_OWNER_URL"] == expected + database["POSTGRES_DB"]
    daemons = read_address(environment["DATABASE_URL"].replace("${POSTGRES_PASSWORD:-orderdeck}", "x"))
    assert (daemons.user, daemons.database) == ("orderdeck_daemon", database["POSTGRES_DB"])


def test_compose_publishes_the_ports_of_the_services() -> None:
    published = {tuple(map(int, LOCAL_PORT.findall(port)[0])) for port in SERVICES["app"]["ports"]}
    ports = {Settings.model_fields[name].default for name in ("command_port", "query_port", "payment_port")}
    assert published == {(port, port) for port in ports}
    assert {int(port) for port in instructions("EXPOSE")[0].split()} == ports
    assert set(runpy.run_path(str(ROOT / "deploy/healthy.py"))["PORTS"]) == ports


def test_compose_gives_the_container_enough_time_to_stop() -> None:
    assert int(SERVICES["app"]["stop_grace_period"].removesuffix("s")) > 30  # stopwaitsecs of supervisord.conf


# --- Dockerfile ---------------------------------------------------------------------------------------------
def test_the_image_has_the_lowest_python_that_the_project_allows() -> None:
    required = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert required
    assert instructions("FROM") == [f"python:{required[1]}-slim"]


def test_nothing_in_the_image_runs_as_root() -> None:
    names = [name for name, _ in dockerfile()]
    assert names.index("USER") < names.index("COPY")
    assert instructions("USER") == ["orderdeck"]


def copied() -> list[str]:
    arguments = [shlex.split(each) for each in instructions("COPY")]
    return [source.rstrip("/") for each in arguments for source in each[1:-1]]


def test_every_file_that_the_dockerfile_copies_exists_and_is_not_ignored() -> None:
    kept = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    assert [name for name in copied() if not (ROOT / name).exists()] == []
    assert set(copied()) == kept


def test_the_image_holds_every_package() -> None:
    assert {program.module.split(".")[0] for program in PROGRAMS} | {"core", "tui", "migrations"} <= set(copied())


def test_the_image_installs_dependencies_by_their_hashes() -> None:
    installs = [each for each in instructions("RUN") if "pip install" in each]
    assert "--no-deps --require-hashes -r requirements.txt" in installs[0]
    assert "--no-deps" in installs[1]


def test_the_container_runs_supervisord_in_the_foreground() -> None:
    program, *arguments = json.loads(instructions("CMD")[0])
    assert program.endswith("/.venv/bin/supervisord")
    assert arguments == ["-n", "-c", "/app/supervisord.conf"]
    assert instructions("WORKDIR") == ["/app"]


def test_the_folders_of_supervisord_are_in_the_image() -> None:
    conf = (ROOT / "supervisord.conf").read_text(encoding="utf-8")
    folders = set(re.findall(r"%\(here\)s/(\.orderdeck/\w+)/", conf))
    made = " ".join(instructions("RUN"))
    assert all(folder in made for folder in folders)
    [home] = [mount for mount in SERVICES["app"]["volumes"] if mount.startswith("home:")]
    assert home == "home:/app/.orderdeck"
