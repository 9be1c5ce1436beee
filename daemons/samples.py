"""The sample catalogue goes into a new, empty log, and into no other."""

from __future__ import annotations

from core.bootstrap import bootstrap
from core.services.catalogue import load_catalogue
from core.settings import Settings


async def stock_samples(settings: Settings) -> bool:
    """Whether it was loaded just now."""
    if not settings.sample_catalogue:
        return False
    async with bootstrap(settings, name="samples") as app:
        return await load_catalogue(app.store, app.clock)
