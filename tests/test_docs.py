"""The documentation is true: its links lead somewhere, its commands and addresses exist, its tables are complete."""

from __future__ import annotations

import importlib
import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer.main

from core import codec
from core.failpoints import POINTS
from daemons.cli.main import app
from daemons.http.openapi import document as document_of
from daemons.payment_sandbox.methods import ACCEPTED, TEST_METHODS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PAGES = [path for path in DOCUMENTS if "docs" in path.parts]
BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OVER_HTTP = ("tests/daemons", "tests/system")
VITALS = {"/health", "/ready", "/metrics", "/openapi.json", "/docs"}


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def named(path: Path) -> str:
    """The id of a test about a document."""
    return name_of(path)


def anchors(text: str) -> set[str]:
    """As forges make them from headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


# --- links --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_every_link_leads_somewhere(path: Path) -> None:
    broken: list[str] = []
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        if not found.exists() or (anchor and anchor not in anchors(found.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


def test_every_page_is_reached_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "docs/README.md"]
    while waiting:
        path = waiting.pop()
        if path in seen or path.suffix != ".md" or not path.exists():
            continue
        seen.add(path)
        links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
        waiting += [(path.parent / link).resolve() for link in links if "://" not in link]
    assert [name_of(path) for path in PAGES if path not in seen] == []


# --- commands -----------------------------------------------------------------------------------------------
def code_lines() -> list[tuple[str, str]]:
    return [
        (name_of(path), line.strip())
        for path in DOCUMENTS
        for block in BLOCK.findall(path.read_text(encoding="utf-8"))
        for line in block.splitlines()
    ]


def subcommands() -> set[str]:
    return set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))


def test_every_command_in_the_documentation_exists() -> None:
    wrong = [
        f"{name}: {line}"
        for name, line in code_lines()
        if (used := re.match(r"(?:\S*/)?orderdeck ([a-z-]+)", line)) and used[1] not in subcommands()
    ]
    assert wrong == []


def test_every_make_target_in_the_documentation_exists() -> None:
    wrong = [
        f"{name}: {line}"
        for name, line in code_lines()
        if (used := re.match(r"make ([a-z-]+)", line)) and used[1] not in targets()
    ]
    assert wrong == []


def test_the_reference_has_every_command_and_target() -> None:
    reference = text_of("docs/reference/cli.md")
    assert {each for each in subcommands() if f"`orderdeck {each}" not in reference} == set()
    assert {each for each in targets() - {"help"} if f"`make {each}`" not in reference} == set()


# --- HTTP ---------------------------------------------------------------------------------------------------
APPS = {
    "commands": "daemons.command_api.app",
    "queries": "daemons.query_api.app",
    "payments": "daemons.payment_sandbox.app",
}


@cache
def operations(service: str) -> frozenset[tuple[str, str]]:
    """Method and path of every operation in a service's OpenAPI document; building it needs nothing behind it."""
    make_app: Any = importlib.import_module(APPS[service]).make_app
    needs = [Anything() for _ in inspect.signature(make_app).parameters]
    document: dict[str, Any] = document_of(make_app(*needs))
    return frozenset((method.upper(), path) for path, item in document["paths"].items() for method in item)


class Anything:
    """Stands for the App that handlers would use; none is called here."""

    def __getattr__(self, _: str) -> Any:
        return Anything()


def shape(path: str) -> str:
    """A path without the names of its parameters."""
    return re.sub(r"\{[^}]*\}", "{}", path)


@pytest.mark.parametrize(
    ("service", "document"),
    [
        ("commands", "docs/reference/http-api.md"),
        ("queries", "docs/reference/http-api.md"),
        ("payments", "docs/reference/payment-sandbox.md"),
    ],
)
def test_the_reference_has_every_operation(service: str, document: str) -> None:
    text = text_of(document)
    described = {(method, shape(path)) for method, path in re.findall(r"(GET|POST|PUT|DELETE) `(/[^`?]+)`", text)}
    assert {(method, shape(path)) for method, path in operations(service)} - described == set()


def test_the_reference_has_no_operation_that_does_not_exist() -> None:
    for document, services in (
        ("docs/reference/http-api.md", ("commands", "queries")),
        ("docs/reference/payment-sandbox.md", ("payments",)),
    ):
        there = {(method, shape(path)) for service in services for method, path in operations(service)}
        described = re.findall(r"(GET|POST|PUT|DELETE) `(/api[^`?]+)`", text_of(document))
        assert {(method, shape(path)) for method, path in described} - there == set()


def test_every_command_is_called_in_a_test_over_http() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for top in OVER_HTTP for path in (ROOT / top).rglob("test_*.py"))
    verbs = {path.rpartition("/")[2] for _, path in operations("commands")}
    assert {verb for verb in verbs if not re.search(rf'[/"]{verb}\b(?!":)', tests)} == set()


def test_every_address_in_an_example_exists() -> None:
    ports = {"8080": "commands", "8081": "queries", "8090": "payments"}
    wrong: list[str] = []
    for name, line in code_lines():
        for port, path in re.findall(r"127\.0\.0\.1:(\d+)(/[^\s'\"?]*)", line):
            if port not in ports:
                continue
            known = [re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path)) for _, path in operations(ports[port])]
            if path not in VITALS and not any(re.fullmatch(each, path) for each in known):
                wrong.append(f"{name}: {port}{path}")
    assert wrong == []


# --- tables -------------------------------------------------------------------------------------------------
def test_the_reference_has_every_event_with_its_fields() -> None:
    rows = re.findall(r"^\| (\w+) \| ([\w, ]+) \| .+ \|$", text_of("docs/reference/events.md"), re.MULTILINE)
    described = {name: fields.split(", ") for name, fields in rows if name != "event"}
    actual = {
        codec.event_type(kind): [field.encode_name for field in msgspec.structs.fields(kind)] for kind in codec.EVENTS
    }
    assert described == actual


def test_the_reference_describes_the_envelope() -> None:
    envelope = text_of("docs/reference/events.md").split("## order")[0]
    assert re.findall(r"^\| (\w+) \| [^|]+ \|$", envelope, re.MULTILINE)[1:] == list(codec.Envelope.__struct_fields__)


def test_the_reference_describes_every_payment_method_of_the_sandbox() -> None:
    sandbox, how_to = text_of("docs/reference/payment-sandbox.md"), text_of("docs/how-to/try-failing-payments.md")
    assert {method for method in ACCEPTED | TEST_METHODS if f"`{method}`" not in sandbox} == set()
    assert set(re.findall(r"`(test_\w+)`", sandbox + how_to)) == TEST_METHODS


def test_the_reference_describes_every_failpoint() -> None:
    rows = re.findall(r"^\| `([\w-]+\.\w+)` \| (.+) \|$", text_of("docs/how-to/run-chaos.md"), re.MULTILINE)
    assert dict(rows) == dict(POINTS)


def test_every_test_that_the_page_on_security_names_exists() -> None:
    rows = [line for line in text_of("docs/explanation/security.md").splitlines() if "`tests/" in line]
    assert len(rows) > 15
    assert [path for row in rows for path in re.findall(r"`(tests/[^`]+)`", row) if not (ROOT / path).is_file()] == []
