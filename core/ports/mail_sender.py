"""Sends e-mails to those whom the settings name."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Mail(NamedTuple):
    """`id` is the same for a mail that is sent again. `subject` is one line of ASCII, `text` is plain."""

    id: str
    subject: str
    text: str


class MailResult(NamedTuple):
    """Whether the server has taken a mail for at least one recipient; `why_not` says for whom or why it has not."""

    sent: bool
    why_not: str = ""


class MailSender(Protocol):
    async def send(self, mail: Mail) -> MailResult:
        """Send a mail, within a limited time. Raises nothing that the server or the network causes."""
        ...
