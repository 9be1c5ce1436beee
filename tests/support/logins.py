"""The addresses of a database of the tests: the fixture `dsn` is the owner's, and daemons log in as another user."""

from __future__ import annotations

from core.home import DAEMONS, OWNER


def of_daemons(dsn: str) -> str:
    return dsn.replace(f"postgresql://{OWNER}@", f"postgresql://{DAEMONS}@")
