"""Has the rate limits of a daemon counted in Redis, as soon and as long as there is one."""

from __future__ import annotations

import asyncio

from core.errors import OrderdeckError, Unavailable
from core.settings import Settings
from daemons.process.guard.limiter import Limiter
from daemons.process.vitals import Vitals

TRY_EVERY = 1.0  # seconds between two tries to learn from the database whose buckets they are
PART = "the rate limits of all processes"  # its name on the FaultBoard


def open_limiter(settings: Settings, *, has_database: bool) -> Limiter | None:
    """The limits of a daemon; None where nothing is limited, as for the payment sandbox."""
    quotas = settings.quotas if has_database else {}
    return Limiter(quotas) if quotas else None


async def share_limits(limiter: Limiter, settings: Settings, vitals: Vitals) -> None:
    """Let the limiter use the buckets of all processes, until cancelled."""
    from core.bootstrap_limits import open_shared_buckets  # noqa: PLC0415 - the payment sandbox has no database

    limiter.has_shared = settings.redis_url is not None
    while limiter.has_shared:
        try:
            async with open_shared_buckets(settings, name=vitals.name) as buckets:
                vitals.faults.clear(PART)
                limiter.shared = buckets
                await asyncio.Event().wait()
        except Unavailable:
            pass  # every other part of the daemon tells that
        except (OrderdeckError, OSError) as error:
            if vitals.has_worked and not isinstance(error, OSError):
                vitals.faults.report(PART, error)
        finally:
            limiter.shared = None
        await asyncio.sleep(TRY_EVERY)
