"""The list of the supervised programs, and which setting holds the port of each."""

from __future__ import annotations

from dataclasses import dataclass

from core.settings import Settings


@dataclass(frozen=True)
class Program:
    """A supervised program; `port` names the setting of the port on which it answers /ready, or is None.

    `needs` names the setting without which there is nothing to do for it: then it ends at once with 0.
    """

    name: str
    port: str | None
    needs: str | None = None

    def needed(self, settings: Settings) -> bool:
        return self.needs is None or bool(getattr(settings, self.needs))

    @property
    def module(self) -> str:
        return "daemons." + self.name.replace("-", "_")


# In the order of their start. No start waits for another: a daemon is not ready until the programs it needs are there.
PROGRAMS = (
    Program("postgres", None),
    Program("payment-sandbox", "payment_port"),
    Program("command-api", "command_port"),
    Program("query-api", "query_port"),
    Program("projector", "projector_port"),
    Program("saga-runner", "saga_runner_port"),
    Program("relay", "relay_port", needs="kafka_brokers"),
)
