"""The Kubernetes manifests: valid, and fitting to each other, to the settings and to the programs."""

from __future__ import annotations

import re

import kubernetes_validate
import pytest
import yaml

from core.settings import Settings, env_names, load_settings
from daemons.process.guard.server import DRAIN
from daemons.process.runtime import CLOSE
from tests.support.manifests import (
    DAEMONS,
    MANIFESTS,
    OVERLAYS,
    ROOT,
    SANDBOX,
    USES,
    Document,
    container,
    fits,
    labels,
    of_kind,
    ours,
    pod,
    rendered,
    workloads,
)


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def documents(overlay: str) -> list[Document]:
    return rendered(overlay)


# --- validity -----------------------------------------------------------------------------------------------
def test_every_document_is_valid_and_has_no_field_that_kubernetes_does_not_know(
    overlay: str, documents: list[Document]
) -> None:
    for document in documents:
        kubernetes_validate.validate(document, OVERLAYS[overlay], strict=True)
        assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "orderdeck"
    wrong = workloads(documents)["relay"] | {"spec": workloads(documents)["relay"]["spec"] | {"replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, OVERLAYS[overlay], strict=True)


def test_every_file_is_used() -> None:
    named = "\n".join(path.read_text(encoding="utf-8") for path in MANIFESTS.rglob("kustomization.yaml"))
    files = {path.name for path in MANIFESTS.rglob("*.yaml")} - {"kustomization.yaml"}
    assert {name for name in files if name not in named} == set()
    assert {path.name for path in (MANIFESTS / "overlays").iterdir()} == set(OVERLAYS)


# --- programs and settings ----------------------------------------------------------------------------------
def test_each_daemon_is_a_deployment_of_its_own(overlay: str, documents: list[Document]) -> None:
    expected = {name: program.module for name, program in DAEMONS.items()} | {"migrate": "daemons.postgres"}
    if overlay == "large":
        del expected[SANDBOX]
    commands = {name: container(each)["command"] for name, each in ours(documents).items()}
    assert commands == {name: ["python", "-m", module] for name, module in expected.items()}
    images = {container(each)["image"] for each in ours(documents).values()}
    assert len(images) == 1
    assert re.search(r"orderdeck:\d", images.pop())


EXAMPLES = {"REDIS_URL": "redis://redis:6379", "KAFKA_SASL_USERNAME": "orderdeck", "KAFKA_SASL_PASSWORD": "secret"}


def settings_of(workload: Document, documents: list[Document]) -> dict[str, str]:
    """The environment of a container, with an example in place of each secret."""
    given: dict[str, str] = {}
    for source in container(workload)["envFrom"]:
        given |= of_kind(documents, "ConfigMap")[source["configMapRef"]["name"]]["data"]
    for each in container(workload).get("env", []):
        assert "value" not in each, "what is no secret stands among the settings"
        given[each["name"]] = EXAMPLES.get(each["name"], "postgresql://user:password@postgres/orderdeck")
        optional = each["valueFrom"]["secretKeyRef"].get("optional", False)
        assert optional == (each["name"] in EXAMPLES)
    return given


def test_the_settings_of_each_daemon_are_accepted_by_it(
    documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (each for field in Settings.model_fields for each in env_names(field)):
        monkeypatch.delenv(name, raising=False)
    for name, workload in ours(documents).items():
        given = settings_of(workload, documents)
        sasl = given.get("KAFKA_SECURITY_PROTOCOL", "").startswith("SASL")
        with monkeypatch.context() as environment:
            for setting, value in given.items():
                if setting.startswith("KAFKA_SASL") and not sasl:
                    continue  # a secret that nobody made
                environment.setenv(setting, re.sub(r"^/etc/kafka/", f"{ROOT}/deploy/", value))
            settings = load_settings()
        assert set(given) <= {each for field in Settings.model_fields for each in env_names(field)}
        assert settings.host == "0.0.0.0"  # noqa: S104 - inside of a pod
        open_to_all = name == "payment-sandbox"
        assert (settings.require_keys, settings.allow_anonymous) == (not open_to_all, open_to_all)
        assert ("ORDERDECK_OWNER_URL" in given) == (name == "migrate"), "no daemon gets the owner's password"
        assert ("DATABASE_URL" in given) == ("postgres" in USES[name])
        assert ("REDIS_URL" in given) == ("redis" in USES[name])
        for setting in ("KAFKA_BROKERS", "KAFKA_SASL_PASSWORD"):
            assert (setting in given) == ("kafka" in USES[name])
        if name in DAEMONS:
            port, *more = container(workload)["ports"]
            assert [each["containerPort"] for each in more] == ([settings.grpc_port] if name == "grpc-api" else [])
            assert (port["name"], port["containerPort"]) == ("http", getattr(settings, DAEMONS[name].port or ""))


def test_the_manifests_hold_no_secret_and_the_guide_names_each_that_they_want(documents: list[Document]) -> None:
    assert of_kind(documents, "Secret") == {}
    guide = (ROOT / "docs/how-to/run-on-kubernetes.md").read_text(encoding="utf-8")
    for workload in workloads(documents).values():
        for each in container(workload).get("env", []):
            if "valueFrom" in each:
                wanted = each["valueFrom"]["secretKeyRef"]
                assert re.search(rf"secret generic {wanted['name']}\b[^\n]*(\\\n[^\n]*)*{wanted['key']}=", guide), (
                    wanted
                )
        for volume in pod(workload).get("volumes", []):
            assert volume.get("secret", {}).get("secretName", "secret") in guide


# --- life of a pod ------------------------------------------------------------------------------------------
def test_each_daemon_is_asked_at_its_port_whether_it_lives_and_whether_it_is_ready(documents: list[Document]) -> None:
    for name, workload in ours(documents).items():
        if name == "migrate":
            continue
        probes = {
            each: container(workload)[each]["httpGet"] for each in ("startupProbe", "livenessProbe", "readinessProbe")
        }
        assert probes == {
            "startupProbe": {"path": "/health", "port": "http"},
            "livenessProbe": {"path": "/health", "port": "http"},
            "readinessProbe": {"path": "/health?ready", "port": "http"},
        }
        wait = int(container(workload)["lifecycle"]["preStop"]["exec"]["command"][1])
        assert pod(workload)["terminationGracePeriodSeconds"] > wait + DRAIN + CLOSE


def test_no_pod_of_ours_is_root_or_writes_beside_its_program(documents: list[Document]) -> None:
    for name, workload in workloads(documents).items():
        spec, own = pod(workload)["securityContext"], container(workload)["securityContext"]
        assert spec["runAsNonRoot"]
        assert spec["runAsUser"] == (10001 if name in USES else spec["runAsUser"])
        assert spec["seccompProfile"] == {"type": "RuntimeDefault"}
        assert (own["allowPrivilegeEscalation"], own["capabilities"]) == (False, {"drop": ["ALL"]})
        assert own.get("readOnlyRootFilesystem") or name == "kafka"
        assert not pod(workload)["automountServiceAccountToken"]
        assert not pod(workload)["enableServiceLinks"], "Kubernetes would set variables such as KAFKA_PORT"
        mounts = {each["name"] for each in container(workload).get("volumeMounts", []) if not each.get("readOnly")}
        if name in USES:
            assert mounts == {"migrate": set(), SANDBOX: {"tmp", "ledger"}}.get(name, {"tmp"})
        resources = container(workload)["resources"]
        assert {*resources["requests"]} == {"cpu", "memory"}
        assert {*resources["limits"]} == {"memory"}, "a limit of CPU would stop a daemon in the middle of an answer"


def test_there_is_one_payment_sandbox_at_any_time(documents: list[Document]) -> None:
    for name, workload in ours(documents).items():
        if name == SANDBOX:
            assert (workload["spec"]["replicas"], workload["spec"]["strategy"]) == (1, {"type": "Recreate"})


# --- who selects whom ---------------------------------------------------------------------------------------
def test_each_selector_selects_what_it_is_named_after_and_nothing_else(documents: list[Document]) -> None:
    made = workloads(documents)
    for name, workload in made.items():
        if workload["kind"] != "Job":
            assert [other for other in made if fits(workload["spec"]["selector"], labels(made[other]))] == [name]
        for spread in pod(workload).get("topologySpreadConstraints", []):
            assert fits(spread["labelSelector"], labels(workload))
            assert set(spread["matchLabelKeys"]) <= set(labels(workload))
    for name, service in of_kind(documents, "Service").items():
        selected = [other for other in made if fits({"matchLabels": service["spec"]["selector"]}, labels(made[other]))]
        assert selected == [name]
        ports = {port["name"]: port["containerPort"] for port in container(made[name])["ports"]}
        assert all(ports[port["targetPort"]] == port["port"] for port in service["spec"]["ports"])
    budgets = of_kind(documents, "PodDisruptionBudget")
    assert set(budgets) == set(DAEMONS) - {SANDBOX}
    for name, budget in budgets.items():
        assert [other for other in made if fits(budget["spec"]["selector"], labels(made[other]))] == [name]
        assert budget["spec"]["maxUnavailable"] == 1, "a budget that needs one of one would stop every drain of a node"


def test_what_is_scaled_has_no_number_of_its_own_and_can_use_as_many_as_it_may_get(
    overlay: str, documents: list[Document]
) -> None:
    scaled = of_kind(documents, "HorizontalPodAutoscaler")
    assert set(scaled) == (set(DAEMONS) - {SANDBOX, "relay", "notifier", "grpc-api"} if overlay == "large" else set())
    shares = int(Settings.model_fields["kafka_partitions"].default)
    for name, scaler in scaled.items():
        target, spec = scaler["spec"]["scaleTargetRef"], scaler["spec"]
        assert (target["kind"], target["name"]) == ("Deployment", name)
        assert "replicas" not in workloads(documents)[name]["spec"]
        assert 2 <= spec["minReplicas"] <= spec["maxReplicas"]
        (metric,) = spec["metrics"]
        if metric["type"] == "External":
            assert spec["maxReplicas"] <= shares, "more have nothing to do"
            assert metric["external"]["metric"]["name"] in adapted()
        else:
            assert metric["resource"]["name"] == "cpu"
            assert "cpu" in container(workloads(documents)[name])["resources"]["requests"]
    for name, workload in ours(documents).items():
        if workload["kind"] == "Deployment" and name not in scaled:
            assert 1 <= workload["spec"]["replicas"] <= 2


def adapted() -> dict[str, str]:
    """The metrics that prometheus-adapter makes, and the one of ours that each is made of."""
    rules = yaml.safe_load((MANIFESTS / "adapter-rules.yaml").read_text(encoding="utf-8"))["rules"]["external"]
    return {rule["name"]["as"]: rule["seriesQuery"].partition("{")[0] for rule in rules}


def test_saga_runners_are_scaled_by_the_sagas_that_wait_for_one_and_not_by_how_far_they_have_read() -> None:
    scalers = yaml.safe_load_all((MANIFESTS / "components/autoscaling/scaling.yaml").read_text(encoding="utf-8"))
    (runners,) = (scaler for scaler in scalers if scaler["metadata"]["name"] == "saga-runner")
    (metric,) = runners["spec"]["metrics"]
    assert adapted()[metric["external"]["metric"]["name"]] == "orderdeck_saga_backlog"


def test_the_metrics_that_scale_daemons_are_measured_by_daemons() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "daemons").rglob("*.py"))
    for metric in adapted().values():
        assert re.search(rf'Gauge\(\s*"{metric}"', code), metric
