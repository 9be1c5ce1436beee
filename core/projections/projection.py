"""Projections: pure folds of a stream's events into one view, and sums of what changes when a view changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from msgspec.structs import replace

from core.domain.message import Event, StreamId

RowKey: TypeAlias = tuple[Any, ...]
Amounts: TypeAlias = tuple[Any, ...]


class View(Protocol):
    """A row of a read model. `version` and `updated_at` are those of the last event of its stream.

    An event that is not newer than `version` is in the view already, so applying it again changes nothing.
    """

    @property
    def version(self) -> int: ...
    @property
    def updated_at(self) -> datetime: ...


V = TypeVar("V", bound=View)
K = TypeVar("K", bound=RowKey)
A = TypeVar("A", bound=Amounts)


class At(NamedTuple):
    """Where and when an event was recorded: its version in its stream, and the time."""

    version: int
    time: datetime


@dataclass(frozen=True)
class Projection(Generic[V]):
    """One row for each stream of `category`. The fields of `view` are the columns; `key` names the one that is the key.

    `evolve` is given the events in `reads` only, rejects none, and need not set `version` and `updated_at`.
    """

    name: str
    revision: int
    category: str
    view: type[V]
    key: str
    stream: Callable[[V], StreamId]
    reads: tuple[type[Event], ...]
    evolve: Callable[[V | None, Any, At], V | None]

    def apply(self, view: V | None, event: Event | None, at: At) -> V | None:
        """The view after the next event of its stream. `event` is None when this release cannot read it.

        Whatever the event is, the view moves on to its version: otherwise a client who waits for the version of
        an event that the view does not care about would wait for ever.
        """
        after: Any = self.evolve(view, event, at) if isinstance(event, self.reads) else view
        return None if after is None else replace(after, version=at.version, updated_at=at.time)


@dataclass(frozen=True)
class Sum(Generic[V, K, A]):
    """One row for each `key`. The fields of `key` and `amounts` are the columns.

    `change` says what to add to which row when a view goes from one state to another. The states between do not
    matter: change(a, b) + change(b, c) = change(a, c). Numbers are added; of a time the latest is kept.
    """

    name: str
    revision: int
    key: type[K]
    amounts: type[A]
    change: Callable[[V | None, V], Iterable[tuple[K, A]]]


@dataclass(frozen=True)
class Group(Generic[V]):
    """Read models that are filled together by one reader of the log: a projection, and the sums over its views.

    When the revision of one of them changes, all of the group is filled again from the log, and no other group.
    """

    name: str
    projection: Projection[V]
    sums: tuple[Sum[V, Any, Any], ...] = ()

    @property
    def models(self) -> tuple[Projection[V] | Sum[V, Any, Any], ...]:
        return (self.projection, *self.sums)

    @property
    def reader(self) -> str:
        """The name of the group's checkpoint: the daemon that fills it, a dot, the group."""
        return f"projector.{self.name}"

    @property
    def revision(self) -> str:
        """Kept beside the checkpoint: when it is another one, the tables were filled by other rules."""
        return " ".join(f"{model.name}:{model.revision}" for model in self.models)


def plus(a: Amounts, b: Amounts) -> Amounts:
    return tuple(max(x, y) if isinstance(x, datetime) else x + y for x, y in zip(a, b, strict=True))


def total(changes: Iterable[tuple[RowKey, Amounts]]) -> Mapping[RowKey, Amounts]:
    """The changes of one sum, one row for each key."""
    rows: dict[RowKey, Amounts] = {}
    for key, amounts in changes:
        known = rows.get(key)
        rows[key] = amounts if known is None else plus(known, amounts)
    return rows
