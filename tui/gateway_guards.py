"""What stands around the Gateway and the Daemons and stops what writes: no view can get past it with any key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from tui.daemons import Daemons, DaemonsError
from tui.gateway import CommandAccepted, CommandToSend, Gateway, GatewayError

READ_ONLY = "this deck only reads (--read-only)"
READING = frozenset(
    (
        "where",
        "read_only",
        "orders",
        "order",
        "timeline",
        "health",
        "ask_for_commands",
        "read",
        "dry_run",
        "feed",
        "close",
    )
)
"""The members of a Gateway that record nothing; a test compares them with the protocol."""
READING_DAEMONS = frozenset(("where", "states", "readiness", "tail", "close"))
_MOST_KEYS = 1_000


class NotSent(GatewayError):
    """The deck itself refused to send a command, or the operator did."""


class ReadOnlyDaemons:
    """Passes on what only reads."""

    def __init__(self, inside: Daemons) -> None:
        self.inside = inside

    def __getattr__(self, name: str) -> Any:
        if name not in READING_DAEMONS:
            raise DaemonsError(READ_ONLY)
        return getattr(self.inside, name)


class AskingGateway:
    """Asks once more before each command. One that is sent again under the same key is not asked for again."""

    def __init__(self, inside: Gateway, ask: Callable[[CommandToSend], Awaitable[bool]]) -> None:
        self.inside = inside
        self._ask = ask
        self._agreed: dict[str, None] = {}

    def __getattr__(self, name: str) -> Any:
        if name not in READING:
            raise NotSent(f"{name} is not known to record nothing")
        return getattr(self.inside, name)

    async def send(self, command: CommandToSend, *, key: str) -> CommandAccepted:
        if key not in self._agreed:
            if not await self._ask(command):
                raise NotSent("nothing was sent")
            self._agreed[key] = None
            while len(self._agreed) > _MOST_KEYS:
                del self._agreed[next(iter(self._agreed))]
        return await self.inside.send(command, key=key)


def asking(gateway: Gateway, ask: Callable[[CommandToSend], Awaitable[bool]]) -> Gateway:
    return cast("Gateway", AskingGateway(gateway, ask))


def read_only_daemons(open_them: Callable[[], Daemons | None]) -> Callable[[], Daemons | None]:
    def opened() -> Daemons | None:
        daemons = open_them()
        return None if daemons is None else cast("Daemons", ReadOnlyDaemons(daemons))

    return opened
