"""Failpoints: named places in the code where a daemon kills itself by chance, as `kill -9` would, during a drill."""

from __future__ import annotations

import os
import random
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

POINTS: Mapping[str, str] = {
    "command-api.after_enqueue": "an append is under way, and not answered",
    "command-api.after_commit": "it is recorded, and the caller has not been answered",
    "notifier.mid_transaction": "deliveries of webhooks are being made",
    "notifier.after_plan": "they are made, and none is sent",
    "notifier.after_call": "a receiver was called, and its answer is not saved",
    "notifier.after_record": "it is saved, and the notifier does not know yet",
    "projector.after_poll": "events were read, and nothing was done with them",
    "projector.mid_transaction": "a save is under way",
    "projector.after_commit": "it is saved, and the projector does not know yet",
    "relay.after_poll": "events were read, and nothing was done with them",
    "relay.mid_send": "events are being sent to Kafka",
    "relay.before_checkpoint": "Kafka has kept them, and the position is not saved",
    "saga-runner.after_claim": "sagas were claimed, and nothing was done with them",
    "saga-runner.after_call": "the provider was called, and its answer is not recorded",
    "saga-runner.after_record": "an append is recorded, and the runner does not know yet",
    "saga-runner.mid_compensation": "one thing is undone, and others are not",
}
SEED = "seed"
CHANCE = re.compile(r"0(\.\d+)?|1(\.0+)?")
UNDER_WAY = 0.003  # seconds; within them a request may have reached the database, or not
LOG = "failpoints.log"
"""The daemons write it: a line for each death, and one for the first time that a process reaches a failpoint."""
BEGINS = " begins"


def parse(text: str) -> tuple[int, Mapping[str, float]]:
    """The seed, and the chance of each named point. Raises ValueError with a sentence that says what is allowed."""
    seed, chances = 0, dict[str, float]()
    for part in filter(None, text.replace(" ", "").split(",")):
        name, _, value = part.partition("=")
        if name == SEED and value.isdecimal():
            seed = int(value)
        elif name in POINTS and CHANCE.fullmatch(value):
            chances[name] = float(value)
        else:
            raise ValueError(
                f"{part!r} is no failpoint: write POINT=CHANCE, a chance from 0 to 1, or seed=7; points are"
                f" {', '.join(POINTS)}"
            )
    return seed, chances


@dataclass
class Failpoints:
    """The failpoints of one daemon. Each draws its own sequence of random numbers, a new one in each process.

    With the same sequence in each process, a daemon that dies at its third append would die at its third append after
    every restart, and a daemon that is often killed from outside would only ever draw the first few numbers.
    """

    daemon: str
    folder: Path
    seed: int
    chances: Mapping[str, float]
    _sequences: dict[str, random.Random] = field(default_factory=dict[str, random.Random])

    def hit(self, point: str) -> bool:
        """Draw whether the daemon dies at this point now."""
        name = f"{self.daemon}.{point}"
        if name not in self.chances:
            return False
        if name not in self._sequences:
            processes = _lines(self.folder).count(name + BEGINS)
            self._write(name + BEGINS)
            self._sequences[name] = random.Random(f"{self.seed} {name} {processes}")  # noqa: S311 - a drill, repeatable
        return self._sequences[name].random() < self.chances[name]

    def die(self, point: str) -> NoReturn:
        self._write(f"{self.daemon}.{point}")
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody survives that")

    def reach(self, point: str) -> None:
        """Die at this point if the draw says so; otherwise go on."""
        if self.hit(point):
            self.die(point)

    def _write(self, line: str) -> None:
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(line + "\n")


def deaths(folder: Path) -> list[str]:
    """The names of the failpoints where daemons that write to this folder died, in the order of their deaths."""
    return [line for line in _lines(folder) if not line.endswith(BEGINS)]


def _lines(folder: Path) -> list[str]:
    try:
        return (folder / LOG).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def failpoints(text: str, daemon: str, folder: Path) -> Failpoints | None:
    """The failpoints that `text` sets for a daemon, which logs them in `folder`; None when it sets none."""
    seed, chances = parse(text)
    ours = {name: chance for name, chance in chances.items() if name.startswith(f"{daemon}.")}
    return Failpoints(daemon, folder, seed, ours) if ours else None
