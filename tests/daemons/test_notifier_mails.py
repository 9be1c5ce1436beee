"""The notifier e-mails operators, whatever happens to it and to the mail server: at least once, and few times."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from uuid import UUID

import pytest

from core.adapters.postgres.connection import Connection
from tests.support.alarms import LETTER, SAGA
from tests.support.daemon_process import DaemonProcess
from tests.support.notifying import until
from tests.support.ports import free_port
from tests.support.raw_http import request, send
from tests.support.smtp_server import LOGIN, MailServer, mail_server

PARKED = "orderdeck: 1 event could not be applied and is parked"
FAILED = "orderdeck: 1 saga has failed and needs a person"


@pytest.fixture
async def notifier(dsn: str, tmp_path: Path, admin: Connection) -> AsyncIterator[DaemonProcess]:
    await admin.execute(SAGA, 1)
    user, password = LOGIN
    settings = {
        "ORDERDECK_SMTP_HOST": "localhost", "ORDERDECK_SMTP_PORT": str(free_port()), "ORDERDECK_SMTP_TLS": "none",
        "ORDERDECK_SMTP_USER": user, "ORDERDECK_SMTP_PASSWORD": password,
        "ORDERDECK_SMTP_FROM": "desk@example.com", "ORDERDECK_SMTP_TO": "ana@example.com",
    }  # fmt: skip
    daemon = DaemonProcess("notifier", dsn, tmp_path, settings)
    yield daemon
    daemon.kill()


def mailbox(notifier: DaemonProcess) -> AbstractAsyncContextManager[MailServer]:
    return mail_server(login=True, port=int(notifier.settings["ORDERDECK_SMTP_PORT"]))


async def page(notifier: DaemonProcess, path: str) -> str:
    try:
        return (await asyncio.to_thread(send, notifier.port, request(target=path))).rest.decode()
    except OSError:
        return ""


async def says(notifier: DaemonProcess, words: str) -> None:
    """Wait until the notifier is ready, and says that it has to do without e-mails."""

    async def said() -> bool:
        answer = json.loads(await page(notifier, "/ready") or "{}")
        return answer.get("status") == "ready" and words in answer.get("degraded", "")

    await until(said, seconds=30)


def subjects(box: MailServer) -> list[str]:
    return [str(mail["Subject"]) for mail in box.mails]


async def test_what_needs_a_person_is_told_after_the_mail_server_was_away_refused_and_took_no_end(
    notifier: DaemonProcess, admin: Connection
) -> None:
    notifier.start()
    await says(notifier, "no e-mail can be sent: ")
    assert 'orderdeck_mails_failed_total{kind="saga_failed"} 1.0' in await page(notifier, "/metrics")
    notifier.kill()
    async with mailbox(notifier) as box:
        box.after_data = "451 4.7.1 later"
        notifier.start()
        await says(notifier, "no e-mail can be sent: the server said 451 4.7.1 later")
        assert LOGIN[1] not in notifier.output()
        notifier.kill()

        box.after_data, box.slow = "250 taken", 3600.0
        notifier.start()
        await until(lambda: box.asked == 2, seconds=30)
        assert (await notifier.ready())[0] == 200, "only the mail waits for the server"
        stopping = asyncio.to_thread(notifier.stop)
        assert await asyncio.wait_for(stopping, 10) == 0, "a stop does not wait until a mail server gives in"

        box.slow = 0.0
        notifier.start()
        await until(lambda: box.mails, seconds=30)
    assert subjects(box) == [FAILED]


async def test_a_mail_that_was_taken_comes_once_more_for_each_kill_before_it_is_saved_and_no_more_after(
    notifier: DaemonProcess, admin: Connection
) -> None:
    async with mailbox(notifier) as box:
        for kills in (1, 2):
            box.before_answer = notifier.kill
            notifier.start()
            await until(lambda kills=kills: len(box.mails) == kills, seconds=30)
        box.before_answer = None
        notifier.start()
        await until(lambda: admin.fetchval("SELECT count(*) FROM mailed_alarms"), seconds=30)
        notifier.kill()
        await admin.execute(LETTER, UUID(int=5), "projector.orders", "OrderShipped")
        notifier.start()
        await until(lambda: subjects(box)[-1] == PARKED, seconds=30)
    assert subjects(box) == [FAILED, FAILED, FAILED, PARKED]
    ids = [mail["Message-ID"] for mail in box.mails]
    assert len(set(ids[:3])) == 1, "a program that reads mails shows it once"
    assert ids[3] != ids[0]
