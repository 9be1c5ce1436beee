"""ShownKey: the key that the deck shows the services, and a pause after they have refused it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from core.credentials import Show
from core.errors import ConfigurationError
from tui.gateway import ServiceRefused

if TYPE_CHECKING:  # it takes a fifth of the deck's start, so it is imported when the first picture stands
    import httpx

NO_KEY = 401  # how a service answers who shows no key, or one that it does not know
PAUSE = 5.0  # seconds for which nothing is sent to a service that does not know the key: it would say the same
WHAT_TO_DO = "set ORDERDECK_API_KEY_FILE, or api_key_file of the profile, and open the deck again"


class ShownKey:
    """A file or the environment is where the key comes from; it is in no sentence and in no list of processes."""

    def __init__(self, show: Show, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._show = show
        self._monotonic = monotonic
        self._refused: dict[str, float] = {}  # by service: until when nothing is sent to it

    def sign(self, request: httpx.Request) -> httpx.Request:
        try:
            key = self._show(str(request.url))
        except ConfigurationError as error:  # the home's key may come later, and be one that others can read
            raise ServiceRefused(NO_KEY, "key_not_valid", str(error)) from error
        if key is not None:
            request.headers["Authorization"] = f"Bearer {key}"
        return request

    def may_ask(self, service: str) -> None:
        """Raise ServiceRefused while this service would only refuse our key again."""
        if self._monotonic() < self._refused.get(service, 0.0):
            raise _refusal(service)

    def heard(self, service: str, status: int) -> None:
        """Raise ServiceRefused if the service has answered that it does not know our key."""
        if status == NO_KEY:
            self._refused[service] = self._monotonic() + PAUSE
            raise _refusal(service)


def _refusal(service: str) -> ServiceRefused:
    return ServiceRefused(NO_KEY, "key_not_valid", f"{service} needs a key that it knows: {WHAT_TO_DO}")
