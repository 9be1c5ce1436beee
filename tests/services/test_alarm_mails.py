"""Operators are told by e-mail what needs a person: once, in few mails, also after the server was away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from core.adapters.mail.smtp import SmtpMailSender
from core.adapters.postgres.mailed_alarms import PostgresMailedAlarms
from core.errors import Unavailable
from core.ports.mailed_alarms import MOST_TOLD, Alarm, AlarmKind
from core.services.alarm_mailer import FIRST_WAIT, SEEN_FOR, AlarmMailer
from core.services.alarm_text import NAMED, WORDS, mail_of
from tests.support.alarms import LETTER, SAGA
from tests.support.notifying import PostOffice
from tests.support.smtp_server import MailServer, mail_server

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.fixture
async def box() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@pytest.fixture
async def owner(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


class Told:
    """A mailer over the real database and mail server, with a clock that a test moves."""

    def __init__(self, office: PostOffice, box: MailServer, **other: Any) -> None:
        self.clock = 0.0
        self.counts: list[tuple[AlarmKind, bool]] = []
        self.alarms = PostgresMailedAlarms(office.link, stands_still=timedelta(0))
        self.mailer = AlarmMailer(
            other.pop("alarms", self.alarms),
            SmtpMailSender(box.settings(**other), within=0.3),
            "orderdeck at shop-1, /srv/orderdeck",
            sent=lambda kind, result: self.counts.append((kind, result.sent)),
            monotonic=lambda: self.clock,
        )


def subjects(box: MailServer) -> list[str]:
    return [str(mail["Subject"]).removeprefix("orderdeck: ") for mail in box.mails]


async def pass_by(owner: asyncpg.Connection, minutes: int) -> None:
    await owner.execute("UPDATE mailed_alarms SET mailed_at = mailed_at - make_interval(mins => $1)", minutes)


async def test_each_kind_is_told_once_with_its_names_and_what_to_type_and_without_what_is_secret(
    office: PostOffice, box: MailServer, owner: asyncpg.Connection
) -> None:
    epoch = await office.lead()
    hook, _ = await office.add("http://127.0.0.1:9/hook")
    await owner.execute("UPDATE webhooks SET url = 'http://user:word@127.0.0.1:9/T0KEN?T0KEN'")
    other, _ = await office.add("http://127.0.0.1:9/other")
    await office.hooks.disable(other, "the shop moves")
    told = Told(office, box)
    await told.mailer.look(epoch)
    assert box.mails == [], "nothing needs a person: an operator has disabled the webhook"

    await owner.execute(SAGA, 7)
    await owner.execute(LETTER, UUID(int=5), "projector.orders", "OrderShipped")
    await owner.execute(LETTER, UUID(int=6), f"notifier.{hook}", "OrderShipped")
    await owner.execute(LETTER, UUID(int=8), "projector.orders@3", "OrderShipped")
    await owner.execute(
        "UPDATE webhooks SET enabled = false, disabled_why = 'its receiver wants no more messages' WHERE id = $1", hook
    )
    await office.record()
    await owner.execute(
        "INSERT INTO checkpoints (reader, position) VALUES ('projector.orders', 0), ('projector.orders@3', 0)"
    )
    await told.mailer.look(epoch)
    told.clock += SEEN_FOR
    await told.mailer.look(epoch)
    assert sorted(subjects(box)) == [
        "1 event could not be applied and is parked",
        "1 reader of the log has stopped",
        "1 webhook has messages that its receiver did not take in three days",
        "1 webhook is disabled, because its receiver wants no more",
        "7 sagas have failed and need a person",
    ]
    assert sorted(told.counts) == sorted((kind, True) for kind in AlarmKind)
    texts = {str(mail["Subject"]): mail.get_content() for mail in box.mails}
    for text in texts.values():
        assert not any(secret in text for secret in ("Erika", "Elm St", "T0KEN", "word"))
        assert "orderdeck at shop-1" in text
    saga = texts["orderdeck: 7 sagas have failed and need a person"]
    assert saga.count("fulfil_order at capture_payment") == NAMED
    assert "and 2 more" in saga
    assert "  orderdeck saga list --state failed\n" in saga.replace("\r\n", "\n")
    assert f"orderdeck deadletters show {UUID(int=5)}" in texts["orderdeck: 1 event could not be applied and is parked"]
    assert "projector.orders: at position 0 of 1" in texts["orderdeck: 1 reader of the log has stopped"]

    restarted = Told(office, box)
    for seconds in (0.0, SEEN_FOR):
        restarted.clock = seconds
        await pass_by(owner, 16)
        await restarted.mailer.look(epoch)
    assert len(box.mails) == 5, "a notifier that was started anew repeats nothing"


async def test_a_storm_is_one_mail_in_fifteen_minutes_and_the_next_one_tells_only_what_is_new(
    office: PostOffice, box: MailServer, owner: asyncpg.Connection
) -> None:
    epoch = await office.lead()
    told = Told(office, box)
    await owner.execute(SAGA, 1)
    await told.mailer.look(epoch)
    await owner.execute(SAGA, MOST_TOLD + 50)
    for _ in range(3):
        await told.mailer.look(epoch)
    await pass_by(owner, 14)
    await told.mailer.look(epoch)
    assert subjects(box) == ["1 saga has failed and needs a person"]
    await pass_by(owner, 1)
    for _ in range(3):
        await told.mailer.look(epoch)
    await pass_by(owner, 15)
    await Told(office, box).mailer.look(epoch)
    assert subjects(box)[1:] == [
        f"{MOST_TOLD} or more sagas have failed and need a person",
        "50 sagas have failed and need a person",
    ]


async def test_what_is_over_and_begins_anew_is_told_anew(
    office: PostOffice, box: MailServer, owner: asyncpg.Connection
) -> None:
    epoch = await office.lead()
    told = Told(office, box)
    await owner.execute(SAGA, 2)
    await told.mailer.look(epoch)
    await owner.execute("UPDATE sagas SET status = 'RUNNING'")
    await told.mailer.look(epoch)
    await owner.execute("UPDATE sagas SET status = 'FAILED'")
    await told.mailer.look(epoch)
    assert len(box.mails) == 1, "the pause holds also for what begins anew"
    await pass_by(owner, 15)
    await told.mailer.look(epoch)
    await owner.execute(
        "UPDATE sagas SET updated_at = now() + interval '1 s'"
    )  # it was tried, and failed between two looks
    await pass_by(owner, 15)
    await told.mailer.look(epoch)
    assert subjects(box) == ["2 sagas have failed and need a person"] * 3
    await owner.execute("DELETE FROM sagas")
    await pass_by(owner, 2_000)
    await told.mailer.look(epoch)
    await told.mailer.look(epoch)
    assert await owner.fetchval("SELECT count(*) FROM mailed_alarms") == 0


async def test_a_server_that_is_away_is_tried_again_with_longer_pauses_and_nothing_is_forgotten(
    office: PostOffice, box: MailServer, owner: asyncpg.Connection
) -> None:
    epoch = await office.lead()
    told = Told(office, box)
    box.after_data = "451 later"
    await owner.execute(SAGA, 1)
    await owner.execute(LETTER, UUID(int=5), "projector.orders", "OrderShipped")
    tried: list[float] = []
    for second in range(0, 2_000, 30):
        told.clock = float(second)
        before = len(told.counts)
        await told.mailer.look(epoch)
        if len(told.counts) > before:
            tried.append(second)
    assert tried == [0, FIRST_WAIT, 180, 420, 900, 1_800], "one mail at a time, however many kinds wait"
    assert told.mailer.trouble == "no e-mail can be sent: the server said 451 later"
    box.after_data = "250 taken"
    await owner.execute(SAGA, 1)
    await Told(office, box).mailer.look(epoch)
    assert subjects(box) == ["2 sagas have failed and need a person", "1 event could not be applied and is parked"]
    await told.mailer.look(epoch)
    assert told.mailer.trouble is None, "nobody waits to be told"
    assert len(box.mails) == 2


async def test_a_recipient_who_is_refused_is_told_of_and_the_mail_counts_as_sent(
    office: PostOffice, box: MailServer, owner: asyncpg.Connection
) -> None:
    epoch = await office.lead()
    told = Told(office, box)
    box.refuses = {"ana@example.com"}
    await owner.execute(SAGA, 1)
    for _ in range(2):
        await told.mailer.look(epoch)
    assert told.mailer.trouble is not None
    assert told.mailer.trouble.startswith("an e-mail did not reach everybody: ana@example.com refused")
    assert box.recipients == [["bo@example.com"]]


async def test_only_who_leads_tells_and_what_could_not_be_saved_is_not_sent_again(
    office: PostOffice, box: MailServer, owner: asyncpg.Connection
) -> None:
    epoch = await office.lead()
    await owner.execute(SAGA, 1)
    await Told(office, box).mailer.look(epoch - 1)
    assert box.mails == []

    class Away(PostgresMailedAlarms):
        times = 2

        async def save(self, told: Any) -> None:
            if self.times:
                self.times -= 1
                raise Unavailable("the database is away")
            await super().save(told)

    told = Told(office, box, alarms=Away(office.link))
    for _ in range(2):
        with pytest.raises(Unavailable):
            await told.mailer.look(epoch)
    for _ in range(2):
        await told.mailer.look(epoch)
    assert len(box.mails) == 1
    assert await owner.fetchval("SELECT count(*) FROM mailed_alarms") == 1


async def test_a_reader_that_goes_on_soon_after_a_start_is_not_told_of(
    office: PostOffice, box: MailServer, owner: asyncpg.Connection
) -> None:
    epoch = await office.lead()
    told = Told(office, box)
    for _ in range(3):
        await office.record()
    await owner.execute("INSERT INTO checkpoints (reader, position) VALUES ('projector.orders', 0), ('relay', 0)")
    for position in (0, 1, 2):
        await owner.execute("UPDATE checkpoints SET position = $1 WHERE reader = 'projector.orders'", position)
        await told.mailer.look(epoch)
        told.clock += SEEN_FOR - 1
    assert [line for line in subjects(box) if "readers" in line] == []
    without = PostgresMailedAlarms(office.link, off=("relay", "projector.orders"), stands_still=timedelta(0))
    found = await without.untold(epoch, timedelta(0))
    assert found == [], "what does not run here needs nobody"
    found = await PostgresMailedAlarms(office.link).untold(epoch, timedelta(0))
    assert found == [], "it has not stood still for long"


HOSTILE = (
    "x\r\nBcc: eve@example.com",
    "\x1b[2J\x07",
    "a\u202eb\u2028c\x85d",
    "\ud800",
    "\0",
    "😀" * 5_000,
    "",
    ".\r\n.\r\n",
)


@pytest.mark.parametrize("kind", AlarmKind)
async def test_whatever_an_alarm_is_named_its_mail_has_our_lines_only(kind: AlarmKind, box: MailServer) -> None:
    alarms = [Alarm(kind, text, text, NOW) for text in HOSTILE]
    for start in range(len(alarms)):
        mail = mail_of(kind, alarms[start:], "orderdeck at \r\nhost", "15 minutes")
        assert len(mail.text) < 3_000
        named = min(NAMED, len(alarms) - start)
        more = 1 if len(alarms) - start > NAMED else 0
        assert mail.text.count("\n") == 10 + len(WORDS[kind][3]) + named + more
        assert mail.subject.isascii()
        assert mail.subject.isprintable()
        assert (await SmtpMailSender(box.settings()).send(mail)).sent
        assert box.mails[-1]["Bcc"] is None
    assert (
        mail_of(kind, alarms, "a", "b").id
        == mail_of(kind, alarms, "a", "b").id
        != mail_of(kind, alarms[1:], "a", "b").id
    )
    await asyncio.sleep(0)
