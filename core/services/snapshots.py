"""Snapshots: when a state is worth keeping, and which code may believe it. What they save is time, never truth."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from core import codec
from core.domain.decider import Decider, SnapshotForm

S = TypeVar("S")

EVERY = 32  # events
BYTES_AN_EVENT = 320  # of a state: a large one is kept less often, so that keeping costs the same for each event


def spacing(text: str) -> int:
    """How many events after a snapshot of this length the next one is due."""
    return EVERY + len(text) // BYTES_AN_EVENT


def encode(form: SnapshotForm[S, Any], state: S) -> str:
    return msgspec.json.encode(form.save(state)).decode()


def decode(form: SnapshotForm[S, Any], text: str) -> S:
    """Raises msgspec.DecodeError for anything that `encode` would not have written."""
    return form.restore(msgspec.json.decode(text, type=form.stored))


def schema_hash(decider: Decider[Any, Any, Any]) -> bytes:
    """Of the shape that a state is kept in, and of the code that folds it: one with another hash is not ours to read.

    Of the code as it was when first asked: ask early, before a new release is put in the place of the running one.
    """
    form = decider.snapshot
    assert form is not None  # noqa: S101 - only who keeps snapshots asks
    return _hash(decider.evolve, form.stored)


@cache
def _hash(evolve: Callable[..., Any], stored: type) -> bytes:
    found = hashlib.sha256(msgspec.json.encode(msgspec.json.schema(stored), order="sorted"))
    found.update(str(codec.SCHEMA_VERSION).encode())
    for _, tree in sorted(_trees(evolve.__module__).items()):
        found.update(ast.dump(tree).encode())  # without comments and layout
    return found.digest()


def _trees(module: str) -> dict[str, ast.Module]:
    """The syntax of a module and of all it imports from its own package, by name."""
    package = module.partition(".")[0]
    trees: dict[str, ast.Module] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = getattr(sys.modules.get(name), "__file__", None)  # without one it is a name in a module, or a namespace
        if name in trees or file is None or name.partition(".")[0] != package:
            continue
        trees[name] = ast.parse(Path(file).read_bytes())
        for node in ast.walk(trees[name]):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return trees
