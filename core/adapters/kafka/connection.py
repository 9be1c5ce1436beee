"""Connections to Kafka: the settings as aiokafka takes them, and its errors as outages or faults, in words.

aiokafka hides why it cannot connect and only logs it, so after a failure each broker is asked once more for the reason.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from aiokafka import conn, errors

from core.errors import BrokerRefused, ConfigurationError, Unavailable
from core.settings import Settings

CONNECTIONS: Any = conn  # aiokafka does not say the types of what it has there
REQUEST_LIMIT = 10_000  # milliseconds in which a broker has to answer
AWAY = "Kafka cannot be reached"

REFUSALS = (
    errors.AuthenticationFailedError,
    errors.SaslAuthenticationFailed,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
    errors.UnsupportedVersionError,
    errors.IncompatibleBrokerVersion,
    errors.ClusterAuthorizationFailedError,
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidTimestampError,
    errors.PolicyViolationError,
)
"""Errors that stay until a person changes the settings or the rights of our user."""


def client_arguments(settings: Settings) -> dict[str, Any]:
    """What every client of aiokafka is opened with. Raises ConfigurationError when a file cannot be used."""
    protocol = settings.kafka_security_protocol
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_brokers,
        "security_protocol": protocol,
        "ssl_context": _tls(settings) if protocol.endswith("SSL") else None,
    }
    if protocol.startswith("SASL"):
        arguments |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
        }
    return arguments


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile or None)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"KAFKA_SSL_CAFILE={settings.kafka_ssl_cafile!r} cannot be used: {error}") from None
    if settings.kafka_ssl_certfile:
        # Without a password of its own, OpenSSL would ask for one at the terminal and wait.
        password = settings.kafka_ssl_key_password.get_secret_value()
        try:
            context.load_cert_chain(settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile or None, lambda: password)
        except (OSError, ValueError) as error:
            key = f" with KAFKA_SSL_KEYFILE={settings.kafka_ssl_keyfile!r}" if settings.kafka_ssl_keyfile else ""
            name = f"KAFKA_SSL_CERTFILE={settings.kafka_ssl_certfile!r}"
            raise ConfigurationError(f"{name}{key} cannot be used: {error}") from None
    return context


@contextmanager
def translating(what: str = "Kafka") -> Generator[None]:
    """Within this block an error of aiokafka becomes Unavailable or, when only a person can mend it, BrokerRefused."""
    try:
        yield
    except REFUSALS as error:
        raise BrokerRefused(f"{what} refuses us: {in_short(error)}") from error
    except ssl.SSLError as error:
        raise BrokerRefused(f"{what} and we cannot agree on TLS: {in_short(error)}") from error
    except (errors.KafkaError, OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise Unavailable(f"{AWAY}: {in_short(error)}") from error


def in_short(error: BaseException) -> str:
    """The text of an error of aiokafka or OpenSSL, without the parts that only a programmer needs."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return error.reason or str(error)
    if isinstance(error, TimeoutError):
        return f"no answer within {REQUEST_LIMIT // 1000} s"
    if isinstance(error, errors.KafkaError):
        name = type(error).__name__.removesuffix("Error")
        text = str(error.args[0]) if error.args else ""
        return text or name
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)  # asyncio has another text, which repeats the address
    return str(error) or type(error).__name__


async def must_be_reachable(settings: Settings) -> None:
    """Connect and log in at one broker after the other until one accepts us.

    Raises BrokerRefused when a broker answers and refuses us, and Unavailable with the reason of each otherwise.
    """
    arguments = client_arguments(settings)
    reasons: list[str] = []
    for host, port, _ in CONNECTIONS.collect_hosts(arguments.pop("bootstrap_servers")):
        place = f"{host}:{port}"
        try:
            with translating(place):
                connection = await CONNECTIONS.create_conn(host, port, request_timeout_ms=REQUEST_LIMIT, **arguments)
        except Unavailable as error:
            reasons.append(f"{place}: {str(error).removeprefix(AWAY + ': ')}")
        else:
            connection.close()
            return
    raise Unavailable(f"{AWAY}: {'; '.join(reasons)}")


async def stop_consumer(consumer: Any, within: float) -> None:
    """Close a consumer of aiokafka, whatever it waits for.

    It does so in a task of its own: `stop` raises the cancellation of its own fetches, which the caller's task would
    take for its own, and then leaves its connections open.
    """
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.wait([stopping], timeout=within)
    stopping.cancel()
    if (await asyncio.gather(stopping, return_exceptions=True))[0] is not None:
        closing = asyncio.ensure_future(consumer._client.close())  # noqa: SLF001 - nothing public closes them then
        await asyncio.wait([closing], timeout=within)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
