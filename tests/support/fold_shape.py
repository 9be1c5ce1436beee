"""The code that a fold is made of, as text: what a snapshot's `revision` stands for.

From `evolve`, `save`, `restore`, the state and the stored struct it follows every name to where our own code defines
it, through imports. Comments, docstrings and layout are left out, and so is whatever the fold does not use.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.domain.decider import Decider

Symbol = tuple[str, str]
"""A module, and a name that it defines at its top level."""

Read = Callable[[str], str | None]
"""The source of a module; None for what is not ours."""


def our_source(module: str) -> str | None:
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).read_text(encoding="utf-8") if file and module.partition(".")[0] == "core" else None


def fingerprint(decider: Decider[Any, Any, Any]) -> str:
    text = fold_of(roots(decider), our_source)
    return hashlib.sha256("\n".join(f"{symbol}: {text[symbol]}" for symbol in sorted(text)).encode()).hexdigest()


def roots(decider: Decider[Any, Any, Any]) -> list[Symbol]:
    form = decider.snapshot
    assert form is not None
    named: list[Any] = [decider.evolve, form.save, form.restore, form.stored, type(decider.initial)]
    assert "<lambda>" not in {each.__name__ for each in named}, "give `save` and `restore` a name"
    return [(each.__module__, each.__name__) for each in named]


def fold_of(wanted: list[Symbol], read: Read) -> dict[Symbol, str]:
    """The text of these symbols and of all that they use."""
    modules: dict[str, Module | None] = {}
    text: dict[Symbol, str] = {}
    waiting = [*wanted]
    while waiting:
        symbol = waiting.pop()
        name, defined = symbol
        if name not in modules:
            source = read(name)
            modules[name] = None if source is None else Module(name, source)
        module = modules[name]
        if module is None or symbol in text:
            continue
        if defined in module.imported:
            waiting.append(module.imported[defined])
        elif defined in module.defined:
            node = module.defined[defined]
            text[symbol] = ast.unparse(node)
            waiting += module.used_by(node)
    return text


class Module:
    """The top level of a module: what it defines, and what it imports from where."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.defined: dict[str, ast.stmt] = {}
        self.imported: dict[str, Symbol] = {}
        for node in _Bare().visit(ast.parse(source)).body:
            match node:
                case ast.FunctionDef(name=known) | ast.ClassDef(name=known):
                    self.defined[known] = node
                case ast.Assign(targets=[ast.Name(id=known)]) | ast.AnnAssign(target=ast.Name(id=known)):
                    self.defined[known] = node
                case ast.ImportFrom(module=str(origin), names=names):
                    self.imported |= {each.asname or each.name: (origin, each.name) for each in names}
                case _:
                    pass

    def used_by(self, node: ast.stmt) -> Iterator[Symbol]:
        for part in ast.walk(node):
            match part:
                case ast.Attribute(value=ast.Name(id=known), attr=attribute) if known in self.imported:
                    yield ".".join(self.imported[known]), attribute  # of a module: `from package import module`
                case ast.Name(id=known):
                    yield self.name, known
                case _:
                    pass


class _Bare(ast.NodeTransformer):
    """Takes docstrings away."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        match node:
            case ast.FunctionDef(body=body) | ast.ClassDef(body=body) | ast.Module(body=body):
                said = [part for part in body if isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)]
                node.body = [part for part in body if part not in said] or [ast.Pass()]
            case _:
                pass
        return node
