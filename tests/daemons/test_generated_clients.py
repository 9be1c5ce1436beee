"""Each OpenAPI document shares its components, and a client generated from it reads every error that it documents."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from daemons.command_api.app import make_app as commands
from daemons.http.openapi import document as document_of
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
    return msgspec.json.decode(msgspec.json.encode(document_of(app), enc_hook=str))


GENERATOR = os.environ.get("OPENAPI_PYTHON_CLIENT", "")
"""The program openapi-python-client. It pins a typer older than ours, so `make clients` installs it apart."""


@pytest.fixture(params=sorted(APPS))
def described(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return request.param, document(request.param)


@pytest.fixture
def package(described: tuple[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package that was generated from a document."""
    name, written = described
    (tmp_path / "openapi.json").write_text(json.dumps(written))
    (tmp_path / "config.yml").write_text("post_hooks: []\n")
    package = tmp_path / f"client_of_{name}"
    made = subprocess.run(
        [
            GENERATOR, "generate", "--path", tmp_path / "openapi.json", "--config", tmp_path / "config.yml",
            "--meta", "none", "--output-path", package, "--fail-on-warning",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    monkeypatch.syspath_prepend(tmp_path)
    return package


@pytest.mark.skipif(not GENERATOR, reason="`make clients` installs the generator and runs this")
def test_the_generated_client_parses_every_documented_error(
    described: tuple[str, dict[str, Any]], package: Path
) -> None:
    problem = importlib.import_module(f"{package.name}.models").Problem
    caller = importlib.import_module(f"{package.name}.client").Client(base_url="http://127.0.0.1")
    operations = [one for item in described[1]["paths"].values() for one in item.values()]
    modules = [path for path in package.glob("api/*/*.py") if path.stem != "__init__"]
    assert len(modules) == len(operations)
    documented = sum(status >= "400" for one in operations for status in one["responses"])
    parsed = 0
    for path in modules:
        module = importlib.import_module(f"{package.name}.api.{path.parent.name}.{path.stem}")
        for status in re.findall(r"response\.status_code == ([45]\d\d)", path.read_text()):
            answer = httpx.Response(int(status), content=msgspec.json.encode(PROBLEM))
            assert isinstance(module._parse_response(client=caller, response=answer), problem), (path.name, status)
            parsed += 1
    assert parsed == documented


def test_every_answer_in_the_document_refers_to_a_component_that_exists(described: tuple[str, dict[str, Any]]) -> None:
    _, written = described
    components = written["components"]["schemas"]
    for path, item in written["paths"].items():
        for method, operation in item.items():
            for status, answer in operation["responses"].items():
                for media, content in answer.get("content", {}).items():
                    if media == "text/event-stream":
                        continue
                    kinds = content["schema"].get("oneOf", [content["schema"]])
                    assert all("$ref" in kind for kind in kinds), (path, method, status)
                    if status >= "400":
                        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, (path, method, status)
    used = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(written)))
    assert used <= set(components)
    assert {"Problem", "FieldError"} <= used


def test_every_limit_of_a_body_is_in_the_document(described: tuple[str, dict[str, Any]]) -> None:
    """A text has a length, a pattern or a list of its values; a number has a range, or is an amount."""
    _, written = described
    limits = {"maxLength", "pattern", "enum", "maximum", "anyOf"}
    for name, schema in written["components"]["schemas"].items():
        if name.endswith("Body"):
            for field, kind in schema["properties"].items():
                if kind.get("type") in {"string", "integer", "number"}:
                    assert limits & set(kind), f"{name}.{field} has no limit"
