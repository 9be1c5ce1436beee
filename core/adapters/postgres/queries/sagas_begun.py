"""Reads which sagas and orders may be in a list of sagas as of an earlier moment; each saga is folded afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.queries.sagas import CANDIDATES, Conditions
from core.domain.message import OrderId
from core.ports.saga_lists import SagaPlace, SagasBegun

EXPIRING = """
SELECT order_id FROM order_views
 WHERE status = 'CONFIRMED' AND payment_status = 'AUTHORIZED' AND payment_expires_at < $1
 ORDER BY payment_expires_at DESC LIMIT $2
"""


async def sagas_begun(connection: Connection, wanted: SagasBegun) -> Sequence[SagaPlace]:
    """A saga that has ended changes no more, so one that has not been changed since a moment had ended by then.

    Each kind is read by its own index, and no further than `limit`.
    """
    conditions = Conditions(wanted)
    conditions.add("started_at <= {}", wanted.by)
    direction, beyond = ("ASC", ">") if wanted.backwards else ("DESC", "<")
    if wanted.start is not None:
        place = ", ".join(map(conditions.parameter, wanted.start))
        conditions.texts.append(f"(started_at, saga_id) {beyond} ({place})")
    order = f"ORDER BY started_at {direction}, saga_id {direction} LIMIT {wanted.limit}"
    kinds = ["true"] if wanted.every else [CANDIDATES.get(status, f"status = '{status}'") for status in wanted.ended]
    if wanted.unfinished and not wanted.every:
        kinds += [f"updated_at >= {conditions.parameter(wanted.by)}", CANDIDATES["RUNNING"], CANDIDATES["FAILED"]]
    if wanted.expiring:
        kinds.append(f"saga_id = ANY ({conditions.parameter(wanted.expiring)}::uuid[])")
    if not kinds:
        return []
    parts = [
        f"(SELECT started_at, saga_id FROM sagas WHERE {' AND '.join([*conditions.texts, kind])} {order})"
        for kind in kinds
    ]
    rows = await connection.fetch(f"SELECT * FROM ({' UNION '.join(parts)}) AS found {order}", *conditions.values)
    return [(row["started_at"], row["saga_id"]) for row in rows]


async def expiring_orders(connection: Connection, before: datetime, limit: int) -> Sequence[OrderId]:
    return [row["order_id"] for row in await connection.fetch(EXPIRING, before, limit)]
