"""The settings of Kafka, which `core.settings.Settings` inherits: where it is, the topics, and how to log in there."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings

from core.folders import at_home
from core.setting_types import split

FOR_EVER = -1
ORDER_TOPIC = "order-events"
BROKER = re.compile(r"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?")
LONGEST_GROUP = 200  # characters
REGISTRY = re.compile(
    r"https?://([^\s/?#@]+@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?(/[^\s?#]*)?"
)
WANTED_REGISTRY = (
    "must be http:// or https://, then user:password@ if there are any, then the host, as in "
    "http://registry:8081 (in user and password write each of # / ? @ and % percent-encoded)"
)
TOPIC = re.compile(r"[A-Za-z0-9._-]{1,200}")


def _named(name: str) -> AliasChoices:
    """The setting's well-known name, which is the one to document, and the same with our prefix."""
    return AliasChoices(f"ORDERDECK_{name}", name)


def _brokers(value: str) -> str:
    brokers = split(value)
    for entry in brokers:
        match = BROKER.fullmatch(entry)
        if match is None or not 1 <= int(match["port"] or 9092) <= 65535:
            raise ValueError(f"{entry!r} must be a host with its port, as in kafka-1:9092,kafka-2:9092")
    return ",".join(brokers)


def _topic(value: str) -> str:
    if not TOPIC.fullmatch(value) or value in {".", ".."}:
        raise ValueError("must be 1 to 200 letters, digits, dots, underscores and hyphens")
    return value


def _registry(value: SecretStr | None) -> SecretStr | None:
    text = value.get_secret_value() if value else ""
    match = REGISTRY.fullmatch(text)
    if text and (match is None or not 1 <= int(match["port"] or 80) <= 65535):
        raise ValueError(WANTED_REGISTRY)
    return value if text else None


def _group(value: str) -> str:
    if not value.strip() or len(value) > LONGEST_GROUP:
        raise ValueError(f"must have 1 to {LONGEST_GROUP} characters")
    return value


def _file(value: str) -> str:
    return str(at_home(value).absolute()) if value else value


def _retention(value: int) -> int:
    if value == 0:
        raise ValueError("must be at least 1, or -1 to keep events for ever")
    return value


class KafkaSettings(BaseSettings):
    """Without `kafka_brokers` no other of these settings has an effect."""

    kafka_brokers: Annotated[str, AfterValidator(_brokers)] = Field(
        default="",
        validation_alias=_named("KAFKA_BROKERS"),
        description="Kafka to send every event to, as in kafka-1:9092,kafka-2:9092; empty: none.",
    )
    kafka_topic: Annotated[str, AfterValidator(_topic)] = Field(
        default=ORDER_TOPIC,
        validation_alias=_named("KAFKA_TOPIC"),
        description="Topic of the events of orders; the other topics are named after it.",
    )
    kafka_partitions: int = Field(
        default=12, ge=1, le=1000, description="Partitions of each topic; never change it once there are topics."
    )
    kafka_replication: int = Field(
        default=0, ge=0, le=15, description="Replicas of each topic; 0: three, or as many as there are brokers."
    )
    kafka_retention_hours: Annotated[int, AfterValidator(_retention)] = Field(
        default=168, ge=FOR_EVER, le=876_000, description="How long Kafka keeps an event, in hours; -1: for ever."
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT",
        validation_alias=_named("KAFKA_SECURITY_PROTOCOL"),
        description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="PLAIN",
        validation_alias=_named("KAFKA_SASL_MECHANISM"),
        description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.",
    )
    kafka_sasl_username: str = Field(
        default="", validation_alias=_named("KAFKA_SASL_USERNAME"), description="User at Kafka, with SASL."
    )
    kafka_sasl_password: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=_named("KAFKA_SASL_PASSWORD"),
        description="Password of that user.",
    )
    kafka_ssl_cafile: Annotated[str, AfterValidator(_file)] = Field(
        default="",
        validation_alias=_named("KAFKA_SSL_CAFILE"),
        description="PEM file of the authority that has signed the brokers' certificates; empty: the system's.",
    )
    kafka_ssl_certfile: Annotated[str, AfterValidator(_file)] = Field(
        default="",
        validation_alias=_named("KAFKA_SSL_CERTFILE"),
        description="PEM file of our own certificate, for brokers that ask for one.",
    )
    kafka_ssl_keyfile: Annotated[str, AfterValidator(_file)] = Field(
        default="",
        validation_alias=_named("KAFKA_SSL_KEYFILE"),
        description="PEM file of its private key; empty: it is in KAFKA_SSL_CERTFILE.",
    )
    kafka_ssl_key_password: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=_named("KAFKA_SSL_KEY_PASSWORD"),
        description="Password of that key.",
    )

    schema_registry_url: Annotated[SecretStr | None, AfterValidator(_registry)] = Field(
        default=None,
        validation_alias=_named("SCHEMA_REGISTRY_URL"),
        description="Schema registry that gets the schemas of events, as in http://registry:8081; empty: none.",
    )
    consumer_group: Annotated[str, AfterValidator(_group)] = Field(
        default="orderdeck",
        validation_alias=_named("CONSUMER_GROUP"),
        description="Consumer group under which tools of Kafka see how far the read models are.",
    )

    @property
    def kafka_contradiction(self) -> str | None:
        """What is wrong with these settings together, in a sentence that names them; None if nothing is."""
        protocol = self.kafka_security_protocol
        sasl, tls = protocol.startswith("SASL"), protocol.endswith("SSL")
        password = self.kafka_sasl_password.get_secret_value()
        if sasl and not (self.kafka_sasl_username and password):
            return f"KAFKA_SECURITY_PROTOCOL={protocol} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
        if not sasl and (self.kafka_sasl_username or password):
            return (
                f"KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD need SASL_SSL as KAFKA_SECURITY_PROTOCOL, not {protocol}"
            )
        if not tls and (self.kafka_ssl_cafile or self.kafka_ssl_certfile or self.kafka_ssl_keyfile):
            return f"the KAFKA_SSL_… files need SSL or SASL_SSL as KAFKA_SECURITY_PROTOCOL, not {protocol}"
        if self.kafka_ssl_keyfile and not self.kafka_ssl_certfile:
            return "KAFKA_SSL_KEYFILE needs KAFKA_SSL_CERTFILE, the certificate of that key"
        return None
