"""Work that goes on whatever happens: after an error it begins again, soon after an outage and later after a fault."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

import structlog

from core.errors import (
    CheckpointMoved,
    ConfigurationError,
    SchemaBehind,
    ShareLost,
    Unavailable,
    in_words,
)

LONGEST_PAUSE = 0.5  # seconds between two tries to start, while something is away
PAUSE_AFTER_FAULT = 5.0  # seconds between two tries, while a person has to mend something

PASSES_BY_ITSELF = (Unavailable, SchemaBehind, CheckpointMoved, ShareLost, OSError)

Body = Callable[[], Awaitable[None]]

_log = structlog.get_logger()


async def keep_up(
    body: Body,
    stop: asyncio.Event,
    *,
    waits: Callable[[str], None],
    failed: Callable[[Exception], None],
    started: Callable[[], bool] = lambda: True,
) -> None:
    """Run `body` again whenever it raises, until `stop` is set: soon after an outage, some seconds after a fault.

    An outage is logged here, once, and each try that meets it calls `waits`. A fault calls `failed`, which logs it, and
    so does a wrong setting once the daemon has `started`; before that, the setting ends the daemon.
    """
    tries, last = 0, ""
    while not stop.is_set():
        began = time.monotonic()
        try:
            await body()
            if not stop.is_set():
                raise RuntimeError("its work ended by itself")  # noqa: TRY301 - the same pause and log line
        except Exception as raised:  # noqa: BLE001 - a daemon stays, whatever it is
            error = what_matters(raised)
            if isinstance(error, ConfigurationError):
                if not started():
                    raise error from None
                failed(error)  # it has worked before, so what was changed meanwhile may be changed back
                await _pause(PAUSE_AFTER_FAULT, stop)
            elif isinstance(error, PASSES_BY_ITSELF):
                reason = in_words(error)
                if time.monotonic() - began > 10:
                    tries, last = 0, ""
                if reason != last and not (isinstance(error, Unavailable) and error.logged):
                    _log.warning("waits", reason=reason)
                waits(reason)
                tries, last = tries + 1, reason
                await _pause(min(LONGEST_PAUSE, 0.1 * 2 ** min(tries, 10)), stop)
            else:
                failed(error)
                await _pause(PAUSE_AFTER_FAULT, stop)


def what_matters(error: Exception) -> Exception:
    """Of the errors that tasks have met at the same time: the first that a person has to mend, or else the first."""
    errors = _each(error)
    return next((one for one in errors if not isinstance(one, PASSES_BY_ITSELF)), errors[0])


def _each(error: Exception) -> list[Exception]:
    if isinstance(error, ExceptionGroup):
        return [each for one in cast("ExceptionGroup[Exception]", error).exceptions for each in _each(one)]
    return [error]


async def cancel_after(stop: asyncio.Event, seconds: float, work: Coroutine[Any, Any, None]) -> None:
    """Do work that may wait for something outside, until it ends, or until so many seconds after `stop` is set."""
    async with asyncio.TaskGroup() as group:
        working = group.create_task(work)
        stopping = group.create_task(stop.wait())
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([working], timeout=seconds)
        working.cancel()
        stopping.cancel()


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), random.uniform(0.5, 1) * seconds)  # noqa: S311 - jitter
