"""The home alone, whatever is wrong with other settings: enough to stop what runs there."""

from __future__ import annotations

import difflib
import os

from dotenv import dotenv_values
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings

from core.addresses import default_home
from core.errors import ConfigurationError
from core.setting_types import FolderPath
from core.settings import ENV_FILE, Settings, env_names, is_trusted, load_settings

HOME = "ORDERDECK_HOME"
RESEMBLES = 0.87  # how much a name resembles that of the home, from 0 to 1, when it may be the home misspelt


class _HomeAlone(BaseSettings):
    model_config = Settings.model_config
    home: FolderPath = Field(default_factory=default_home)


def settings_to_stop_with() -> tuple[Settings, str | None]:
    """The settings, and None; or, where some are wrong, the home with defaults for all others, and what is wrong.

    Raises ConfigurationError where the home is wrong, or may be misspelt: no other home must be stopped.
    """
    try:
        return load_settings(), None
    except ConfigurationError as error:
        wrong = error
    file = ENV_FILE if is_trusted(ENV_FILE) else None
    try:
        names = {name.upper() for name in (*os.environ, *(dotenv_values(file) if file else ()))}
        home = _HomeAlone(_env_file=file).home  # pyright: ignore[reportCallIssue] - pydantic-settings takes it
    except (OSError, UnicodeDecodeError, ValidationError):
        raise wrong from None
    known = {name for field in Settings.model_fields for name in env_names(field)}
    if HOME not in names and difflib.get_close_matches(HOME, names - known, n=1, cutoff=RESEMBLES):
        raise wrong
    return Settings.model_construct(home=home), str(wrong)
