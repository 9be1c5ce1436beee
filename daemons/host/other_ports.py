"""Gives a stack other ports for those that are taken and that no setting names, and writes them into .env."""

from __future__ import annotations

import os
from collections.abc import Mapping

from core.errors import ConfigurationError
from core.settings import ENV_FILE, Settings, env_names, is_trusted
from daemons.process.listening import PortTaken, must_bind
from daemons.process.program_list import HIGHEST_PORT, Counts, ports_of

STEP = 10_000  # from the usual port to the next one that is tried: 8080, 18080, 28080 …


def move_to_other_ports(settings: Settings, counts: Counts) -> tuple[Settings, list[str]]:
    """The settings with ports that are free, and a sentence for each that is new. Raises ConfigurationError.

    A port that a setting names stays, since somebody relies on it: `up` then says that it is taken.
    """
    moved, ports, why = settings, dict[str, int](), dict[str, str]()
    while found := {
        field: text for field, text in _taken(moved, counts).items() if field not in settings.model_fields_set
    }:
        for field, text in found.items():
            why.setdefault(field, text)
            ports[field] = int(getattr(moved, field)) + STEP
            if ports[field] > HIGHEST_PORT:
                raise ConfigurationError(
                    f"{why[field]}, and so is every port that was tried for it: set {env_names(field)[0]}"
                )
        moved = settings.model_copy(update=ports)
    if ports:
        _write({env_names(field)[0]: port for field, port in ports.items()})
    return moved, [
        f"{why[field]}: {env_names(field)[0]}={port}, as {ENV_FILE} now says" for field, port in ports.items()
    ]


def _taken(settings: Settings, counts: Counts) -> dict[str, str]:
    """The setting of each port that another program listens on, with a sentence about it."""
    taken: dict[str, str] = {}
    for port, program in ports_of(settings, counts).items():
        field = program.setting_of(port, settings)
        try:
            must_bind(settings, field, port)
        except PortTaken as error:
            taken.setdefault(field, error.taken)
    return taken


def _write(ports: Mapping[str, int]) -> None:
    """Add settings to .env, where every command that is started in this folder finds them."""
    lines = "".join(f"{name}={port}\n" for name, port in ports.items())
    if ENV_FILE.exists() and not is_trusted(ENV_FILE):  # it has said why
        raise ConfigurationError(
            f"ports are taken, and others cannot be written to {ENV_FILE.absolute()}: set {', '.join(ports)}"
        )
    try:
        with os.fdopen(os.open(ENV_FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a+", encoding="utf-8") as file:
            file.seek(0)
            before = file.read()
            file.write(("\n" if before and not before.endswith("\n") else "") + lines)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{ENV_FILE.absolute()} cannot be written: {error}") from None
