"""Fills one share of the rows of a generation from the log, in a process of its own."""

from __future__ import annotations

import asyncio
from typing import Any

from core.ports.reading import ReadModels, RowShare, Subscription
from core.projections.projection import Group
from core.services.gather import BATCH
from core.services.paced_log import PacedLog
from core.services.project import Projector

TOGETHER = 16_000  # events that are saved at once: rows that most batches change are then written less often
RECENT = 50_000  # views that stay in memory, of all shares together; see `core.services.project`


async def fill_share(
    group: Group[Any],
    read_models: ReadModels,
    log: Subscription,
    share: RowShare,
    upto: int,
    stop: asyncio.Event,
    rate: int | None = None,
) -> None:
    """Save what the events up to `upto` change in these rows, of at most `rate` events of the log a second.

    Raises what `Projector.run` raises.
    """
    projector = Projector(group, read_models, recent=RECENT // share.shares, share=share)
    paced = PacedLog(log, upto=upto, rate=rate)
    # Counted by positions of the log, of whose events this share has a part.
    await projector.run(paced, stop, limit=BATCH * share.shares, together=TOGETHER * share.shares)
