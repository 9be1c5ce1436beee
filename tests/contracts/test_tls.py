"""TLS to the database: what each sslmode and certificate accepts, and what is said when one does not fit."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.bootstrap import look_at_database
from core.database_address import read_address
from core.errors import ConfigurationError
from core.home import DAEMONS
from core.settings import Settings

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="there is no openssl to make a certificate")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the name `localhost`, signed by itself; its key lies beside it."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *(str(OPENSSL), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(folder / "key"), "-out", str(folder / "crt")),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return folder / "crt"


@asynccontextmanager
async def tls_before(socket: Path, certificate: Path) -> AsyncIterator[int]:
    """A port that speaks PostgreSQL with TLS, as the wheel's server cannot, and passes everything to its socket."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key"))

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            first = await reader.readexactly(8)
            if first == b"\x00\x00\x00\x08\x04\xd2\x16\x2f":  # the request for TLS
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(context)
                first = b""
            server, to_server = await asyncio.open_unix_connection(socket)
            to_server.write(first)
            await asyncio.wait(
                {asyncio.create_task(pump(reader, to_server)), asyncio.create_task(pump(server, writer))},
                return_when=asyncio.FIRST_COMPLETED,
            )
            to_server.close()
        writer.close()

    listening = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    async with listening:
        yield int(listening.sockets[0].getsockname()[1])


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


CASES = [
    ("127.0.0.1", "sslmode=disable", ""),
    ("127.0.0.1", "sslmode=prefer", ""),
    ("127.0.0.1", "sslmode=require", ""),
    ("127.0.0.1", "ssl=true", ""),
    ("127.0.0.1", "sslmode=verify-ca&sslrootcert={crt}", ""),
    ("localhost", "sslmode=verify-full&sslrootcert={crt}", ""),
    ("127.0.0.1", "sslmode=verify-full&sslrootcert={crt}", "is not trusted .*127.0.0.1.*: name the file"),
    ("localhost", "sslmode=verify-full&sslrootcert=system", "is not trusted .*: name the file of its authority"),
    ("localhost", "sslmode=verify-full&sslrootcert=/nowhere", "the file /nowhere cannot be read: correct sslrootcert"),
    ("localhost", "sslmode=verify-ca&sslrootcert={key}", "no TLS connection can be made .*: correct sslrootcert"),
    ("localhost", "sslmode=require&sslcert={crt}&sslkey={crt}", "no TLS connection can be made .* sslcert and sslkey"),
    ("localhost", "sslmode=verify-full", "cannot be used: root certificate file .* does not exist"),
]  # fmt: skip


async def test_each_sslmode_is_used_or_refused_in_a_sentence(
    dsn: str, certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # without a ~/.postgresql
    address = read_address(dsn)
    socket = Path(address.hosts[0][0]) / ".s.PGSQL.5432"
    async with tls_before(socket, certificate) as port:
        for host, parameters, refusal in CASES:
            wanted = parameters.format(crt=certificate, key=certificate.with_name("key"))
            url = f"postgresql://{DAEMONS}@{host}:{port}/{address.database}?{wanted}"
            settings = Settings(home=Path("/nowhere"), database_url=SecretStr(url))
            if refusal:
                with pytest.raises(ConfigurationError, match=refusal):
                    await look_at_database(settings)
            else:
                assert (await look_at_database(settings))["DATABASE_URL"].user == DAEMONS


async def test_a_server_without_tls_is_told_as_such_when_the_address_wants_it() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(b"N")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"postgresql://u:sEcReT@127.0.0.1:{port}/d?sslmode=require"
        with pytest.raises(
            ConfigurationError, match="the server offers no TLS, and sslmode=require wants it: switch on"
        ):
            await look_at_database(Settings(home=Path("/nowhere"), database_url=SecretStr(url)))
