"""Past generations: read models as they were after an event, made when somebody asks and dropped when nobody does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol

from core.ports.generations import Generation
from core.projections.projection import Group


class PastGenerations(Protocol):
    async def find(self, group: Group[Any], position: int, *, keep: timedelta) -> Generation | None:
        """The newest generation of the group as of a position that is ready, being built, or has failed lately.

        One that is being built is kept for so long from now on, since it is asked for.
        """
        ...

    async def request(
        self, group: Group[Any], position: int, *, keep: timedelta, most: int, unused: timedelta
    ) -> Generation | None:
        """Ask for one, which a builder then fills. It is dropped when nobody has used it for so long.

        Of those who ask for the same one at once, all get that one. When there are `most` already, the one goes that
        nobody has used or asked for the longest, if that is longer than `unused`. None: all of them are in use.
        """
        ...

    async def use(self, id_: int, *, keep: timedelta) -> bool:
        """Keep a generation that is ready for so long from now on. False when it is not ready, or not any more."""
        ...
