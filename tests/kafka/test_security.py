"""Kafka with passwords and TLS: the settings that let us in, and the sentences for those that do not."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from core.adapters.kafka.producer import KafkaBroker
from core.errors import BrokerRefused, ConfigurationError, Unavailable
from core.settings import load_settings
from tests.support.kafka import PASSWORD, USER
from tests.support.kafka_for_all import KafkaForAll
from tests.support.orders import Sample
from tests.support.ports import free_port

WHO = {"kafka_sasl_username": USER, "kafka_sasl_password": PASSWORD}


async def send_one(**settings: Any) -> None:
    broker = KafkaBroker(load_settings(kafka_topic=f"{uuid4().hex[:12]}.order-events", kafka_partitions=1, **settings))
    sending = await broker.open()
    try:
        await sending.send(await sending.prepare(Sample(1).events()))
    finally:
        await sending.close()


@pytest.fixture
def secure(kafka: KafkaForAll) -> KafkaForAll:
    if not kafka.folder:
        pytest.skip("the Kafka that KAFKA_BROKERS names may have no such listeners")
    return kafka


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_user_with_a_password_gets_in_with_and_without_tls(secure: KafkaForAll, mechanism: str) -> None:
    user = WHO | {"kafka_sasl_mechanism": mechanism}
    await send_one(kafka_brokers=secure.sasl, kafka_security_protocol="SASL_PLAINTEXT", **user)
    tls = {"kafka_security_protocol": "SASL_SSL", "kafka_ssl_cafile": str(secure.certificates.authority)}
    await send_one(kafka_brokers=secure.sasl_tls, **tls, **user)


async def test_a_certificate_gets_in(secure: KafkaForAll) -> None:
    known = secure.certificates
    await send_one(
        kafka_brokers=secure.mtls,
        kafka_security_protocol="SSL",
        kafka_ssl_cafile=str(known.authority),
        kafka_ssl_certfile=str(known.client),
        kafka_ssl_keyfile=str(known.client_key),
    )


async def test_what_a_person_has_to_mend_is_told_as_a_fault_and_not_as_an_outage(secure: KafkaForAll) -> None:
    known = secure.certificates
    guessed = WHO | {"kafka_sasl_password": "guessed"}
    plain: dict[str, Any] = {"kafka_brokers": secure.sasl, "kafka_security_protocol": "SASL_PLAINTEXT"}
    tls: dict[str, Any] = {"kafka_brokers": secure.mtls, "kafka_security_protocol": "SSL"}
    ours = {"kafka_ssl_certfile": str(known.client), "kafka_ssl_keyfile": str(known.client_key)}
    for settings, words in (
        (plain | guessed, "refuses us: .*[Aa]uthentication failed"),
        (plain | guessed | {"kafka_sasl_mechanism": "SCRAM-SHA-512"}, "refuses us: .*[Aa]uthentication failed"),
        (tls | ours | {"kafka_ssl_cafile": str(known.other)}, "agree on TLS: .*(signature|certificate)"),
        (tls | ours, "agree on TLS: .*(self-signed|issuer)"),
    ):
        with pytest.raises(BrokerRefused, match=words) as refused:
            await send_one(**settings)
        assert "guessed" not in str(refused.value)


async def test_a_kafka_that_is_away_is_told_as_an_outage_with_the_reason_of_each_broker() -> None:
    away = f"127.0.0.1:{free_port()},127.0.0.1:{free_port()}"
    with pytest.raises(
        Unavailable, match=r"cannot be reached: 127.0.0.1:\d+: Connection refused; 127.0.0.1:\d+: Connection refused"
    ):
        await send_one(kafka_brokers=away)
    with pytest.raises(Unavailable, match=r"nowhere\.invalid:9092: "):
        await send_one(kafka_brokers="nowhere.invalid:9092")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"kafka_brokers": "PLAINTEXT://kafka:9092"}, "KAFKA_BROKERS='PLAINTEXT://kafka:9092': .*host with its port"),
        ({"kafka_brokers": "kafka:0"}, "KAFKA_BROKERS='kafka:0': .*host with its port"),
        ({"kafka_brokers": "a:9092,b c:9092"}, "'b c:9092' must be a host with its port"),
        ({"kafka_topic": "orders!"}, "KAFKA_TOPIC='orders!': must be 1 to 200 letters"),
        ({"kafka_retention_hours": 0}, "ORDERDECK_KAFKA_RETENTION_HOURS=0: must be at least 1, or -1"),
        ({"kafka_partitions": 0}, "ORDERDECK_KAFKA_PARTITIONS=0: "),
        ({"kafka_security_protocol": "TLS"}, "KAFKA_SECURITY_PROTOCOL='TLS': .*'SASL_SSL'"),
        ({"kafka_security_protocol": "SASL_SSL"}, "needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"),
        ({"kafka_sasl_mechanism": "GSSAPI"}, "KAFKA_SASL_MECHANISM='GSSAPI': .*'SCRAM-SHA-512'"),
        (WHO, "need SASL_SSL as KAFKA_SECURITY_PROTOCOL, not PLAINTEXT"),
        ({"kafka_ssl_cafile": "/ca.pem"}, "need SSL or SASL_SSL as KAFKA_SECURITY_PROTOCOL, not PLAINTEXT"),
        ({"kafka_security_protocol": "SSL", "kafka_ssl_keyfile": "/k"}, "KAFKA_SSL_KEYFILE needs KAFKA_SSL_CERTFILE"),
    ],
)
def test_a_wrong_setting_of_kafka_stops_a_program_at_its_start(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as refused:
        load_settings(**settings)
    assert PASSWORD not in str(refused.value)


async def test_a_file_of_tls_that_cannot_be_used_is_named(tmp_path: Any) -> None:
    (tmp_path / "broken.pem").write_text("no certificate")
    tls = {"kafka_brokers": "127.0.0.1:1", "kafka_security_protocol": "SSL"}
    for setting in ("kafka_ssl_cafile", "kafka_ssl_certfile"):
        for file in (tmp_path / "missing.pem", tmp_path / "broken.pem"):
            with pytest.raises(ConfigurationError, match=f"{setting.upper()}='{file}' cannot be used: "):
                await send_one(**tls | {setting: str(file)})
