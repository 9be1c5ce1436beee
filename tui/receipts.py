"""Receipts: send one command so that it is recorded once, and measure when it was accepted and when it was visible."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tui.gateway import CommandAccepted, CommandToSend, Gateway, GatewayError, ServiceRefused, TimedOut, Unreachable
from tui.wire import WireOrder

TRIES = 4
PAUSE = 0.25  # seconds before the same command is sent again
VISIBLE_WITHIN = 5.0


@dataclass(frozen=True)
class Receipt:
    """`visible_ms` is None when the read model did not show the command within VISIBLE_WITHIN seconds.

    It is None for a command to a saga too, which is not waited for. When the query API could not be asked at all,
    `unseen` says why. When there is an `order` all the same, the service has read it from the log.
    """

    command: CommandToSend
    accepted: CommandAccepted
    accepted_ms: float
    visible_ms: float | None
    order: WireOrder | None
    unseen: str = ""


async def perform(gateway: Gateway, command: CommandToSend, *, key: str, clock: Callable[[], float]) -> Receipt:
    """Raises GatewayError when it was refused, or when after every try it is unknown whether it was recorded."""
    started = clock()
    accepted = await settle(gateway, command, key)
    accepted_ms = (clock() - started) * 1000
    if command.kind != "order":
        return Receipt(command, accepted, accepted_ms, None, None)
    try:
        order = await gateway.order(accepted.subject_id, min_version=accepted.version, wait=VISIBLE_WITHIN)
    except (Unreachable, TimedOut) as error:
        return Receipt(command, accepted, accepted_ms, None, None, unseen=str(error))
    except GatewayError:
        return Receipt(command, accepted, accepted_ms, None, None)
    seen = (clock() - started) * 1000 if order.read_from == "view" else None
    return Receipt(command, accepted, accepted_ms, seen, order)


async def settle(gateway: Gateway, command: CommandToSend, key: str) -> CommandAccepted:
    """Send the command until its outcome is known, each time under the same key, so it is recorded at most once.

    Raises GatewayError when it was refused, or when after every try the outcome is unknown. What is done to a webhook
    is done again when it is sent again, and a second new secret would end the one that its receiver has.
    """
    if command.kind == "webhook":
        return await _send_once(gateway, command, key)
    sent = False
    for last in (False,) * (TRIES - 1) + (True,):
        try:
            return await gateway.send(command, key=key)
        except TimedOut:
            sent = True
            if last:
                raise
        except Unreachable:
            if last or not sent:
                raise
        except ServiceRefused as refused:
            if last or not refused.retryable:
                raise
        await asyncio.sleep(PAUSE)
    raise AssertionError  # the last try returns or raises


async def _send_once(gateway: Gateway, command: CommandToSend, key: str) -> CommandAccepted:
    try:
        return await gateway.send(command, key=key)
    except TimedOut as error:
        raise TimedOut(f"{error}: look whether it was done") from error
