"""E-mails reach a real mail server, encrypted and with a login as set, and each failure is told in words."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.adapters.mail.smtp import SmtpMailSender
from core.errors import ConfigurationError
from core.ports.mail_sender import Mail
from core.settings import load_settings
from tests.support.certificates import Certificates, make_certificates
from tests.support.ports import free_port
from tests.support.smtp_server import LOGIN, MailServer, listening, mail_server

A_MAIL = Mail("abc123", "orderdeck: 1 saga has failed", "Grüße.\n.\n.\nFrom here on\n")
LOG_IN = {"smtp_user": LOGIN[0], "smtp_password": LOGIN[1]}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What the server encrypts with; this process trusts its authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server)
    return context


@pytest.fixture
async def plain() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


async def test_a_mail_has_its_headers_and_its_whole_text_and_is_for_every_recipient(plain: MailServer) -> None:
    result = await SmtpMailSender(plain.settings()).send(A_MAIL)
    assert result == (True, "")
    [mail] = plain.mails
    assert plain.recipients == [["ana@example.com", "bo@example.com"]]
    assert (mail["Subject"], mail["From"], mail["To"]) == (
        "orderdeck: 1 saga has failed", "desk@example.com", "ana@example.com, bo@example.com"
    )  # fmt: skip
    assert mail["Message-ID"] == "<abc123@example.com>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime.tzinfo is not None
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().replace("\r\n", "\n") == A_MAIL.text


async def test_line_ends_in_a_subject_make_no_header_of_their_own(plain: MailServer) -> None:
    hostile = Mail("a", "hello\r\nBcc: eve@example.com\r\n\r\nown text", "text\r\n.\r\nRCPT TO:<eve@example.com>\r\n")
    assert (await SmtpMailSender(plain.settings()).send(hostile)).sent
    [mail] = plain.mails
    assert mail["Bcc"] is None
    assert mail["Subject"] == "hello··Bcc: eve@example.com····own text"
    assert plain.recipients == [["ana@example.com", "bo@example.com"]]
    assert "RCPT TO" in mail.get_content()


@pytest.mark.parametrize("kind", ["starttls", "tls"])
async def test_it_logs_in_over_an_encrypted_connection(tls: ssl.SSLContext, kind: str) -> None:
    async with mail_server(tls=tls, at_once=kind == "tls", login=True) as server:
        assert await SmtpMailSender(server.settings(smtp_tls=kind, **LOG_IN)).send(A_MAIL) == (True, "")
        assert server.logins == [LOGIN]
        server.login_answer = "535 5.7.8 wrong: PASSWORD"
        result = await SmtpMailSender(server.settings(smtp_tls=kind, **LOG_IN)).send(A_MAIL)
    assert not result.sent
    assert result.why_not == "the server said 535 5.7.8 wrong: …"
    assert len(server.mails) == 1


async def test_nobody_is_shown_the_password_who_is_not_the_server_or_does_not_encrypt(
    tls: ssl.SSLContext, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mail_server(login=True) as server:
        result = await SmtpMailSender(server.settings(smtp_tls="starttls", **LOG_IN)).send(A_MAIL)
        assert not result.sent
        assert "STARTTLS" in result.why_not
        assert (await SmtpMailSender(server.settings(smtp_tls="tls", **LOG_IN), within=2).send(A_MAIL)).sent is False
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.other))
    for kind in ("starttls", "tls"):
        async with mail_server(tls=tls, at_once=kind == "tls", login=True) as stranger:
            result = await SmtpMailSender(stranger.settings(smtp_tls=kind, **LOG_IN)).send(A_MAIL)
            assert not result.sent
            assert "certificate" in result.why_not
            assert stranger.logins == server.logins == []


async def test_who_is_refused_is_named_and_the_others_get_their_mail(plain: MailServer) -> None:
    plain.refuses = {"ana@example.com"}
    result = await SmtpMailSender(plain.settings()).send(A_MAIL)
    assert result == (True, "ana@example.com refused: the server said 550 5.1.1 <ana@example.com> unknown·[31m")
    assert plain.recipients == [["bo@example.com"]]
    plain.refuses = {"ana@example.com", "bo@example.com"}
    result = await SmtpMailSender(plain.settings()).send(A_MAIL)
    assert not result.sent
    assert result.why_not.startswith("ana@example.com, and 1 more refused: the server said 550")


@pytest.mark.parametrize("said", ["451 4.7.1 try again later", "554 5.7.1 no\x1b]0;title\x07", "552 " + "x" * 400])
async def test_what_a_server_says_against_a_mail_is_one_short_harmless_line(plain: MailServer, said: str) -> None:
    plain.after_data = said
    result = await SmtpMailSender(plain.settings()).send(A_MAIL)
    assert not result.sent
    assert result.why_not.startswith(f"the server said {said[:8]}")
    assert result.why_not.isprintable()
    assert len(result.why_not) < 230


async def test_a_mail_that_was_taken_counts_as_sent_however_the_server_says_goodbye(plain: MailServer) -> None:
    """Else the same mail would be sent again and again."""
    plain.slow_farewell = 30
    began = time.monotonic()
    assert (await SmtpMailSender(plain.settings()).send(A_MAIL)).sent
    assert time.monotonic() - began < 5
    plain.slow = 0.5
    assert (await SmtpMailSender(plain.settings(), within=0.3).send(A_MAIL)).sent, "it may take longer than a login"


async def test_a_server_that_is_away_slow_silent_or_talks_nonsense_costs_a_limited_time(plain: MailServer) -> None:
    away = await SmtpMailSender(plain.settings(smtp_port=free_port())).send(A_MAIL)
    assert not away.sent
    assert "onnect" in away.why_not
    unknown = await SmtpMailSender(plain.settings(smtp_host="mail.invalid"), within=5).send(A_MAIL)
    assert not unknown.sent
    plain.slow = 30
    began = time.monotonic()
    slow = await SmtpMailSender(plain.settings(), taken_within=0.3).send(A_MAIL)
    assert slow == (False, "the server has not taken the mail within 0.3 s")
    for greeting in (
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\xff" * 5_000,
        b"220-" + b"x" * 600 + b"\r\n",
        b"999\r\n",
    ):
        async with listening(lambda greeting=greeting: Greeter(greeting)) as port:
            result = await SmtpMailSender(plain.settings(smtp_port=port), within=0.3).send(A_MAIL)
            assert not result.sent, greeting
            assert result.why_not.isprintable()
    assert time.monotonic() - began < 4


class Greeter(asyncio.Protocol):
    """Greets, and then says nothing any more; without a greeting it hangs up at once."""

    def __init__(self, greeting: bytes) -> None:
        self._greeting = greeting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._greeting:
            transport.write(self._greeting)
        else:
            transport.close()


GOOD = {"HOST": "mail.example.com", "FROM": "desk@example.com", "TO": "ana@example.com,bo@example.com"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"FROM": ""}, "needs ORDERDECK_SMTP_FROM"),
        ({"TO": " , "}, "ORDERDECK_SMTP_TO"),
        ({"HOST": ""}, "need ORDERDECK_SMTP_HOST"),
        ({"USER": "desk"}, "need each other"),
        ({"PASSWORD": "s3cret"}, "need each other"),
        ({"USER": "desk", "PASSWORD": "s3cret", "TLS": "none"}, "everybody on the way"),
        ({"TLS": "ssl"}, "ORDERDECK_SMTP_TLS"),
        ({"PORT": "0"}, "ORDERDECK_SMTP_PORT"),
        ({"HOST": "mail.example.com:25"}, None),
        ({"HOST": "mail example"}, "without a port"),
        ({"FROM": "Ana <ana@example.com>"}, "without a name"),
        ({"FROM": "a@example.com,b@example.com"}, "must be one address"),
        ({"TO": "ana@example.com\nBcc: eve@example.com"}, "without a name"),
        ({"TO": "ana@exämple.com"}, "without a name"),
        ({"TO": ",".join(f"a{n}@example.com" for n in range(21))}, "may hold 20"),
    ],
)
def test_settings_that_cannot_work_stop_the_start_with_their_name(
    given: dict[str, str], said: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {**GOOD, **given}.items():
        monkeypatch.setenv(f"ORDERDECK_SMTP_{name}", value)
    if said is None:
        assert load_settings().smtp_host == given["HOST"]
        return
    with pytest.raises(ConfigurationError, match=said) as refused:
        load_settings()
    assert "s3cret" not in str(refused.value)
