"""The types of settings: each checks a value, and says in a sentence what is allowed."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from core.database_address import read_address, read_addresses
from core.failpoints import parse
from core.folders import at_home
from core.quotas import read_quotas
from core.redis_address import read_redis_address

Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1, le=64)]

NO_PROVIDER = "must have the name of a machine, as in https://payments.example.com"


def _absolute(value: Any) -> Any:
    return at_home(value).absolute() if isinstance(value, (str, Path)) and str(value) else value


def _web_address(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return value


def _provider_address(value: str) -> str:
    """Calls show ORDERDECK_PAYMENT_KEY in the header in which a user and a password would be."""
    if not _web_address(value):
        return value
    try:
        parts = urlsplit(value)
        named = bool(parts.hostname and parts.hostname.encode("idna")) and parts.port != 0
    except ValueError:  # a UnicodeError is one: of a name with an empty part, or with a long one
        raise ValueError(NO_PROVIDER) from None
    if not named:
        raise ValueError(NO_PROVIDER)
    if "@" in parts.netloc:
        raise ValueError("must have no user or password: the provider is shown ORDERDECK_PAYMENT_KEY")
    if "?" in value or "#" in value:
        raise ValueError("must have no ? and no #, since the paths of the calls are put after it")
    return value


def _postgres_address(value: SecretStr | None) -> SecretStr | None:
    if value:
        read_address(value.get_secret_value())
    return value


def _replica_addresses(value: SecretStr | None) -> SecretStr | None:
    if value:
        read_addresses(value.get_secret_value())
    return value


def _redis_address(value: SecretStr | None) -> SecretStr | None:
    if value:
        read_redis_address(value.get_secret_value())
    return value


def _without_brackets(value: str) -> str:
    return value[1:-1] if value.startswith("[") and value.endswith("]") else value


def _failpoints(value: str) -> str:
    parse(value)
    return value


def split(value: str) -> list[str]:
    """The entries of a setting that lists several, with commas between them."""
    return [entry.strip() for entry in value.split(",") if entry.strip()]


def _host_names(value: str) -> str:
    for entry in split(value):
        if not re.fullmatch(r"\*|(\*\.)?[A-Za-z0-9_-][A-Za-z0-9_.-]*|\[?[0-9A-Fa-f:.]+\]?", entry):
            raise ValueError(
                f"{entry!r} must be a name or an address without a port, *.example.com, or * for every one"
            )
        if ":" in entry:
            ipaddress.IPv6Address(entry.strip("[]"))  # raises a ValueError that says what is wrong
    return value


def _web_origins(value: str) -> str:
    for entry in split(value):
        if not re.fullmatch(r"\*|https?://[^/?#@\s]+", entry):
            raise ValueError(f"{entry!r} must be an origin such as https://desk.example.com, or * for every one")
    return value


def _networks(value: str) -> str:
    for entry in split(value):
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            raise ValueError(f"{entry!r} must be an address or a network, as in 10.0.0.5 or 10.0.0.0/24") from None
        if network.prefixlen == 0:
            raise ValueError(f"{entry!r} is every address, and everybody could pretend to be another client")
    return value


def _rate_limits(value: str) -> str:
    read_quotas(value, defaults=True)
    return value


FolderPath = Annotated[Path, BeforeValidator(_absolute)]
Host = Annotated[str, AfterValidator(_without_brackets)]
HostNames = Annotated[str, AfterValidator(_host_names)]
WebOrigins = Annotated[str, AfterValidator(_web_origins)]
RateLimits = Annotated[str, AfterValidator(_rate_limits)]
Networks = Annotated[str, AfterValidator(_networks)]
Url = Annotated[str, AfterValidator(_web_address)]
ProviderUrl = Annotated[str, AfterValidator(_provider_address)]
PostgresAddress = Annotated[SecretStr | None, AfterValidator(_postgres_address)]
ReplicaAddresses = Annotated[SecretStr | None, AfterValidator(_replica_addresses)]
RedisAddressUrl = Annotated[SecretStr | None, AfterValidator(_redis_address)]
FailpointList = Annotated[str, AfterValidator(_failpoints)]
