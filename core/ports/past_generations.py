"""Past generations: read models as they were after an event, made when somebody asks and dropped when nobody does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol

from core.ports.generations import Generation
from core.projections.projection import Group


class PastGenerations(Protocol):
    async def find(self, group: Group[Any], position: int) -> Generation | None:
        """The newest generation of the group as of a position that is ready, being built, or has failed lately."""
        ...

    async def count(self, group: Group[Any]) -> int:
        """How many generations of the group, as of any position, are ready or being built."""
        ...

    async def request(self, group: Group[Any], position: int, *, keep: timedelta) -> Generation:
        """Ask for one, which a builder then fills. It is dropped when nobody has used it for so long."""
        ...

    async def use(self, id_: int, *, keep: timedelta) -> bool:
        """Keep a generation that is ready for so long from now on. False when it is not ready, or not any more."""
        ...

    async def give_up_unused(self, group: Group[Any], *, unused: timedelta, keep: timedelta) -> bool:
        """Let the one that was used least lately go, if nobody has used it for so long; whether there was one."""
        ...
