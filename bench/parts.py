"""The parts of the bench: a new one is a file `bench/NAME.py` with `measure(ground, length)`, and a line in PARTS."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.ground import Ground
from bench.report import Row

MILLION, TEN_MILLION = 1_000_000, 10_000_000

# What the lengths of the parts are, by the option that sets them.
LENGTHS = {
    "seconds": "length of each load",
    "flow_seconds": "length of the run with everything on",
    "saga_seconds": "length of each load on the sagas",
    "backlog": "orders that wait for 1, 2 and 4 saga runners",
    "open": "most sagas open at once",
    "orders": "orders for the SKU that all want, or that are listed",
    "events": "events of the log",
    "soak": "minutes that the deck is soaked; nothing else of it then",
}


@dataclass(frozen=True)
class Part:
    """A part takes at most a minute with its `length` on a quiet machine of two cores.

    `option` is the one of LENGTHS that sets its length. --million and --ten-million set that of the parts that have
    such lengths. Where no part is named, those are left out that are about several of a program, another host, Redis, a
    terminal or the start: all others together take less than six minutes.
    """

    option: str
    length: float
    million: float | None = None
    ten_million: float | None = None
    named_only: bool = False

    def turn(self, options: Mapping[str, Any]) -> list[str]:
        """The option for its length in a turn of --compare: a half, as long as no option says otherwise."""
        length = self.length_of(options)
        if options.get(self.option) is None and length == self.length:
            length /= 2
        return [f"--{self.option.replace('_', '-')}", f"{length:g}"]

    def length_of(self, options: Mapping[str, Any]) -> float:
        if (given := options.get(self.option)) is not None:
            return float(given)
        if options.get("ten_million") and self.ten_million is not None:
            return self.ten_million
        if (options.get("million") or options.get("ten_million")) and self.million is not None:
            return self.million
        return self.length


PARTS = {
    "commands": Part("seconds", 1.5),
    "emmett": Part("seconds", 2, named_only=True),
    "guarded": Part("seconds", 1.5),
    "many": Part("seconds", 1.5, named_only=True),
    "runners": Part("backlog", 1_000),
    "flow": Part("flow_seconds", 15),
    "cost": Part("seconds", 3),
    "rebuild": Part("events", 200_000, MILLION),
    "switch": Part("events", 200_000, MILLION),
    "growth": Part("events", 100_000, MILLION, TEN_MILLION),
    "lists": Part("orders", 100_000, MILLION, TEN_MILLION),
    "past": Part("events", 200_000, MILLION),
    "relay": Part("events", 200_000),
    "kafka_feed": Part("events", 200_000, named_only=True),
    "snapshots": Part("events", 200_000, MILLION),
    "visible": Part("seconds", 5),
    "sagas": Part("saga_seconds", 1),
    "temporal": Part("saga_seconds", 2, named_only=True),
    "open_sagas": Part("open", 20_000),
    "hot_sku": Part("orders", 1_000),
    "verify": Part("events", 100_000, MILLION, TEN_MILLION),
    "cache": Part("seconds", 1.5, named_only=True),
    "idle": Part("seconds", 10, named_only=True),
    "fail_over": Part("seconds", 0.5, named_only=True),
    "deck": Part("soak", 0, named_only=True),
}


def measure(part: str, ground: Ground, length: float) -> list[Row]:
    return importlib.import_module(f"bench.{part}").measure(ground, length)
