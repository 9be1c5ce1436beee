"""The settings of traces, which `core.settings.Settings` inherits: where they go, and how many of them.

Their names are those of OpenTelemetry, and so are their meanings and defaults:
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import math
from typing import Annotated, Literal
from urllib.parse import unquote

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from core.setting_types import Url, split

TRACES_PATH = "/v1/traces"


def _named(name: str) -> AliasChoices:
    """The name of OpenTelemetry, which is the one to document, and the same with our prefix."""
    return AliasChoices(f"ORDERDECK_{name}", name)


def _pairs(value: str) -> str:
    for entry in split(value):
        name, mark, _ = entry.partition("=")
        if not mark or not name.strip():
            raise ValueError("must be names with values and commas between: api-key=secret,tenant=shop")
    return value


def _secret_pairs(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        _pairs(value.get_secret_value())
    return value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _ratio(value: float) -> float:
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise ValueError("must be from 0 to 1: 0.01 is one trace in a hundred")
    return value


Pairs = Annotated[str, AfterValidator(_pairs)]
SecretPairs = Annotated[SecretStr | None, AfterValidator(_secret_pairs)]
Sampler = Annotated[
    Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ],
    BeforeValidator(_lower),
]


class TraceSettings(BaseSettings):
    otel_exporter_otlp_endpoint: Url = Field(
        default="",
        validation_alias=_named("OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="Where traces go, by OTLP over HTTP, as in http://localhost:4318; empty: nowhere.",
    )
    otel_exporter_otlp_traces_endpoint: Url = Field(
        default="",
        validation_alias=_named("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
        description="The same as the whole address, whatever its path is.",
    )
    otel_exporter_otlp_headers: SecretPairs = Field(
        default=None,
        validation_alias=_named("OTEL_EXPORTER_OTLP_HEADERS"),
        description="Headers that are sent there with them, as in api-key=secret.",
    )
    otel_exporter_otlp_protocol: Annotated[Literal["http/protobuf"], BeforeValidator(_lower)] = Field(
        default="http/protobuf",
        validation_alias=_named("OTEL_EXPORTER_OTLP_PROTOCOL"),
        description="Only http/protobuf.",
    )
    otel_traces_exporter: Annotated[Literal["otlp", "none"], BeforeValidator(_lower)] = Field(
        default="otlp",
        validation_alias=_named("OTEL_TRACES_EXPORTER"),
        description="otlp, or none: no traces although there is an address.",
    )
    otel_sdk_disabled: bool = Field(
        default=False, validation_alias=_named("OTEL_SDK_DISABLED"), description="No traces, wherever they would go."
    )
    otel_traces_sampler: Sampler = Field(
        default="parentbased_always_on",
        validation_alias=_named("OTEL_TRACES_SAMPLER"),
        description="Which traces are recorded, as in parentbased_traceidratio.",
    )
    otel_traces_sampler_arg: Annotated[float, AfterValidator(_ratio)] = Field(
        default=1.0,
        validation_alias=_named("OTEL_TRACES_SAMPLER_ARG"),
        description="Which part of them, for the samplers with a ratio: 0.01 is one in a hundred.",
    )
    otel_service_name: str = Field(
        default="",
        validation_alias=_named("OTEL_SERVICE_NAME"),
        description="The service's name in traces; empty: that of each program, such as command-api.",
    )
    otel_resource_attributes: Pairs = Field(
        default="",
        validation_alias=_named("OTEL_RESOURCE_ATTRIBUTES"),
        description="More that every span says of where it comes from, as in deployment.environment.name=staging.",
    )

    @property
    def traces_to(self) -> str:
        """The address that traces are sent to; empty: none are recorded."""
        if self.otel_sdk_disabled or self.otel_traces_exporter == "none":
            return ""
        base = self.otel_exporter_otlp_endpoint
        return self.otel_exporter_otlp_traces_endpoint or (base and base.rstrip("/") + TRACES_PATH)

    @property
    def trace_headers(self) -> dict[str, str]:
        """By lower-case names, with their values percent-decoded."""
        text = self.otel_exporter_otlp_headers.get_secret_value() if self.otel_exporter_otlp_headers else ""
        return dict(_decoded(entry) for entry in split(text))

    @property
    def trace_attributes(self) -> dict[str, str]:
        return dict(_decoded(entry, lower=False) for entry in split(self.otel_resource_attributes))


def _decoded(entry: str, *, lower: bool = True) -> tuple[str, str]:
    name, _, value = entry.partition("=")
    name = name.strip()
    return name.lower() if lower else name, unquote(value.strip())
