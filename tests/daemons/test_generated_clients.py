"""A client that a common generator makes from each OpenAPI document reads every answer and every error we document."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from daemons.command_api.app import make_app as commands
from daemons.http.problems import Problem
from daemons.payment_sandbox.app import make_app as payments
from daemons.query_api.app import make_app as queries
from tests.support.anything import Anything

APPS: dict[str, Any] = {"commands": commands, "queries": queries, "payments": payments}
PROBLEM = Problem(
    type="urn:orderdeck:problem:validation_failed",
    title="Validation failed",
    status=400,
    detail="reason: must not be blank",
    code="validation_failed",
    error="reason: must not be blank",
)


def document(name: str) -> dict[str, Any]:
    make_app = APPS[name]
    app: Litestar = make_app(*[Anything()] * make_app.__code__.co_argcount)
    return msgspec.json.decode(msgspec.json.encode(app.openapi_schema.to_schema(), enc_hook=str))


@pytest.fixture(scope="module", params=sorted(APPS))
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """A document, and the package that was generated from it."""
    folder = tmp_path_factory.mktemp("clients")
    described = document(request.param)
    (folder / "openapi.json").write_text(json.dumps(described))
    (folder / "config.yml").write_text("post_hooks: []\n")
    package = folder / f"client_of_{request.param}"
    made = subprocess.run(
        [
            sys.executable, "-m", "openapi_python_client", "generate", "--path", folder / "openapi.json",
            "--config", folder / "config.yml", "--meta", "none", "--output-path", package, "--fail-on-warning",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    return described, package


def test_the_generated_client_parses_every_documented_error(
    client: tuple[dict[str, Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    described, package = client
    monkeypatch.syspath_prepend(package.parent)
    problem = importlib.import_module(f"{package.name}.models").Problem
    caller = importlib.import_module(f"{package.name}.client").Client(base_url="http://127.0.0.1")
    modules = {path.stem: path for path in package.glob("api/*/*.py") if path.stem != "__init__"}
    operations = [operation for item in described["paths"].values() for operation in item.values()]
    assert len(modules) == len(operations)
    parsed = 0
    for path in modules.values():
        module = importlib.import_module(f"{package.name}.api.{path.parent.name}.{path.stem}")
        for status in (400, 405):
            answer = httpx.Response(status, content=msgspec.json.encode(PROBLEM))
            assert isinstance(module._parse_response(client=caller, response=answer), problem)
            parsed += 1
    errors = {status for one in operations for status in one["responses"] if status >= "400"}
    for status in sorted(errors):
        reading = [path for path in modules.values() if f"response.status_code == {status}" in path.read_text()]
        documenting = [one for one in operations if status in one["responses"]]
        assert len(reading) == len(documenting), status
    assert parsed == 2 * len(operations)


def test_components_are_shared_and_nothing_is_described_twice(client: tuple[dict[str, Any], Path]) -> None:
    described, _ = client
    for path, item in described["paths"].items():
        for method, operation in item.items():
            for status, answer in operation["responses"].items():
                for media in answer.get("content", {}).values():
                    kinds = media["schema"].get("oneOf", [media["schema"]])
                    assert all("$ref" in kind or kind.get("type") == "string" for kind in kinds), (path, method, status)
