"""The settings of who may ask, which `core.settings.Settings` inherits: whether keys are needed, and our own key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from core.errors import ConfigurationError
from core.home_key import read_private

LONGEST_KEY = 8_000  # characters; access tokens of some issuers are that long
KEY_TEXT = re.compile(r"[\x21-\x7e]{1,8000}")


def _key(value: SecretStr | None) -> SecretStr | None:
    if value and not KEY_TEXT.fullmatch(value.get_secret_value()):
        raise ValueError("must be a key: visible ASCII characters without blanks")
    return value


Key = Annotated[SecretStr | None, AfterValidator(_key)]


class AccessSettings(BaseSettings):
    require_keys: bool = Field(
        default=False, description="Answer only callers who show a key, which `orderdeck keys create` makes."
    )
    allow_anonymous: bool = Field(
        default=False, description="Serve beyond loopback without keys, where only trusted programs reach the services."
    )
    api_key: Key = Field(default=None, description="The key that the deck and the command show; better in a file.")
    api_key_file: Path | None = Field(
        default=None, description="A file with that key, which nobody else may read (chmod 600)."
    )
    payment_key: Key = Field(
        default=None, description="The key that the payment provider asks for; where keys are needed, the sandbox does."
    )

    @property
    def own_key(self) -> str | None:
        """The key that clients show. Raises ConfigurationError when its file is missing, or others may read it."""
        if self.api_key is not None:
            return self.api_key.get_secret_value()
        return None if self.api_key_file is None else key_in_file(self.api_key_file)

    @property
    def access_contradiction(self) -> str | None:
        """A sentence when two of the settings contradict each other."""
        if self.require_keys and self.allow_anonymous:
            return "ORDERDECK_REQUIRE_KEYS and ORDERDECK_ALLOW_ANONYMOUS are both true: set one of them"
        return None


def key_in_file(file: Path) -> str:
    """The key in a file. Raises ConfigurationError, which does not repeat what is in it."""
    try:
        text = read_private(file.expanduser(), longest=LONGEST_KEY).decode("latin-1")
    except OSError as error:
        raise ConfigurationError(f"the key's file {file} cannot be read: {error.strerror}") from None
    if not KEY_TEXT.fullmatch(text):
        raise ConfigurationError(f"{file} must hold a key and nothing else")
    return text
