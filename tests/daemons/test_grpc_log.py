"""What the log of grpc-api says of a first start, when nothing is in the database yet, and of strangers."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Iterator

import asyncpg
import pytest

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.migrate import migrate
from tests.support.certificates import make_certificates
from tests.support.daemon_process import DaemonProcess
from tests.support.logins import of_daemons
from tests.support.ports import free_port
from tests.support.stack import until


async def _empty_database(postgres: EmbeddedPostgres) -> str:
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute("CREATE DATABASE grpc_log STRATEGY file_copy")
    await admin.close()
    return postgres.dsn("grpc_log")


@pytest.fixture(scope="module")
def daemon(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DaemonProcess]:
    """It was started before there were tables, and speaks TLS."""
    home = tmp_path_factory.mktemp("home")
    dsn, certificates, health = asyncio.run(_empty_database(postgres)), make_certificates(home), free_port()
    settings = {
        "ORDERDECK_GRPC": "true", "ORDERDECK_GRPC_PORT": str(free_port()), "ORDERDECK_GRPC_API_PORT": str(health),
        "ORDERDECK_TLS_CERTIFICATE": str(certificates.server), "ORDERDECK_TLS_KEY": str(certificates.server),
        "ORDERDECK_REQUIRE_KEYS": "true",
    }  # fmt: skip
    daemon = DaemonProcess("grpc_api", dsn, home, settings, health)
    daemon.start()
    try:
        until(lambda: asyncio.run(daemon.ready())[0] == 401)  # it listens, and nobody knows a key yet
        until(lambda: "schema 0" in daemon.output())
        asyncio.run(migrate(dsn, of_daemons(dsn)))
        until(lambda: '"ready"' in daemon.output())
        yield daemon
        assert daemon.stop() == 0
    finally:
        daemon.kill()


def test_until_the_database_is_migrated_it_says_that_it_waits_and_meets_no_fault(daemon: DaemonProcess) -> None:
    lines = list(map(json.loads, daemon.output().splitlines()))
    assert {line["event"] for line in lines} == {"tls", "started", "waits", "ready"}
    assert all(line["reason"].startswith("schema ") for line in lines if line["event"] == "waits")


def test_handshakes_that_fail_leave_no_line_in_the_log(daemon: DaemonProcess) -> None:
    before = daemon.output()
    place = ("127.0.0.1", int(daemon.settings["ORDERDECK_GRPC_PORT"]))
    for _ in range(5):
        with socket.create_connection(place) as connection, pytest.raises(ssl.SSLError):
            ssl.create_default_context().wrap_socket(connection, server_hostname="localhost")
    assert daemon.output() == before
