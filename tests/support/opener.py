"""How a test opens a connection to its database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from core.adapters.postgres.connection import Connection

Opener = Callable[[], Awaitable[Connection]]
