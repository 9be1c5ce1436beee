"""A mail server over a real socket, which takes mails, asks for a login, or behaves as badly as a test wants."""

from __future__ import annotations

import asyncio
import email
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult

from core.settings import Settings

LOGIN = ("desk", "s3cret-word")


@dataclass
class MailServer:
    """`mails` is what it has taken, of `asked`; `refuses` are recipients that it does not know.

    `after_data` is what it says to a mail, after `slow` seconds and a call of `before_answer`.
    """

    port: int = 0
    refuses: set[str] = field(default_factory=set[str])
    after_data: str = "250 taken"
    login_answer: str | None = None
    slow: float = 0.0
    before_answer: Callable[[], None] | None = None
    slow_farewell: float = 0.0
    asked: int = 0
    mails: list[EmailMessage] = field(default_factory=list[EmailMessage])
    recipients: list[list[str]] = field(default_factory=list[list[str]])
    logins: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - the library's name
        if address in self.refuses:
            return f"550 5.1.1 <{address}> unknown\x1b[31m"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - as above
        self.asked += 1
        await asyncio.sleep(self.slow)
        if self.after_data.startswith("2"):
            self.mails.append(cast("EmailMessage", email.message_from_bytes(envelope.content, policy=default)))
            self.recipients.append(list(envelope.rcpt_tos))
        if self.before_answer is not None:
            self.before_answer()
        return self.after_data

    async def handle_QUIT(self, _server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802 - as above
        await asyncio.sleep(self.slow_farewell)
        return "221 Bye"

    def let_in(self, _server: Any, _session: Any, _envelope: Any, _mechanism: Any, data: Any) -> AuthResult:
        given = data.login.decode(), data.password.decode()
        self.logins.append(given)
        answer = self.login_answer and self.login_answer.replace("PASSWORD", given[1])
        return AuthResult(success=given == LOGIN and answer is None, handled=False, message=answer)

    def settings(self, **other: Any) -> Settings:
        its: dict[str, Any] = {
            "smtp_host": "localhost", "smtp_port": self.port, "smtp_tls": "none", "smtp_from": "desk@example.com",
            "smtp_to": "ana@example.com, bo@example.com",
        }  # fmt: skip
        return Settings(**{**its, **other})


@asynccontextmanager
async def mail_server(
    *, tls: ssl.SSLContext | None = None, at_once: bool = False, login: bool = False, port: int = 0
) -> AsyncIterator[MailServer]:
    """`tls`: it offers STARTTLS, or is encrypted `at_once`. `login`: it takes mails only from who logs in."""
    server = MailServer()
    loop = asyncio.get_running_loop()
    open_now: list[SMTP] = []

    def connected() -> SMTP:
        upgrade = None if at_once else tls
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it takes passwords unencrypted: clients must not send any
            connection = SMTP(
                server, hostname="mail.test", tls_context=upgrade, require_starttls=upgrade is not None, loop=loop,
                auth_required=login, auth_require_tls=upgrade is not None, authenticator=server.let_in,
            )  # fmt: skip
        open_now.append(connection)
        return connection

    async with listening(connected, port, tls if at_once else None) as server.port:
        yield server
        for connection in open_now:
            if connection.transport is not None:
                connection.transport.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def listening(
    make: Callable[[], asyncio.BaseProtocol], port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve a protocol on this machine; yields the port."""
    serving = await asyncio.get_running_loop().create_server(make, "127.0.0.1", port, ssl=tls)
    try:
        yield serving.sockets[0].getsockname()[1]
    finally:
        serving.close()
