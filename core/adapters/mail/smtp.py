"""Sends e-mails over SMTP: one connection for each, encrypted unless the settings say otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate
from importlib.metadata import version

import aiosmtplib

from core.notifier_settings import NotifierSettings
from core.ports.mail_sender import Mail, MailResult
from core.printable import clean, without_secrets

WITHIN = 30.0  # seconds to connect and log in
TAKEN_WITHIN = 600.0  # seconds; RFC 5321 4.5.3.2.6 lets a server take so long, and who gives up earlier sends twice
FAREWELL = 1.0  # seconds in which the server that has taken it may say goodbye
LONGEST_SAID = 200  # characters of what the server said that operators are shown


class SmtpMailSender:
    """See `core.ports.mail_sender.MailSender`. Never sends unencrypted what should be encrypted."""

    def __init__(
        self, settings: NotifierSettings, *, within: float = WITHIN, taken_within: float = TAKEN_WITHIN
    ) -> None:
        self._settings = settings
        self._within = within
        self._taken_within = taken_within

    async def send(self, mail: Mail) -> MailResult:
        try:
            refused = await self._send(self._message(mail))
        except aiosmtplib.SMTPRecipientsRefused as error:
            refused = {one.recipient: (one.code, one.message) for one in error.recipients}
            return MailResult(sent=False, why_not=self._refusals(refused))
        except aiosmtplib.SMTPResponseException as error:
            return MailResult(sent=False, why_not=self._said(error.code, error.message))
        except aiosmtplib.SMTPServerDisconnected:
            return MailResult(sent=False, why_not="the server closed the connection")
        except (aiosmtplib.SMTPException, OSError) as error:
            return MailResult(sent=False, why_not=self._safe(str(error)) or type(error).__name__)
        return MailResult(sent=True, why_not=self._refusals(refused) if refused else "")

    async def _send(self, message: EmailMessage) -> dict[str, tuple[int, str]]:
        """Returns the recipients that the server refused, with what it said; raises if it refused all of them."""
        its = self._settings
        client = aiosmtplib.SMTP(
            hostname=its.smtp_host,
            port=its.smtp_port_or_usual,
            username=its.smtp_user or None,
            password=its.smtp_password.get_secret_value() if its.smtp_password else None,
            use_tls=its.smtp_tls == "tls",
            start_tls=its.smtp_tls == "starttls",
            local_hostname=socket.gethostname(),
            timeout=self._within,
        )
        try:
            async with _limited(self._within, "answered"):
                await client.connect()
            async with _limited(self._taken_within, "taken the mail"):
                refused, _ = await client.send_message(message, timeout=self._taken_within)
            # The server has the mail: whatever it says to a farewell, the mail must not be sent again.
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=FAREWELL)
        finally:
            client.close()  # `async with` would say farewell also to a server that has not answered in time
        return {name: (answer[0], answer[1]) for name, answer in refused.items()}

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage(policy=SMTP_POLICY)
        message["From"] = self._settings.smtp_from
        message["To"] = ", ".join(self._settings.mail_recipients)
        message["Subject"] = clean(mail.subject)
        message["Date"] = formatdate(localtime=True)
        message["Message-ID"] = f"<{mail.id}@{self._settings.smtp_from.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody on holiday answers it
        message["User-Agent"] = f"orderdeck/{version('orderdeck')}"
        message.set_content(mail.text)
        return message

    def _refusals(self, refused: dict[str, tuple[int, str]]) -> str:
        first, *others = refused
        more = f", and {len(others)} more" if others else ""
        return f"{first}{more} refused: {self._said(*refused[first])}"

    def _said(self, code: int, text: str) -> str:
        return f"the server said {code} {self._safe(text)}"

    def _safe(self, text: str) -> str:
        """One line without the password, which a server may repeat."""
        password = self._settings.smtp_password
        if password and (secret := password.get_secret_value()):
            text = text.replace(secret, "…")
        return without_secrets(text, LONGEST_SAID)


@asynccontextmanager
async def _limited(seconds: float, what: str) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise TimeoutError(f"the server has not {what} within {seconds:g} s") from None
