"""The settings: one class, which alone reads the environment and .env, and refuses an unknown ORDERDECK_ variable."""

from __future__ import annotations

import difflib
import functools
import ipaddress
import os
import pwd
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import SettingsConfigDict

from core.access_settings import AccessSettings
from core.addresses import default_home
from core.credentials import Show, show_key
from core.database_address import read_addresses
from core.errors import ConfigurationError
from core.kafka_settings import KafkaSettings
from core.notifier_settings import NotifierSettings
from core.setting_types import (
    Count,
    FailpointList,
    FolderPath,
    Host,
    HostNames,
    Port,
    PostgresAddress,
    ProviderUrl,
    RedisAddressUrl,
    ReplicaAddresses,
    Url,
    WebOrigins,
)
from core.tls_settings import TlsSettings
from core.trace_settings import TraceSettings

PREFIX = "ORDERDECK_"
ENV_FILE = Path(".env")
MISSPELT = 0.9  # how much a name resembles one of ours, from 0 to 1, when it is taken for a misspelt one


class Settings(KafkaSettings, AccessSettings, TlsSettings, TraceSettings, NotifierSettings):
    """Every setting is read from `ORDERDECK_<NAME>`. Some are also read from a well-known name such as DATABASE_URL."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=None,  # `load_settings` names it, after it has looked whose it is
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    home: FolderPath = Field(
        default_factory=default_home,
        description="Folder of the data, logs and sockets of this orderdeck.",
    )
    host: Host = Field(default="127.0.0.1", description="Address the HTTP services listen on.")
    hosts: HostNames = Field(
        default="",
        description="More names under which clients reach the services, with commas between: desk.lan, *.example.com.",
    )
    cors_origins: WebOrigins = Field(
        default="",
        description="Origins whose web pages may use the services, with commas between: https://desk.example.com.",
    )
    command_port: Port = Field(default=8080, description="Port of the command API.")
    query_port: Port = Field(default=8081, description="Port of the query API.")
    payment_port: Port = Field(default=8090, description="Port of the payment sandbox.")
    projector_port: Port = Field(default=9101, description="Health and metrics of the projector.")
    saga_runner_port: Port = Field(default=9102, description="Health and metrics of the saga runner.")
    relay_port: Port = Field(default=9103, description="Health and metrics of the relay.")
    grpc: bool = Field(default=False, description="Answer commands and queries over gRPC, too.")
    grpc_port: Port = Field(default=8082, description="Port for gRPC.")
    grpc_api_port: Port = Field(default=9105, description="Health and metrics of the gRPC API.")
    command_api_count: Count = Field(default=1, description="How many processes of the command API run.")
    query_api_count: Count = Field(default=1, description="How many processes of the query API run.")
    projector_count: Count = Field(default=1, description="How many projectors run.")
    saga_runner_count: Count = Field(default=1, description="How many saga runners run.")
    relay_count: Count = Field(default=1, description="How many relays run; one works, the others stand by.")
    command_url: Url = Field(default="", description="Command API the deck talks to; empty: the local one.")
    query_url: Url = Field(default="", description="Query API the deck talks to; empty: the local one.")
    payment_url: ProviderUrl = Field(default="", description="Payment provider; empty: the local sandbox.")
    database_url: PostgresAddress = Field(
        default=None,
        validation_alias=AliasChoices("ORDERDECK_DATABASE_URL", "DATABASE_URL"),
        description="PostgreSQL 15 or newer to use; empty: the embedded one.",
    )
    owner_url: PostgresAddress = Field(
        default=None,
        description="The same database as the owner of its tables; empty: DATABASE_URL.",
    )
    replica_urls: ReplicaAddresses = Field(
        default=None,
        description="Replicas of the database that the query API reads from, with blanks between their addresses.",
    )
    redis_url: RedisAddressUrl = Field(
        default=None,
        validation_alias=AliasChoices("ORDERDECK_REDIS_URL", "REDIS_URL"),
        description="Redis 7 or newer (or Valkey) that caches orders; empty: no cache.",
    )
    cache_ttl_seconds: float = Field(
        default=300,
        ge=1,
        le=86_400,
        validation_alias=AliasChoices("ORDERDECK_CACHE_TTL_SECONDS", "CACHE_TTL_SECONDS"),
        description="How long an order that nobody changes stays in the cache.",
    )
    seal_customers: bool = Field(
        default=False,
        description="Seal customers' names and addresses in all events from now on, so that customers can be erased.",
    )
    sandbox_authorization_seconds: float = Field(
        default=604_800, gt=0, le=315_360_000, description="How long an authorisation of the payment sandbox lasts."
    )
    sample_catalogue: bool = Field(
        default=True, description="Put 51 sample SKUs in stock when the log is empty at the first start."
    )
    within_scale: float = Field(default=1.0, gt=0, le=1000, description="Scales every deadline of the saga steps.")
    most_waiting_sagas: int = Field(
        default=0, ge=0, le=1_000_000, description="Refuse new orders while more sagas wait for a runner; 0: never."
    )
    most_past_moments: int = Field(
        default=3, ge=1, le=100, description="As of how many earlier moments lists are kept at a time."
    )
    failpoints: FailpointList = Field(
        default="",
        description="For drills only: where daemons kill themselves, by chance, as in saga-runner.after_call=0.01.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        validation_alias=AliasChoices("ORDERDECK_LOG_LEVEL", "LOG_LEVEL"),
        description="DEBUG, INFO, WARNING or ERROR.",
    )

    @property
    def replicas(self) -> tuple[str, ...]:
        """The addresses of the database's replicas."""
        return read_addresses(self.replica_urls.get_secret_value()) if self.replica_urls else ()

    @property
    def shows(self) -> Show:
        """What a client with these settings shows the services. Raises ConfigurationError."""
        return show_key(self.own_key, self.home, reachable(self.host).strip("[]"))

    @property
    def shows_home(self) -> Show:
        """What shows the daemons of this home that somebody asks who may read its files."""
        return show_key(None, self.home, reachable(self.host).strip("[]"))

    @property
    def shows_provider(self) -> Show:
        """What the payment provider is shown."""
        key = self.payment_key.get_secret_value if self.payment_key else None
        return show_key(key, self.home, reachable(self.host).strip("[]"))

    @property
    def commands_at(self) -> str:
        """Base URL of the command API, without a slash at its end."""
        return self.command_url.rstrip("/") or f"http://{reachable(self.host)}:{self.command_port}"

    @property
    def queries_at(self) -> str:
        """Base URL of the query API, without a slash at its end."""
        return self.query_url.rstrip("/") or f"http://{reachable(self.host)}:{self.query_port}"

    @property
    def payments_at(self) -> str:
        """Base URL of the payment provider, without a slash at its end."""
        return self.payment_url.rstrip("/") or f"http://{reachable(self.host)}:{self.payment_port}"


def reachable(host: str) -> str:
    """The host, as a URL has it, at which a client reaches a server that listens on `host`."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    loopback = "127.0.0.1" if address.version == 4 else "::1"
    shown = loopback if address.is_unspecified else str(address)
    return shown if address.version == 4 else f"[{shown}]"


def env_names(name: str) -> list[str]:
    """The environment variables that set a field. The first one is the one to document."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in reversed(alias.choices)]
    return [PREFIX + name.upper()]


def load_settings(**overrides: Any) -> Settings:
    """Read and check the settings. Raises ConfigurationError, which names each wrong setting and what is allowed."""
    file = ENV_FILE if is_trusted(ENV_FILE) else None
    try:
        in_file = dotenv_values(file) if file else {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{ENV_FILE.absolute()} cannot be read: {error}") from None
    _refuse_unknown(os.environ, "")
    _refuse_unknown(in_file, f" in {ENV_FILE.absolute()}")
    try:
        settings = Settings(_env_file=file, **overrides)  # pyright: ignore[reportCallIssue] - pydantic-settings takes it
    except ValidationError as error:
        lines = [_sentence(str(e["loc"][0]), e["input"], e["msg"]) for e in error.errors()]
        raise ConfigurationError("; ".join(lines)) from None
    for wrong in (
        settings.kafka_contradiction,
        settings.access_contradiction,
        settings.tls_contradiction,
        settings.smtp_contradiction,
    ):
        if wrong is not None:
            raise ConfigurationError(wrong)
    return settings


def _refuse_unknown(names: Mapping[str, Any], where: str) -> None:
    """Raise ConfigurationError for a variable that has our prefix and is none of ours, or that resembles one of ours.

    DATABASE_URI, for example, may be another program's: such a name is only refused while DATABASE_URL is not set.
    """
    given = {name.upper() for name in (*names, *os.environ)}
    for name in names:
        upper = name.upper()
        if upper in _known():
            continue
        near = _nearest(upper)
        misspelt = near and near[0] not in given and (where or near[0].startswith(PREFIX))
        if upper.startswith(PREFIX) or misspelt:
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigurationError(f"there is no setting {name}{where}{hint}")


@functools.cache
def _known() -> frozenset[str]:
    return frozenset(n for field in Settings.model_fields for n in env_names(field))


@functools.lru_cache(512)  # to compare all that there are takes 3 ms, and some programs read the settings often
def _nearest(upper: str) -> list[str]:
    return difflib.get_close_matches(upper, _known(), n=1, cutoff=0.6 if upper.startswith(PREFIX) else MISSPELT)


def is_trusted(file: Path) -> bool:
    """Whether the settings may be read from this file. If another user could have written it, say so and return False.

    Whoever writes .env chooses the database and the payment provider, and a program may be started in any folder.
    """
    if not file.is_file():
        return False
    for status in (file.lstat(), file.stat()):  # of a link, and of the file that it leads to
        if status.st_uid not in {os.geteuid(), 0}:
            reason = f"it belongs to {_name_of(status.st_uid)}: give it to {_name_of(os.geteuid())} (chown)"
        elif stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IWOTH:
            reason = "everybody may write it: run chmod o-w on it"
        else:
            continue
        sys.stderr.write(f"orderdeck: {file.absolute()} is not read, because {reason}\n")
        return False
    return True


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _sentence(loc: str, value: Any, wrong: str) -> str:
    """Names the variable that was set, and what is wrong with its value. Repeats no secret.

    `loc` is the name of the field, or of the first variable that sets it.
    """
    field, names = next((f, n) for f in Settings.model_fields if loc in (f, *(n := env_names(f))))
    name = next((name for name in reversed(names) if os.environ.get(name)), names[0])
    secret = {
        "database_url",
        "owner_url",
        "redis_url",
        "replica_urls",
        "kafka_sasl_password",
        "kafka_ssl_key_password",
        "schema_registry_url",
        "api_key",
        "payment_key",
        "otel_exporter_otlp_headers",
        "smtp_password",
    }
    shown = "" if field in secret or "@" in str(value).partition("://")[2] else f"={value!r}"
    return f"{name}{shown}: {wrong.removeprefix('Value error, ')}"
