"""The settings of the notifier, which `core.settings.Settings` inherits: where webhooks may lead, and who gets mail."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from core.setting_types import Count, Port, split

MOST_RECIPIENTS = 20
MAIL_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
MAIL_SERVER = re.compile(r"[A-Za-z0-9._:\[\]-]{0,255}")
USUAL_PORTS = {"starttls": 587, "tls": 465, "none": 25}
LOOPBACK = {"localhost", "127.0.0.1", "::1"}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(value: str) -> str:
    for entry in split(value):
        try:
            ipaddress.ip_network(entry)
        except ValueError:
            raise ValueError(f"{entry!r} must be a network such as 10.1.0.0/16, or an address") from None
    return value


def _mail_server(value: str) -> str:
    if not MAIL_SERVER.fullmatch(value):
        raise ValueError("must be a name or an address without a port")
    return value.strip("[]")


def _mail_addresses(value: str) -> str:
    for entry in split(value):
        if not MAIL_ADDRESS.fullmatch(entry):
            raise ValueError(f"{entry!r} must be an address such as desk@example.com, without a name")
    if len(split(value)) > MOST_RECIPIENTS:
        raise ValueError(f"may hold {MOST_RECIPIENTS} addresses")
    return value


def _mail_address(value: str) -> str:
    if len(split(value)) > 1:
        raise ValueError("must be one address")
    return _mail_addresses(value).strip()


Networks = Annotated[str, AfterValidator(_networks)]
MailServer = Annotated[str, AfterValidator(_mail_server)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
MailAddresses = Annotated[str, AfterValidator(_mail_addresses)]


class NotifierSettings(BaseSettings):
    notifier: bool = Field(default=True, description="Run the notifier, which sends webhooks and e-mails.")
    notifier_port: Port = Field(default=9104, description="Health and metrics of the notifier.")
    notifier_count: Count = Field(default=1, description="How many notifiers run; one works, the others stand by.")
    webhook_networks: Networks = Field(
        default="",
        description="Networks that webhooks may lead to besides the open internet: 127.0.0.0/8, 10.1.0.0/16.",
    )

    @property
    def allowed_networks(self) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(entry) for entry in split(self.webhook_networks))

    smtp_host: MailServer = Field(
        default="", description="Mail server over which operators are told what needs a person; empty: no e-mails."
    )
    smtp_port: Port | None = Field(default=None, description="Port of the mail server; empty: 587, 465 or 25.")
    smtp_tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the way to the mail server is encrypted: starttls, tls or none."
    )
    smtp_user: str = Field(default="", description="Name to log in to the mail server with; empty: no login.")
    smtp_password: SecretStr | None = Field(default=None, description="Password for the mail server.")
    smtp_from: MailAddress = Field(default="", description="Address that e-mails come from.")
    smtp_to: MailAddresses = Field(default="", description="Addresses that get the e-mails, with commas between.")

    @property
    def smtp_port_or_usual(self) -> int:
        return self.smtp_port or USUAL_PORTS[self.smtp_tls]

    @property
    def mail_recipients(self) -> list[str]:
        return split(self.smtp_to)

    @property
    def smtp_contradiction(self) -> str | None:
        """What is wrong with these settings together, in a sentence that names them; None if nothing is."""
        password = bool(self.smtp_password and self.smtp_password.get_secret_value())
        if not self.smtp_host:
            given = self.smtp_to or self.smtp_from or self.smtp_user or password
            return "the ORDERDECK_SMTP_… settings need ORDERDECK_SMTP_HOST, too" if given else None
        if not (self.smtp_from and self.mail_recipients):
            return "ORDERDECK_SMTP_HOST needs ORDERDECK_SMTP_FROM and ORDERDECK_SMTP_TO"
        if bool(self.smtp_user) != password:
            return "ORDERDECK_SMTP_USER and ORDERDECK_SMTP_PASSWORD need each other"
        if password and self.smtp_tls == "none" and self.smtp_host not in LOOPBACK:
            return "with ORDERDECK_SMTP_TLS=none everybody on the way could read ORDERDECK_SMTP_PASSWORD"
        return None
