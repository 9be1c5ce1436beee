"""Projections: keyed pure folds of events into views, and sums of what changes when an order's view changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from core.domain.message import Event

Amount: TypeAlias = Any  # int, Decimal, or datetime: of two moments the later one stays
Amounts: TypeAlias = tuple[Amount, ...]
RowKey: TypeAlias = tuple[Any, ...]


class View(Protocol):
    """A row of a read model; its version is that of the stream's last event in it, which makes repeats harmless."""

    @property
    def version(self) -> int: ...


V = TypeVar("V", bound=View)


class At(NamedTuple):
    """Where and when an event was recorded: its version in its stream, and the time."""

    version: int
    time: datetime


@dataclass(frozen=True)
class Projection(Generic[V]):
    """A row per stream. `reads` are the events it declares; it ignores all others. `evolve` never rejects one."""

    name: str
    revision: int
    view: type[V]
    reads: tuple[type[Event], ...]
    key: Callable[[Any], Any]
    evolve: Callable[[V | None, Any, At], V | None]


@dataclass(frozen=True)
class Sum(Generic[V]):
    """`change` says what to add, by key, when a view goes from one to another.

    The steps between do not matter: change(a, b) + change(b, c) = change(a, c).
    """

    name: str
    revision: int
    change: Callable[[V | None, V], Iterable[tuple[RowKey, Amounts]]]


def plus(a: Amounts, b: Amounts) -> Amounts:
    return tuple(max(x, y) if isinstance(x, datetime) else x + y for x, y in zip(a, b, strict=True))


def total(changes: Iterable[tuple[RowKey, Amounts]]) -> Mapping[RowKey, Amounts]:
    """The changes of one sum, one row per key."""
    rows: dict[RowKey, Amounts] = {}
    for key, amounts in changes:
        known = rows.get(key)
        rows[key] = amounts if known is None else plus(known, amounts)
    return rows
