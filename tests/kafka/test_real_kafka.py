"""The Kafka and Redis that tests get are real, are shared by all workers, and can be cut off, frozen and stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.kafka import PASSWORD, USER
from tests.support.kafka_for_all import ROOT, KafkaForAll
from tests.support.redis_server import RedisServer
from tests.support.tcp_link import TcpLink

SOON = 10.0


def topics(brokers: str, security: Mapping[str, str] | None = None, *, within: float = SOON) -> Mapping[str, Any]:
    client = AdminClient({"bootstrap.servers": brokers, "log_level": 0, **(security or {})}, logger=None)
    return client.list_topics(timeout=within).topics


def test_every_process_of_a_test_run_gets_the_same_kafka(kafka: KafkaForAll, testrun_uid: str) -> None:
    if not kafka.folder:
        pytest.skip("there is one for all runs: KAFKA_BROKERS names it")
    ask = f"from tests.support.kafka_for_all import kafka_for_all; print(kafka_for_all({testrun_uid!r}, 1).brokers)"
    again = subprocess.run(
        [sys.executable, "-c", ask],
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert again.stdout.strip() == kafka.brokers, again.stderr


def test_a_link_that_is_cut_or_frozen_keeps_clients_from_kafka_until_it_is_mended(kafka_link: TcpLink) -> None:
    topics(kafka_link.address)
    for fault in (kafka_link.cut, kafka_link.freeze):
        fault()
        with pytest.raises(KafkaException) as refused:
            topics(kafka_link.address, within=0.5)
        assert refused.value.args[0].code() == KafkaError._TRANSPORT
        kafka_link.mend()
        topics(kafka_link.address)


def test_the_listeners_with_security_let_in_who_knows_the_password_or_has_a_certificate(kafka: KafkaForAll) -> None:
    if not kafka.folder:
        pytest.skip("the Kafka that KAFKA_BROKERS names may have no such listeners")
    known = kafka.certificates
    tls = {"security.protocol": "ssl", "ssl.ca.location": str(known.authority)}
    mine = {"ssl.certificate.location": str(known.client), "ssl.key.location": str(known.client_key)}
    plain = {"security.protocol": "sasl_plaintext", "sasl.mechanisms": "PLAIN"}
    who = {"sasl.username": USER, "sasl.password": PASSWORD}
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        topics(kafka.sasl, plain | who | {"sasl.mechanisms": mechanism})
        topics(kafka.sasl_tls, tls | who | {"security.protocol": "sasl_ssl", "sasl.mechanisms": mechanism})
    topics(kafka.mtls, tls | mine)
    for address, refused in (
        (kafka.sasl, plain | who | {"sasl.password": "guessed"}),
        (kafka.mtls, tls),
        (kafka.mtls, tls | mine | {"ssl.ca.location": str(known.other)}),
    ):
        with pytest.raises(KafkaException):
            topics(address, refused, within=0.5)


def test_a_redis_is_flushed_frozen_and_killed_and_comes_back_empty(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        client.set("order", "1")
        redis_server.flush()
        assert client.get("order") is None
        client.set("order", "2")
        redis_server.pause()
        redis_server.resume()
        assert client.get("order") == b"2"
        redis_server.kill()
        redis_server.start()
        assert client.get("order") is None


def test_a_kafka_that_is_not_there_is_a_failure_where_it_is_required_and_else_a_skipped_test(tmp_path: Path) -> None:
    ask = "from tests.support.kafka_libraries import kafka_libraries; kafka_libraries()"
    nothing = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path), "PATH": str(tmp_path), "HOME": str(tmp_path)}
    for required, outcome in (("apache", "Failed"), ("", "Skipped")):
        said = subprocess.run(
            [sys.executable, "-c", ask],
            env=nothing | {"REQUIRE_KAFKA": required},
            capture_output=True,
            text=True,
            check=False,
        ).stderr
        assert outcome in said.splitlines()[-1], said
        assert "there is no java" in said
