"""Turns appends into the arguments of the SQL function `append_events`, and its rows into verdicts."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from core import codec
from core.adapters.postgres.audit import numbered
from core.domain.message import Metadata
from core.ports.log import (
    Accepted,
    Answer,
    Append,
    Conflict,
    KeptAnswer,
    LeaseLost,
    NewEvent,
    Replay,
    Result,
    SagaRow,
    Verdict,
)

APPEND = f"SELECT * FROM append_events({', '.join(f'${n}' for n in range(1, 35))})"
APPEND_AUDITED = f"SELECT * FROM append_audited({', '.join(f'${n}' for n in range(1, 36))})"

ANSWERS = """
SELECT w.n, i.fingerprint, i.status, i.stream_id, i.version, i.position, i.fields
  FROM unnest($1::int[], $2::text[], $3::text[]) AS w(n, scope, key)
  JOIN idempotency_keys i ON i.scope = w.scope AND i.key = w.key
"""

OURS = """
SELECT w.n, e.position
  FROM unnest($1::int[], $2::uuid[], $3::int[], $4::uuid[]) AS w(n, stream_id, version, event_id)
  JOIN events e ON e.stream_id = w.stream_id AND e.version = w.version AND e.event_id = w.event_id
"""

STORED_RESULTS = {Result.CREATED: 201, Result.DONE: 200, Result.REJECTED: 400}
"""The number in `idempotency_keys.status` for each result. It never changes, because all releases read these rows."""

RESULTS = {number: result for result, number in STORED_RESULTS.items()}

StoredColumns = tuple[UUID, str, int, str, str, UUID]


class Prepared(msgspec.Struct, frozen=True):
    """An append whose events are encoded, so that it can go into a batch."""

    append: Append
    columns: Sequence[StoredColumns]
    touches: frozenset[Hashable]
    events: int
    size: int


def prepare(append: Append) -> Prepared:
    metadata: dict[int, str] = {}  # encoded once, because the events of a decision mostly share it
    columns = [_columns(event, metadata) for entry in append.entries for event in entry.events]
    touches: set[Hashable] = {entry.stream for entry in append.entries}
    if append.key:
        touches.add((append.key.scope, append.key.key))
    return Prepared(
        append=append,
        columns=columns,
        touches=frozenset(touches),
        events=len(columns),
        size=sum(len(c[3]) + len(c[4]) for c in columns),
    )


def _columns(new: NewEvent, metadata: dict[int, str]) -> StoredColumns:
    known = metadata.get(id(new.metadata))
    if known is None:
        known = metadata[id(new.metadata)] = _metadata(new.metadata)
    kind = codec.event_type(type(new.event))
    payload = codec.encode(new.event).decode()
    return (new.event_id, kind, type(new.event).schema_version, payload, known, new.metadata.correlation_id)


def _metadata(metadata: Metadata) -> str:
    return codec.encode_metadata(metadata).decode()


def arguments(batch: Sequence[Prepared]) -> list[list[Any]]:
    """The 34 arguments of `append_events`: arrays, in which the appends are numbered from 0."""
    entries: list[tuple[Any, ...]] = []
    events: list[StoredColumns] = []
    keys: list[tuple[Any, ...]] = []
    sagas: list[tuple[Any, ...]] = []
    for n, prepared in enumerate(batch):
        append = prepared.append
        entries += [(n, e.stream, e.category, e.expected, len(e.events)) for e in append.entries]
        events += prepared.columns
        if append.key:
            keys.append(_key(n, append.key))
        sagas += [_saga(n, row) for row in append.sagas]
    return [*_to_columns(entries, 5), *_to_columns(events, 6), *_to_columns(keys, 9), *_to_columns(sagas, 14)]


def statement(batch: Sequence[Prepared]) -> tuple[str, list[Any]]:
    """The statement that appends a batch, and its arguments: with who asked, where that is known of an append."""
    columns: list[Any] = [*arguments(batch)]
    entries = [(n, prepared.append.audit) for n, prepared in enumerate(batch) if prepared.append.audit is not None]
    return (APPEND_AUDITED, [*columns, numbered(entries)]) if entries else (APPEND, columns)


def _key(n: int, kept: KeptAnswer) -> tuple[Any, ...]:
    a = kept.answer
    status, fields = STORED_RESULTS[a.result], codec.json(a.fields).decode()
    return (n, kept.scope, kept.key, kept.fingerprint, status, a.stream, a.version, a.position, fields)


def _saga(n: int, row: SagaRow) -> tuple[Any, ...]:
    return (
        n,
        row.saga_id,
        row.name,
        row.definition,
        row.order_id,
        row.epoch,
        row.owner,
        row.status,
        row.step,
        row.attempts,
        row.last_error,
        row.due_in,
        row.open_amount,
        row.currency,
    )


def _to_columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """The columns of the rows; `width` empty ones if there are no rows."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def verdict(row: Record) -> Verdict | None:
    """The verdict of one append; None for a replay, whose answer must be read from `idempotency_keys`."""
    match row["verdict"]:
        case "accepted":
            return Accepted(row["last_position"] or 0)
        case "conflict":
            return Conflict(row["actual"])
        case "lease_lost":
            return LeaseLost()
        case _:
            return None


def replay(row: Record) -> Replay:
    answer = Answer(
        result=RESULTS[row["status"]],
        stream=row["stream_id"],
        version=row["version"],
        position=row["position"],
        fields=codec.parse(row["fields"]),
    )
    return Replay(answer, row["fingerprint"])
