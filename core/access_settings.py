"""The settings of who may ask, which `core.settings.Settings` inherits: whether keys are needed, and our own key."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from core.api_keys import Role
from core.errors import ConfigurationError
from core.folders import at_home
from core.home_key import read_private
from core.quotas import Quota, read_quotas
from core.setting_types import Networks, RateLimits, split

LONGEST_KEY = 8_000  # characters; access tokens of some issuers are that long
KEY_TEXT = re.compile(r"[\x21-\x7e]{1,8000}")


def _key(value: SecretStr | None) -> SecretStr | None:
    if value and not KEY_TEXT.fullmatch(value.get_secret_value()):
        raise ValueError("must be a key: visible ASCII characters without blanks")
    return value


def _issuer_address(value: str) -> str:
    parts = urlsplit(value)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1"))
    if value and not (secure and parts.hostname):
        raise ValueError("must begin with https:// (or http://localhost)")
    return value


def _role_map(value: str) -> str:
    for entry in split(value):
        if not re.fullmatch(rf"\S(.*\S)?=({'|'.join(Role)})", entry):
            raise ValueError(f"{entry!r} must be a name and one of {', '.join(Role)}, as in desk=operator")
    return value


Address = Annotated[str, AfterValidator(_issuer_address)]
RoleMap = Annotated[str, AfterValidator(_role_map)]
Key = Annotated[SecretStr | None, AfterValidator(_key)]


class AccessSettings(BaseSettings):
    require_keys: bool = Field(
        default=False, description="Answer only callers who show a key, which `orderdeck keys create` makes."
    )
    allow_anonymous: bool = Field(
        default=False, description="Serve beyond loopback without keys, where only trusted programs reach the services."
    )
    rate_limits: RateLimits = Field(
        default="",
        description="How many requests of each class a caller may send, as in commands=2000/10s, reads=off; or off.",
    )
    trusted_proxies: Networks = Field(
        default="",
        description="Proxies whose X-Forwarded-For and -Proto count, with commas between: 10.0.0.5, 10.1.0.0/24.",
    )
    api_key: Key = Field(default=None, description="The key that the deck and the command show; better in a file.")
    api_key_file: Path | None = Field(
        default=None, description="A file with that key, which nobody else may read (chmod 600)."
    )
    payment_key: Key = Field(
        default=None, description="The key that the payment provider asks for; where keys are needed, the sandbox does."
    )

    audit: bool = Field(default=True, description="Record who asked for what, from where, and what came of it.")
    audit_days: int = Field(default=365, ge=0, le=36_500, description="How many days the audit is kept; 0: for ever.")
    oidc_issuer: Address = Field(
        default="", description="OpenID Connect issuer whose access tokens people show, as in https://id.example.com."
    )
    oidc_audience: str = Field(default="orderdeck", description="Whom its access tokens must be meant for (aud).")
    oidc_jwks_url: Address = Field(default="", description="Where its public keys are; empty: where it says itself.")
    oidc_name_claim: str = Field(default="sub", description="Claim with the name of the person, which events get.")
    oidc_roles_claim: str = Field(
        default="roles", description="Claim with the person's groups or roles, as in realm_access.roles."
    )
    oidc_roles: RoleMap = Field(
        default="", description="Which role each of them gives: desk-admins=admin, desk=operator, staff=viewer."
    )

    @property
    def role_names(self) -> dict[str, Role]:
        """The roles here, by the names that the issuer gives them."""
        return {name: Role(role) for name, role in (entry.rsplit("=", 1) for entry in split(self.oidc_roles))}

    @property
    def quotas(self) -> dict[str, Quota]:
        """How many requests of each class a caller may send. Where no keys are needed, only what is set is limited."""
        return read_quotas(self.rate_limits, defaults=self.require_keys)

    @property
    def own_key(self) -> Callable[[], str] | None:
        """The key that clients show; raises ConfigurationError when its file is missing or others may read it."""
        if self.api_key is not None:
            return self.api_key.get_secret_value
        return None if self.api_key_file is None else kept_in(self.api_key_file)

    @property
    def access_contradiction(self) -> str | None:
        """A sentence when two of the settings contradict each other."""
        if self.require_keys and self.allow_anonymous:
            return "ORDERDECK_REQUIRE_KEYS and ORDERDECK_ALLOW_ANONYMOUS are both true: set one of them"
        if self.oidc_issuer and not (self.require_keys and self.oidc_roles):
            return "ORDERDECK_OIDC_ISSUER needs ORDERDECK_REQUIRE_KEYS=true, and ORDERDECK_OIDC_ROLES"
        return None


def kept_in(file: Path) -> Callable[[], str]:
    """Gives the key in a file, also one that is put there later. Raises ConfigurationError if there is none now.

    While none can be read, as when a new one is about to be written, it gives the last one.
    """
    last = key_in_file(file)

    def key() -> str:
        nonlocal last
        with contextlib.suppress(ConfigurationError):
            last = key_in_file(file)
        return last

    return key


def key_in_file(file: Path) -> str:
    """The key in a file. Raises ConfigurationError, which does not repeat what is in it."""
    try:
        text = read_private(at_home(file), longest=LONGEST_KEY).decode("latin-1")
    except OSError as error:
        raise ConfigurationError(f"the key's file {file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"the key's file {file} cannot be read: it {error}") from None
    if not KEY_TEXT.fullmatch(text):
        raise ConfigurationError(f"{file} must hold a key and nothing else")
    return text
