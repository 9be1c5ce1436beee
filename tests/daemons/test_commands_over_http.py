"""What the command can do, the API can do: docs/reference/cli.md has a route for each command, or why there is none."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

import typer

from daemons.cli.main import app
from daemons.http.openapi import document as document_of
from tests.support.anything import Anything
from tests.support.stack import ROOT

_ROW = re.compile(r"\| (`[^|]+`) \| (.+) \|")


def commands(command: Any, name: str = "") -> Iterator[str]:
    if not hasattr(command, "commands"):
        yield name
    for word, under in getattr(command, "commands", {}).items():
        yield from commands(under, f"{name} {word}".strip())


def table() -> dict[str, str]:
    text = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8").partition("## Over HTTP")[2]
    return {
        name: answer for row in _ROW.finditer(text) for name in re.findall(r"`([^`]+)`", row[1]) for answer in [row[2]]
    }


def described(service: str) -> set[str]:
    make_app: Any = importlib.import_module(f"daemons.{service}.app").make_app
    document = document_of(make_app(*[Anything()] * make_app.__code__.co_argcount))
    return {f"{method.upper()} `{path}`" for path, item in document["paths"].items() for method in item}


def test_every_command_has_a_route_or_a_reason_why_it_has_none() -> None:
    known = set(commands(typer.main.get_command(app)))
    assert set(table()) == known, "the table in docs/reference/cli.md lists other commands"
    routes = described("command_api") | described("query_api")
    for command, answer in table().items():
        named = set(re.findall(r"(?:GET|POST|PUT) `[^`]+`", answer))
        assert named <= routes, command
        assert named or re.fullmatch(r"none: .{20,}", answer), command
