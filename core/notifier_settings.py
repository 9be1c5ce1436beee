"""The settings of the notifier, which `core.settings.Settings` inherits: where webhooks may lead."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from core.setting_types import Count, Port, split

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(value: str) -> str:
    for entry in split(value):
        try:
            ipaddress.ip_network(entry)
        except ValueError:
            raise ValueError(f"{entry!r} must be a network such as 10.1.0.0/16, or an address") from None
    return value


Networks = Annotated[str, AfterValidator(_networks)]


class NotifierSettings(BaseSettings):
    notifier: bool = Field(default=True, description="Run the notifier, which sends webhooks.")
    notifier_port: Port = Field(default=9104, description="Health and metrics of the notifier.")
    notifier_count: Count = Field(default=1, description="How many notifiers run; one works, the others stand by.")
    webhook_networks: Networks = Field(
        default="",
        description="Networks that webhooks may lead to besides the open internet: 127.0.0.0/8, 10.1.0.0/16.",
    )

    @property
    def allowed_networks(self) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(entry) for entry in split(self.webhook_networks))
