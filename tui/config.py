"""The deck's own configuration: what the operator may set in a file, with the value that each has without one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One orderdeck that the deck may be opened on. `confirm`: ask once more before each command.

    `api_key_file` holds the key that its services may ask for; nobody else may read it.
    """

    command_url: str = ""
    query_url: str = ""
    api_key_file: str = ""
    read_only: bool = False
    confirm: bool = False


class DeckConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`keymap` gives keys to actions by their ids, `views` names to filters of the orders, whose `columns` it names.

    `confirm`: ask once more before each command. `profile` is the name of the one that the deck is opened on.
    """

    theme: str = "textual-dark"
    ascii: bool = False
    read_only: bool = False
    confirm: bool = False
    keymap: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    views: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    profiles: Mapping[str, Profile] = msgspec.field(default_factory=dict[str, Profile])
    columns: Sequence[str] = ()
    profile: str = ""


WITHOUT_FILE = DeckConfig()


def config_path(environment: Mapping[str, str]) -> Path:
    """Where the file is, whether or not there is one."""
    folder = environment.get("XDG_CONFIG_HOME") or ""
    if not os.path.isabs(folder):  # noqa: PTH117 - the specification says that others are ignored
        folder = str(Path(environment.get("HOME") or "~").expanduser() / ".config")
    return Path(folder) / "orderdeck" / "config.toml"
