"""The container files, checked as far as they can be without an engine: schema, ports, health, and what they copy."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from core.database_address import read_address
from core.settings import Settings, env_names
from daemons.process.guard.server import DRAIN
from daemons.process.program_list import PROGRAMS
from daemons.process.runtime import CLOSE

ROOT = Path(__file__).resolve().parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
ONE_SHOT = {"migrate"}
TOOLS = {"kafka-ui", "pgadmin", "prometheus", "grafana"}
SCHEMA: dict[str, Any] = json.loads((ROOT / "tests/data/compose-spec.json").read_text(encoding="utf-8"))
LOCAL_PORT = re.compile(r"127\.0\.0\.1:(\d+):(\d+)")
SECRET = re.compile(r"\$\{(\w+):\?[^}]+\}")  # a variable that has to be given
PORTS = {program.name: int(Settings.model_fields[program.port].default) for program in PROGRAMS if program.port}


def dockerfile() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def instructions(name: str) -> list[str]:
    return [argument for each, argument in dockerfile() if each == name]


def test_no_file_with_passwords_and_nothing_else_that_is_made_on_a_machine_is_in_the_repository() -> None:
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert [file for file in found if file not in {".orderdeck/logs/.gitignore", ".orderdeck/run/.gitignore"}] == []


# --- docker-compose.yml -------------------------------------------------------------------------------------
def test_compose_is_valid_against_the_schema() -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(COMPOSE)


def test_the_check_of_the_compose_schema_refuses_a_wrong_file() -> None:
    wrong = {"services": {"app": {"image": "x", "port": ["1:1"]}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SCHEMA).validate(wrong)


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="apt install docker-compose")
def test_docker_compose_reads_the_file_and_refuses_it_without_the_passwords(tmp_path: Path) -> None:
    """It also refuses settings of a service that do not exist or do not fit together, which the schema lets pass."""
    secrets = tmp_path / "secrets"
    secrets.write_text("POSTGRES_PASSWORD=a\nPGADMIN_PASSWORD=b\n", encoding="utf-8")
    command = ["docker-compose", "--file", str(ROOT / "docker-compose.yml")]
    with_secrets = [*command, "--env-file", str(secrets), "--profile", "tools", "config", "--services"]
    read = subprocess.run(with_secrets, capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr
    assert set(read.stdout.split()) == set(SERVICES)
    (tmp_path / "none").touch()
    without = [*command, "--env-file", str(tmp_path / "none"), "config", "--quiet"]
    refused = subprocess.run(without, capture_output=True, text=True, check=False)
    assert (refused.returncode, "make docker-up draws it" in refused.stderr) == (1, True)


def test_compose_runs_each_daemon_as_a_service_of_its_own_beside_its_engines() -> None:
    daemons = {program.name: program.module for program in PROGRAMS} | {"migrate": "daemons.postgres"}
    del daemons["postgres"]
    assert {name: service["command"] for name, service in OURS.items()} == {
        name: ["python", "-m", module] for name, module in daemons.items()
    }
    images = {name: service["image"] for name, service in SERVICES.items() if name not in OURS}
    assert set(images) == {"gateway", "postgres", "kafka", "redis"} | TOOLS
    assert all(re.search(r":v?\d", image) for image in images.values()), "pin the version"
    assert {service["image"] for service in OURS.values()} == {"orderdeck"}


def test_only_the_tools_have_a_profile() -> None:
    assert {name: service.get("profiles") for name, service in SERVICES.items() if service.get("profiles")} == {
        name: ["tools"] for name in TOOLS
    }


@pytest.mark.parametrize("name", SERVICES)
def test_compose_publishes_ports_only_on_this_machine(name: str) -> None:
    assert all(LOCAL_PORT.fullmatch(port) for port in SERVICES[name].get("ports", []))
    assert SERVICES[name].get("network_mode") is None
    assert not SERVICES[name].get("privileged")


def test_each_port_of_this_machine_is_published_once_and_by_nobody_who_can_have_replicas() -> None:
    published = {port.split(":")[1]: name for name, service in SERVICES.items() for port in service.get("ports", [])}
    assert published == {
        "8080": "gateway", "8081": "gateway", "8082": "grpc-api", "8090": "payment-sandbox", "8091": "kafka-ui",
        "5050": "pgadmin",
        "9092": "kafka", "9090": "prometheus", "3000": "grafana",
    }  # fmt: skip
    assert sum(len(service.get("ports", [])) for service in SERVICES.values()) == len(published)
    assert [SERVICES[name].get("deploy", {}).get("replicas", 1) for name in published.values()] == [1] * len(published)


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT))
def test_every_service_of_compose_has_a_health_check_and_is_restarted(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(set(OURS) - ONE_SHOT))
def test_the_health_check_of_a_daemon_asks_this_daemon_and_may_take_as_long_as_it_can_take(name: str) -> None:
    health = OURS[name]["healthcheck"]
    assert health["test"] == ["CMD", "python", "deploy/healthy.py", name]
    limit = re.search(r"^LIMIT = (\d+)", (ROOT / "deploy/healthy.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert limit
    assert int(health["timeout"].removesuffix("s")) > int(limit[1])
    assert int(re.findall(r"--timeout=(\d+)s", instructions("HEALTHCHECK")[0])[0]) > int(limit[1])


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_of_compose_has_limits(name: str) -> None:
    assert set(SERVICES[name]["deploy"]["resources"]["limits"]) == {"cpus", "memory"}


@pytest.mark.parametrize("name", OURS)
def test_a_container_of_ours_has_no_right_that_it_does_not_need(name: str) -> None:
    service = OURS[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in service, "the image's own user"


def test_a_service_that_waits_for_another_waits_for_what_that_one_can_show() -> None:
    for service in SERVICES.values():
        for needed, how in service.get("depends_on", {}).items():
            once = needed in ONE_SHOT
            assert how["condition"] == ("service_completed_successfully" if once else "service_healthy")
            assert once or "healthcheck" in SERVICES[needed]
    assert OURS["migrate"]["restart"] == "on-failure"


def test_every_volume_of_compose_is_declared_and_used() -> None:
    used = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    files = {each for each in used if each.startswith("./")}
    assert used - files == set(COMPOSE["volumes"])
    assert [each for each in files if not (ROOT / each).exists()] == []


@pytest.mark.parametrize("name", OURS)
def test_compose_gives_a_daemon_only_settings_that_exist(name: str) -> None:
    environment: dict[str, str] = OURS[name]["environment"]
    assert set(environment) <= {each for field in Settings.model_fields for each in env_names(field)}
    assert environment["ORDERDECK_ALLOW_ANONYMOUS"] == "true"
    assert environment["ORDERDECK_HOST"] == "0.0.0.0"  # noqa: S104 - inside the container
    assert environment["ORDERDECK_PAYMENT_URL"] == f"http://payment-sandbox:{PORTS['payment-sandbox']}"
    assert "payment-sandbox" in environment["ORDERDECK_HOSTS"]
    assert ("ORDERDECK_OWNER_URL" in environment) == (name == "migrate"), "no daemon gets the owner's password"


def test_the_daemons_of_compose_log_in_as_a_user_that_is_not_the_owner() -> None:
    environment: dict[str, str] = OURS["migrate"]["environment"]
    database = SERVICES["postgres"]["environment"]
    owner = read_address(SECRET.sub("x", environment["ORDERDECK_OWNER_URL"]))
    daemons = read_address(SECRET.sub("x", environment["DATABASE_URL"]))
    assert (owner.user, owner.database) == (database["POSTGRES_USER"], database["POSTGRES_DB"])
    assert (daemons.user, daemons.database) == ("orderdeck_daemon", database["POSTGRES_DB"])
    assert owner.hosts == daemons.hosts == (("postgres", 5432),)
    assert daemons.password == "x", "it comes from outside of the file"  # noqa: S105 - the pattern has put it there


def test_no_password_stands_in_the_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert {"POSTGRES_PASSWORD", "PGADMIN_PASSWORD"} == set(SECRET.findall(text))
    left = SECRET.sub("", text)
    assert re.findall(r"(?:PASSWORD|SECRET)\w*: *\S+|://[^/:@\s]+:[^@\s]+@", left) == []


def test_compose_gives_each_daemon_enough_time_to_stop() -> None:
    for name in set(OURS) - ONE_SHOT:
        assert int(OURS[name]["stop_grace_period"].removesuffix("s")) > DRAIN + CLOSE


# --- the gateway --------------------------------------------------------------------------------------------
def test_the_gateway_spreads_over_the_replicas_of_both_services_at_their_ports() -> None:
    text = (ROOT / "deploy/compose/haproxy.cfg").read_text(encoding="utf-8")
    servers = re.findall(r"server-template \S+ (\d+) ([\w-]+):(\d+) check .*resolvers containers", text)
    assert {(name, int(port)) for _, name, port in servers} == {
        (name, PORTS[name]) for name in ("command-api", "query-api")
    }
    assert set(map(int, re.findall(r"^    bind :(\d+)", text, re.MULTILINE))) == {
        PORTS["command-api"], PORTS["query-api"], 8404,
    }  # fmt: skip
    assert "http://127.0.0.1:8404/healthy" in SERVICES["gateway"]["healthcheck"]["test"]
    assert "gateway" in OURS["command-api"]["environment"]["ORDERDECK_HOSTS"]


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="apt install haproxy")
def test_haproxy_takes_the_configuration_of_the_gateway() -> None:
    command = ["haproxy", "-c", "-f", str(ROOT / "deploy/compose/haproxy.cfg")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


# --- Dockerfile ---------------------------------------------------------------------------------------------
def test_the_image_has_the_lowest_python_that_the_project_allows() -> None:
    required = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert required
    assert instructions("ARG") == [f"BASE=python:{required[1]}-slim"]
    assert instructions("FROM") == ["${BASE} AS installed", "${BASE}"]


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    found = subprocess.run(
        [str(Path(sys.executable).parent / "hadolint"), str(ROOT / "Dockerfile")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stdout) == (0, "")


def last_stage() -> list[tuple[str, str]]:
    lines = dockerfile()
    return lines[max(number for number, (name, _) in enumerate(lines) if name == "FROM") :]


def test_the_container_runs_as_a_user_with_a_number_who_owns_nothing_but_the_home() -> None:
    names = [name for name, _ in last_stage()]
    assert names.index("USER") > max(number for number, name in enumerate(names) if name in {"COPY", "RUN"})
    assert instructions("USER") == ["10001:10001"]
    assert "install --directory --owner=10001 --group=10001 --mode=700 /app/.orderdeck" in instructions("RUN")[-1]
    assert not any("--chown" in argument for name, argument in last_stage() if name == "COPY")


def copied() -> list[str]:
    arguments = [shlex.split(each) for each in instructions("COPY") if "--from" not in each]
    return [source.rstrip("/") for each in arguments for source in each[:-1]]


def test_every_file_that_the_dockerfile_copies_exists_and_is_not_ignored() -> None:
    kept = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    assert [name for name in copied() if not (ROOT / name).exists()] == []
    assert set(copied()) == kept


def test_the_image_holds_every_package_and_no_test() -> None:
    assert {program.module.split(".")[0] for program in PROGRAMS} | {"core", "tui", "migrations"} <= set(copied())
    assert not {"tests", "bench", "docs"} & set(copied())


def test_the_image_installs_dependencies_by_their_hashes() -> None:
    installs = [each for each in instructions("RUN") if "pip install" in each]
    assert "--no-deps --require-hashes -r requirements.txt" in installs[0]
    assert "--no-deps" in installs[1]


def test_the_container_starts_all_programs_of_its_settings() -> None:
    assert json.loads(instructions("CMD")[0]) == ["/app/.venv/bin/python", "/app/deploy/start.py"]
    assert set(instructions("WORKDIR")) == {"/app"}
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert set(map(int, instructions("EXPOSE")[0].split())) == {*PORTS.values(), 8082}


def test_the_image_itself_checks_every_program_in_it() -> None:
    _, command = instructions("HEALTHCHECK")[0].split(" CMD ")
    assert json.loads(command) == ["/app/.venv/bin/python", "/app/deploy/healthy.py"]


def test_the_home_is_where_the_volume_is() -> None:
    assert instructions("RUN")[-1].endswith(" /app/.orderdeck")
    assert "supervisord.conf" in copied(), "the folder in which this lies has the home below it"
    assert OURS["payment-sandbox"]["volumes"] == ["ledger:/app/.orderdeck"]
