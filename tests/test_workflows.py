"""The workflows for GitHub: what they call exists, they may do little, and actionlint finds nothing, where it is there.

None of them was ever run by this suite: GitHub runs them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orderdeck-tests"


def jobs(workflow: Path) -> dict[str, Any]:
    return yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]


def package_locks() -> list[Path]:
    found = [lock for top in ("bench", "tests") for lock in (ROOT / top).rglob("package-lock.json")]
    return [lock for lock in found if "node_modules" not in lock.parts]


def commands(workflow: Path) -> str:
    return "\n".join(step.get("run", "") for job in jobs(workflow).values() for step in job["steps"])


def test_there_is_one_workflow_for_checks_and_one_for_releases() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "release.yml"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_each_target_and_file_that_a_workflow_calls_exists(workflow: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    called = re.findall(r"^make ([a-z -]+)$", commands(workflow), re.MULTILINE)
    assert called
    assert {target for line in called for target in line.split()} <= set(targets)
    for path in re.findall(r"requirements[\w.-]*\.txt|tests/\w+", commands(workflow)):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_and_every_job_ends(workflow: Path) -> None:
    assert yaml.safe_load(workflow.read_text(encoding="utf-8"))["permissions"] == {"contents": "read"}
    more = {name: job["permissions"] for name, job in jobs(workflow).items() if "permissions" in job}
    assert more == ({"publish": {"id-token": "write"}} if workflow.name == "release.yml" else {})
    assert all(job["timeout-minutes"] <= 30 for job in jobs(workflow).values())


def test_the_suite_runs_on_each_python_from_the_oldest_that_is_supported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    matrix = jobs(ROOT / ".github/workflows/ci.yml")["test"]["strategy"]["matrix"]["python"]
    assert matrix == ["3.11", "3.12", "3.13", "3.14"]
    assert project["requires-python"] == f">={matrix[0]}"


def test_dependabot_looks_at_everything_that_is_pinned() -> None:
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text(encoding="utf-8"))["updates"]
    of_node = {f"/{lock.parent.relative_to(ROOT)}" for lock in package_locks()}
    assert of_node == {"/bench/node", "/tests/support/node_client"}
    assert {(update["package-ecosystem"], update["directory"]) for update in updates} == {
        ("pip", "/"),
        ("github-actions", "/"),
        ("docker", "/"),
        *(("npm", folder) for folder in of_node),
    }


def test_locks_of_node_packages_name_no_registry() -> None:
    assert [lock for lock in package_locks() if '"resolved"' in lock.read_text(encoding="utf-8")] == []


def test_actionlint_finds_nothing() -> None:
    actionlint = shutil.which("actionlint") or shutil.which("actionlint", path=CACHE)
    if actionlint is None:
        pytest.skip("actionlint is neither on the PATH nor where .ci/run puts it")
    said = subprocess.run([actionlint, *WORKFLOWS], capture_output=True, text=True, timeout=60, check=False)
    assert (said.returncode, said.stdout) == (0, "")
