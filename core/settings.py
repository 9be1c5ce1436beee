"""The settings: one class, which alone reads the environment, and refuses an unknown ORDERDECK_ variable."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import ConfigurationError
from core.failpoints import parse

PREFIX = "ORDERDECK_"

Port = Annotated[int, Field(ge=1, le=65535)]


def _absolute(value: Any) -> Any:
    return Path(value).expanduser().absolute() if isinstance(value, (str, Path)) and str(value) else value


def _web_address(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return value


def _postgres_address(value: SecretStr | None) -> SecretStr | None:
    if value and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("must begin with postgresql://")
    return value


def _failpoints(value: str) -> str:
    parse(value)
    return value


Url = Annotated[str, AfterValidator(_web_address)]


def default_home() -> Path:
    """The folder .orderdeck of a checkout, which Makefile and supervisord.conf use too; else the user's data folder."""
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "supervisord.conf").is_file():
        return checkout / ".orderdeck"
    return Path(platformdirs.user_data_dir("orderdeck"))


class Settings(BaseSettings):
    """Every setting is read from `ORDERDECK_<NAME>`. Some are also read from a well-known name such as DATABASE_URL."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    home: Annotated[Path, BeforeValidator(_absolute)] = Field(
        default_factory=default_home,
        description="Folder of the data, logs and sockets of this orderdeck.",
    )
    host: str = Field(default="127.0.0.1", description="Address the HTTP services listen on.")
    allow_anonymous: bool = Field(
        default=False, description="Serve beyond loopback although there is no authentication yet."
    )
    command_port: Port = Field(default=8080, description="Port of the command API.")
    query_port: Port = Field(default=8081, description="Port of the query API.")
    payment_port: Port = Field(default=8090, description="Port of the payment sandbox.")
    projector_port: Port = Field(default=9101, description="Health and metrics of the projector.")
    saga_runner_port: Port = Field(default=9102, description="Health and metrics of the saga runner.")
    command_url: Url = Field(default="", description="Command API the deck talks to; empty: the local one.")
    query_url: Url = Field(default="", description="Query API the deck talks to; empty: the local one.")
    payment_url: Url = Field(default="", description="Payment provider; empty: the local sandbox.")
    database_url: Annotated[SecretStr | None, AfterValidator(_postgres_address)] = Field(
        default=None,
        validation_alias=AliasChoices("ORDERDECK_DATABASE_URL", "DATABASE_URL"),
        description="PostgreSQL 18 to use; empty: the embedded one.",
    )
    sandbox_authorization_seconds: float = Field(
        default=604_800, gt=0, le=315_360_000, description="How long an authorisation of the payment sandbox lasts."
    )
    sample_catalogue: bool = Field(
        default=True, description="Put 51 sample SKUs in stock when the log is empty at the first start."
    )
    within_scale: float = Field(default=1.0, gt=0, le=1000, description="Scales every deadline of the saga steps.")
    failpoints: Annotated[str, AfterValidator(_failpoints)] = Field(
        default="",
        description="For drills only: where daemons kill themselves, by chance, as in saga-runner.after_call=0.01.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        validation_alias=AliasChoices("ORDERDECK_LOG_LEVEL", "LOG_LEVEL"),
        description="DEBUG, INFO, WARNING or ERROR.",
    )

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
    """The address that a client connects to when a server listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - nothing listens on it here


def env_names(name: str) -> list[str]:
    """The environment variables that set a field. The first one is the one to document."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in reversed(alias.choices)]
    return [PREFIX + name.upper()]


def load_settings(**overrides: Any) -> Settings:
    """Read and check the settings. Raises ConfigurationError, which names each wrong setting and what is allowed."""
    known = {n for field in Settings.model_fields for n in env_names(field)}
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigurationError(f"there is no setting {name}{hint}")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [_sentence(str(e["loc"][0]), e["input"], e["msg"]) for e in error.errors()]
        raise ConfigurationError("; ".join(lines)) from None


def _sentence(loc: str, value: Any, wrong: str) -> str:
    """Names the variable that was set, and what is wrong with its value. Repeats no secret.

    `loc` is the name of the field, or of the first variable that sets it.
    """
    field, names = next((f, n) for f in Settings.model_fields if loc in (f, *(n := env_names(f))))
    name = next((name for name in reversed(names) if os.environ.get(name)), names[0])
    shown = "" if field == "database_url" else f"={value!r}"
    return f"{name}{shown}: {wrong.removeprefix('Value error, ')}"
