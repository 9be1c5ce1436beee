"""The network policies of the Kubernetes manifests, evaluated for every pair of pods and every port.

A cluster takes policies that cannot work, such as one that lets a daemon not reach its database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from core.settings import Settings
from tests.support.manifests import (
    DAEMONS,
    OVERLAYS,
    SANDBOX,
    USES,
    Document,
    container,
    fits,
    labels,
    of_kind,
    rendered,
    workloads,
)

ELSEWHERE = {"postgres", "kafka", "redis", "monitoring", "kube-system", "ingress"}  # namespaces of the overlay `large`
PORTS = {"postgres": {5432}, "kafka": {9092, 9093}, "redis": {6379}}


def lets(rule: Document, side: str, peer: tuple[str, Mapping[str, str]], port: int, name: str) -> bool:
    """Whether a rule of a policy lets through what comes from, or goes to, a peer: a namespace and a pod's labels.

    `name` is the name that the target has for this port.
    """
    if not {port, name} & {each["port"] for each in rule["ports"]}:
        return False
    namespace, given = peer
    home = {"kubernetes.io/metadata.name": namespace} | (
        {"orderdeck-clients": "allowed"} if namespace == "ingress" else {}
    )
    for each in rule[side]:
        if "ipBlock" in each:
            if namespace == "internet":
                return True
        elif "namespaceSelector" in each:
            if fits(each["namespaceSelector"], home) and fits(each.get("podSelector", {}), given):
                return True
        elif namespace == "orderdeck" and fits(each["podSelector"], given):
            return True
    return False


def may_pass(documents: list[Document], source: str, target: str, port: int) -> bool:
    """Whether the policies of the namespace let a connection pass; a name that is none of its pods is a namespace."""
    made = workloads(documents)
    place = {
        name: ("orderdeck", labels(made[name])) if name in made else (name, {"k8s-app": "kube-dns"})
        for name in (source, target)
    }
    own = container(made[target])["ports"] if "ports" in (container(made[target]) if target in made else {}) else []
    called = next((each["name"] for each in own if each["containerPort"] == port), "")
    passes = True
    for name, peer, kind, side in ((source, target, "Egress", "to"), (target, source, "Ingress", "from")):
        if name in made:
            policies = [
                each["spec"]
                for each in of_kind(documents, "NetworkPolicy").values()
                if kind in each["spec"]["policyTypes"] and fits(each["spec"]["podSelector"], labels(made[name]))
            ]
            assert policies, "a pod that no policy selects is open to all"
            rules = [rule for each in policies for rule in each.get(kind.lower(), [])]
            passes &= any(lets(rule, side, place[peer], port, called) for rule in rules)
    return passes


def flows(overlay: str, documents: list[Document]) -> Iterator[tuple[str, str, int]]:
    """Every connection that has to be."""
    kafka = {"small": 9092, "large": 9093}[overlay]
    for name, engines in USES.items():
        if name in workloads(documents):
            yield from ((name, engine, kafka if engine == "kafka" else min(PORTS[engine])) for engine in engines)
            yield name, "kube-system", 53
    provider, port = (SANDBOX, 8090) if overlay == "small" else ("internet", 443)
    yield "saga-runner", provider, port
    for name, program in DAEMONS.items():
        if name != SANDBOX:
            yield "monitoring", name, int(Settings.model_fields[program.port or ""].default)
    yield "ingress", "command-api", 8080
    yield "ingress", "query-api", 8081
    yield "grpc-api", "command-api", 8080
    yield "grpc-api", "query-api", 8081
    if overlay == "small":
        yield "kafka", "kafka", 9092


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_network_lets_pass_what_each_daemon_needs_and_nothing_else(overlay: str) -> None:
    documents = rendered(overlay)
    needed = set(flows(overlay, documents))
    ports = {port for _, _, port in needed} | {9092, 9093, 443}
    everyone = {*workloads(documents), *ELSEWHERE, "internet", "somebody"}
    inside = set(workloads(documents))
    passing = {
        (source, target, port)
        for source in everyone
        for target in everyone
        if {source, target} & inside and (source != target or source in inside)
        for port in ports
        if may_pass(documents, source, target, port)
    }
    names = {(each, "kube-system", 53) for each in inside}  # engines look up names too
    assert passing - names == needed - names
    assert names <= passing
