"""Reads together what differs in values only: to start a statement takes PostgreSQL as long as to read a page with it.

Statements with the same text that are asked for while one of them runs are done by the next, as one statement with a
row of values for each. So each is read after it was asked for, as it would be alone.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from core.adapters.coalesce import GIVEN_UP
from core.adapters.postgres.lanes import Lanes
from core.adapters.postgres.read_models.written import array
from core.errors import Unavailable, ValuesRefused
from core.tracing import elsewhere

MOST_TOGETHER = 16
MOST_TEXTS = 500  # texts of statements that are kept

TYPES: Sequence[tuple[type, str]] = (
    (str, "text"),
    (datetime, "timestamptz"),
    (UUID, "uuid"),
    (Decimal, "numeric"),
    (int, "bigint"),
    (list, "text"),  # as the text of an array, which the statement casts
)

TOGETHER = """SELECT one.*, asked.nth
  FROM unnest({arrays}) WITH ORDINALITY AS asked({names}, nth) CROSS JOIN LATERAL ({text}) AS one"""

_PARAMETER = re.compile(r"\$(\d+)")


class Statement(NamedTuple):
    """It has one row. A list among the values is cast in the text: `$1::text[]`."""

    text: str
    values: Sequence[Any]


class _Wanted(NamedTuple):
    values: Sequence[Any]
    row: asyncio.Future[asyncpg.Record]


class ReadTogether:
    """Runs statements on lanes, of each text as many at once as there are lanes."""

    def __init__(self, lanes: Lanes, *, at_once: int) -> None:
        self._lanes = lanes
        self._at_once = at_once
        self._waiting: dict[str, list[_Wanted]] = {}
        self._running = Counter[str]()

    async def row(self, statement: Statement) -> asyncpg.Record:
        """The row of the statement. Raises what running it raises."""
        text = statement.text
        waiting = _Wanted(statement.values, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(text, []).append(waiting)
        if self._running[text] < self._at_once:
            self._running[text] += 1
            asyncio.create_task(self._run(text), context=elsewhere())  # noqa: RUF006 - somebody waits for its rows
        return await waiting.row

    async def _run(self, text: str) -> None:
        try:
            while waiting := self._waiting.get(text):
                batch = waiting[:MOST_TOGETHER]
                del waiting[:MOST_TOGETHER]
                try:
                    await self._answer(text, batch)
                finally:
                    _fail(batch, Unavailable(GIVEN_UP))  # those without an answer: the read was cancelled
        finally:
            self._running[text] -= 1
            if not self._running[text]:
                del self._running[text]
                _fail(self._waiting.pop(text, ()), Unavailable(GIVEN_UP))  # likewise

    async def _answer(self, text: str, batch: Sequence[_Wanted]) -> None:
        try:
            rows = await self._read(text, [one.values for one in batch])
        except Exception as error:  # noqa: BLE001 - every caller raises it
            if len(batch) > 1 and _is_of_values(error):
                await asyncio.gather(*(self._answer(text, [one]) for one in batch))
            else:
                _fail(batch, error)
        else:
            for one, row in zip(batch, rows, strict=True):
                if not one.row.done():
                    one.row.set_result(row)

    async def _read(self, text: str, batch: Sequence[Sequence[Any]]) -> Sequence[asyncpg.Record]:
        if len(batch) == 1:
            row = await self._lanes.run(lambda connection: connection.fetchrow(text, *batch[0]))
            assert row is not None  # noqa: S101 - it has one row
            return [row]
        columns = [list(column) for column in zip(*batch, strict=True)]
        together = together_with(text, tuple(map(_type_of, batch[0])))
        given = [[array(value) for value in column] if isinstance(column[0], list) else column for column in columns]
        rows = await self._lanes.run(lambda connection: connection.fetch(together, *given))
        return sorted(rows, key=lambda row: row["nth"])


@lru_cache(MOST_TEXTS)
def together_with(text: str, types: Sequence[str]) -> str:
    """The statement for several rows of values of these types, each value as a column of them."""
    return TOGETHER.format(
        arrays=", ".join(f"${n}::{type_}[]" for n, type_ in enumerate(types, 1)),
        names=", ".join(f"v{n}" for n in range(1, len(types) + 1)),
        text=_PARAMETER.sub(r"asked.v\1", text),
    )


def _is_of_values(error: Exception) -> bool:
    """Whether the statement may do with other values, or with fewer: they are wrong, or took longer than allowed."""
    return isinstance(error, ValuesRefused) or isinstance(error.__cause__, asyncpg.QueryCanceledError)


def _type_of(value: Any) -> str:
    return next(type_ for kind, type_ in TYPES if isinstance(value, kind))


def _fail(batch: Sequence[_Wanted], error: Exception) -> None:
    for one in batch:
        if not one.row.done():
            one.row.set_exception(error)
            one.row.exception()  # else asyncio warns when its caller has gone
