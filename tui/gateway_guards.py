"""What stands around the Gateway and the Daemons and stops what writes: no view can get past it with any key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from tui.config import DeckConfig
from tui.daemons import Daemons, DaemonsError
from tui.gateway import CommandAccepted, CommandToSend, Gateway, GatewayError

READ_ONLY = "this deck is read-only: it sends no commands"
READING = frozenset(
    ("where", "orders", "order", "timeline", "health", "ask_for_commands", "read", "dry_run", "feed", "close")
)
"""The members of a Gateway that record nothing; a test compares them with the protocol."""
READING_DAEMONS = frozenset(("where", "states", "readiness", "tail", "close"))
_MOST_KEYS = 1_000


class NotSent(GatewayError):
    """The deck itself refused to send a command, or the operator did."""


class _Around:
    """Passes on what only reads; what writes is defined by the classes below, or refused."""

    def __init__(self, inside: Gateway) -> None:
        self.inside = inside

    def __getattr__(self, name: str) -> Any:
        if name not in READING:
            raise NotSent(READ_ONLY)
        return getattr(self.inside, name)


class ReadOnlyDaemons:
    """Passes on what only reads."""

    def __init__(self, inside: Daemons) -> None:
        self.inside = inside

    def __getattr__(self, name: str) -> Any:
        if name not in READING_DAEMONS:
            raise DaemonsError(READ_ONLY)
        return getattr(self.inside, name)


class ReadOnlyGateway(_Around):
    async def send(self, command: CommandToSend, *, key: str) -> CommandAccepted:  # noqa: ARG002 - as the Gateway has it
        raise NotSent(READ_ONLY)


class AskingGateway(_Around):
    """Asks once more before each command. One that is sent again under the same key is not asked for again."""

    def __init__(self, inside: Gateway, ask: Callable[[CommandToSend], Awaitable[bool]]) -> None:
        super().__init__(inside)
        self._ask = ask
        self._agreed: dict[str, None] = {}

    async def send(self, command: CommandToSend, *, key: str) -> CommandAccepted:
        if key not in self._agreed:
            if not await self._ask(command):
                raise NotSent("nothing was sent")
            self._agreed[key] = None
            while len(self._agreed) > _MOST_KEYS:
                del self._agreed[next(iter(self._agreed))]
        return await self.inside.send(command, key=key)


def guards(gateway: Gateway, config: DeckConfig, ask: Callable[[CommandToSend], Awaitable[bool]]) -> Gateway:
    """The gateway with what the configuration puts around it."""
    if config.read_only:
        return cast("Gateway", ReadOnlyGateway(gateway))
    return cast("Gateway", AskingGateway(gateway, ask)) if config.confirm else gateway


def read_only_daemons(open_them: Callable[[], Daemons | None]) -> Callable[[], Daemons | None]:
    def opened() -> Daemons | None:
        daemons = open_them()
        return None if daemons is None else cast("Daemons", ReadOnlyDaemons(daemons))

    return opened
