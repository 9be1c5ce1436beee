"""Addresses: where a client finds the two APIs, read from a plain environment without the libraries behind Settings.

Those take 0.15 seconds of CPU, half of what the deck may take to open. Whatever is not plain is left to Settings, which
also says what is wrong with it: a test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

PREFIX = "ORDERDECK_"
ENV_FILE = Path(".env")
_PORT = re.compile(r"[1-9][0-9]{0,3}|[1-5][0-9]{4}")
_URL = re.compile(r"https?://[!-~]+")
_PORTS = ("COMMAND_PORT", "QUERY_PORT", "PAYMENT_PORT", "PROJECTOR_PORT", "SAGA_RUNNER_PORT")
_COUNT = re.compile(r"[1-9]|[1-5][0-9]|6[0-4]")
_COUNTS = (
    "COMMAND_API_COUNT",
    "QUERY_API_COUNT",
    "PROJECTOR_COUNT",
    "SAGA_RUNNER_COUNT",
    "RELAY_COUNT",
    "NOTIFIER_COUNT",
)
_PLAIN = (
    {"HOME": re.compile(r"/.*")}
    | dict.fromkeys(_PORTS, _PORT)
    | dict.fromkeys(_COUNTS, _COUNT)
    | dict.fromkeys(("COMMAND_URL", "QUERY_URL"), _URL)
)
_LIKE_OURS = re.compile("ORDER|DECK", re.IGNORECASE)


class Addresses(NamedTuple):
    """Base URLs, without a slash at their end."""

    commands: str
    queries: str


def default_home() -> Path:
    """The folder .orderdeck of a checkout, which Makefile and supervisord.conf use too; else the user's data folder."""
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "supervisord.conf").is_file():
        return checkout / ".orderdeck"
    import platformdirs  # noqa: PLC0415 - a checkout, and who sets ORDERDECK_HOME, does without it

    return Path(platformdirs.user_data_dir("orderdeck"))


def plain_addresses(environ: Mapping[str, str]) -> Addresses | None:
    """The addresses; None when a file .env, or a variable that is not plainly right, has to be looked at closely."""
    if ENV_FILE.exists():
        return None
    ours = {name.removeprefix(PREFIX): value for name, value in environ.items() if _LIKE_OURS.search(name)}
    if any(name not in _PLAIN or (value and not _PLAIN[name].fullmatch(value)) for name, value in ours.items()):
        return None
    return Addresses(
        ours.get("COMMAND_URL", "").rstrip("/") or f"http://127.0.0.1:{ours.get('COMMAND_PORT') or 8080}",
        ours.get("QUERY_URL", "").rstrip("/") or f"http://127.0.0.1:{ours.get('QUERY_PORT') or 8081}",
    )


def plain_home(environ: Mapping[str, str]) -> Path:
    """The home, where `plain_addresses` has found that the environment is plain."""
    home = environ.get(f"{PREFIX}HOME", "")
    return Path(home) if home else default_home()
