"""The deck's start: its options, read without typer and, where the environment is plain, without the settings."""

# ruff: noqa: PLC0415 - what is imported here is what the start of the deck takes
from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from core.addresses import Addresses, plain_addresses, plain_home
from core.credentials import Show, show_key
from daemons.cli.output import fail

if TYPE_CHECKING:
    from daemons.host.deck_daemons import SupervisedDaemons
    from tui.config import DeckConfig, Profile


@dataclass
class DeckOptions:
    """What `orderdeck tui` takes: `--command-url TEXT` for a text, `--ascii` for a yes or no."""

    command_url: str = ""
    query_url: str = ""
    ascii: bool = False
    supervisor: str = ""
    profile: str = ""
    read_only: bool = False


def plain_options(words: Sequence[str]) -> DeckOptions | None:
    """The options; None when the words ask for help or are wrong, which is left to typer."""
    given = {f"--{field.name.replace('_', '-')}": field.name for field in fields(DeckOptions)}
    options, rest = DeckOptions(), list(words)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name not in given:
            return None
        if isinstance(getattr(options, given[name]), bool):
            if equals:
                return None
            setattr(options, given[name], True)
            continue
        if not equals:
            if not rest or rest[0].startswith("-"):
                return None
            value = rest.pop(0)
        setattr(options, given[name], value)
    return options


def open_deck(options: DeckOptions) -> int:
    """Open the deck until the operator leaves it; return the exit code."""
    from tui.terminal import knows_ascii_only, why_no_deck

    gc.disable()  # until the first picture stands: nothing of what is imported is garbage
    os.environ.setdefault("TEXTUAL_FPS", "120")  # a key waits for the next of these moments before it is seen
    plain = plain_addresses(os.environ)
    home, show = _of_settings() if plain is None else (plain, show_key(None, plain_home(os.environ)))
    if options.supervisor and not options.supervisor.startswith("unix:"):
        fail(f"--supervisor {options.supervisor}: must be the socket of a supervisord, as in unix:/tmp/desk.sock")
    if reason := why_no_deck():
        fail(reason)
    from tui.app import run

    config, profile = _config(options)
    commands = options.command_url or profile.command_url or home.commands
    queries = options.query_url or profile.query_url or home.queries
    return run(
        commands,
        queries,
        ascii_only=options.ascii or config.ascii or knows_ascii_only(),
        daemons=lambda: open_daemons(options.supervisor, commands, queries),
        config=config,
        show=_of_profile(profile) or show,
    )


def _of_profile(profile: Profile) -> Show | None:
    """What shows the services the key of the profile; None when it names none."""
    if not profile.api_key_file:
        return None
    from core.access_settings import kept_in

    key = kept_in(Path(profile.api_key_file))
    return lambda _: key()


def _config(options: DeckOptions) -> tuple[DeckConfig, Profile]:
    """What the file and the options say. Raises ConfigurationError, which names every mistake of the file."""
    from tui.config import WITHOUT_FILE, Profile, config_path

    path = config_path(os.environ)
    config, profile = WITHOUT_FILE, Profile()
    if options.profile or path.exists():
        from tui.config_check import check_config
        from tui.config_file import WrongConfig, read_config, with_profile

        if mistakes := check_config(path):
            raise WrongConfig(path, mistakes)
        config, profile = with_profile(read_config(path)[0], options.profile, path)
    return (msgspec.structs.replace(config, read_only=True) if options.read_only else config), profile


def open_daemons(supervisor: str, commands: str, queries: str) -> SupervisedDaemons | None:
    """The way to the supervisord of the services at these addresses; None when it is not known where that is.

    It is this home's only when the services are: the daemons of one orderdeck are not stopped beside the orders of
    another.
    """
    from core.errors import ConfigurationError
    from core.settings import load_settings, reachable
    from daemons.host.deck_daemons import SupervisedDaemons

    if supervisor:
        return SupervisedDaemons(Path(supervisor.removeprefix("unix:")))
    try:
        settings = load_settings()
    except ConfigurationError:  # the deck has opened without them, on services that it was given
        return None
    host = reachable(settings.host)
    here = (f"http://{host}:{settings.command_port}", f"http://{host}:{settings.query_port}")
    return SupervisedDaemons.of_home(settings) if (commands.rstrip("/"), queries.rstrip("/")) == here else None


def _of_settings() -> tuple[Addresses, Show]:
    """The addresses, and what is shown there. Raises ConfigurationError, which says what is wrong with the settings."""
    from core.settings import load_settings

    settings = load_settings()
    return Addresses(settings.commands_at, settings.queries_at), settings.shows
