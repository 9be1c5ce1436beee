"""Has operators told by e-mail what needs a person, while this notifier leads."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from prometheus_client import Counter

from core.errors import OrderdeckError, Unavailable
from core.pace import together
from core.ports.mail_sender import MailResult, MailSender
from core.ports.mailed_alarms import AlarmKind, MailedAlarms
from core.services.alarm_mailer import AlarmMailer
from core.settings import Settings
from daemons.process.vitals import Vitals

PART = "telling operators by e-mail"  # its name on the FaultBoard
LOOK_EVERY = 10.0  # seconds

SENT = Counter(
    "orderdeck_mails_sent", "E-mails to operators that the mail server has taken, by what they are about.", ["kind"]
)
FAILED = Counter("orderdeck_mails_failed", "Tries to send an e-mail to operators that failed.", ["kind"])


def make_mailer(mail: tuple[MailedAlarms, MailSender], settings: Settings) -> AlarmMailer:
    alarms, sender = mail
    for kind in AlarmKind:
        SENT.labels(kind)
        FAILED.labels(kind)
    return AlarmMailer(alarms, sender, f"orderdeck at {socket.gethostname()}, {settings.home}", sent=_count)


async def tell(mailer: AlarmMailer, epoch: Callable[[], int | None], vitals: Vitals) -> None:
    """Look now and then whether there is something to tell; `epoch` is None while another notifier leads."""
    while not vitals.stop.is_set():
        leads_under = epoch()
        if leads_under is None:
            mailer.rest()
        else:
            try:
                await mailer.look(leads_under)
            except Unavailable:
                pass  # the database is away: this process is not ready, and says so
            except OrderdeckError as error:
                vitals.faults.report(PART, error)
            else:
                vitals.faults.clear(PART)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(vitals.stop.wait(), together(LOOK_EVERY))


def _count(kind: AlarmKind, result: MailResult) -> None:
    (SENT if result.sent else FAILED).labels(kind).inc()
