"""The log of a daemon: a line that repeats is written once with a count, and no flood pushes out everything else."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time

import pytest

from daemons.process.log_limits import BURST, MOST_KINDS, ONE_MORE_EVERY, REPEATS_FOR, LogLimits
from tests.support.stack import ROOT

FLOOD = """
import logging, sys
import structlog
from daemons.process.logs import configure_logs
configure_logs("command-api", "INFO")
log = structlog.get_logger()
library = logging.getLogger("some.library")
for n in range(20_000):
    log.warning("refused", path="x" * 100_000 if n < 3 else f"/{n}")
    log.warning("the same", reason="again")
    library.warning("a wrong request from %s", n)
    try:
        raise ValueError(f"{n}" + "y" * 50_000)
    except ValueError:
        if n < 50:
            log.exception("failed")
log.info("something else", left=["z" * 90_000])
log.warning("letters", text="…屋")
"""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> LogLimits:
    return LogLimits(clock)


def record(**fields: object) -> logging.LogRecord:
    return logging.LogRecord("daemon", logging.WARNING, "file", 1, fields, None, None)


def test_a_line_that_repeats_is_written_once_and_then_with_the_number_left_out(limits: LogLimits, clock: Clock) -> None:
    for n in range(1_000):
        clock.now = n * REPEATS_FOR / 1_000
        assert limits.filter(record(event="waits", reason="away", timestamp=str(n))) is (n == 0)
    clock.now = REPEATS_FOR
    again = record(event="waits", reason="away", timestamp="later")
    assert limits.filter(again)
    assert again.msg == {"event": "waits", "reason": "away", "timestamp": "later", "left_out": 999}


def test_lines_of_one_kind_come_at_a_bounded_rate_and_do_not_hold_up_others(limits: LogLimits, clock: Clock) -> None:
    assert sum(limits.filter(record(event="refused", path=n)) for n in range(10_000)) == BURST
    assert limits.filter(record(event="started", port=8080))
    clock.now = 10 * ONE_MORE_EVERY
    written = [r for r in (record(event="refused", path=-n) for n in range(1, 1_000)) if limits.filter(r)]
    assert len(written) == 10
    assert isinstance(written[0].msg, dict)
    assert written[0].msg["left_out"] == 10_000 - BURST


def test_what_is_remembered_is_bounded(limits: LogLimits) -> None:
    for n in range(5 * MOST_KINDS):
        limits.filter(record(event=f"kind {n}"))
    assert len(limits._kinds) <= MOST_KINDS
    assert len(limits._lines) <= MOST_KINDS


def test_a_daemon_that_is_flooded_keeps_its_log_short_and_every_line_whole() -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", FLOOD], cwd=ROOT, capture_output=True, timeout=60, check=True,
        env={"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(done.stdout) < 500_000, "60 000 lines of up to 100 000 characters were logged"
    assert max(map(len, done.stdout.splitlines())) < 12_000
    count = {event: sum(line["event"] == event for line in lines) for event in ("refused", "the same", "failed")}
    most = BURST + (time.monotonic() - began) // ONE_MORE_EVERY
    assert BURST <= count["refused"] <= most
    assert BURST <= count["failed"] <= most
    assert count["the same"] == 1
    assert lines[-2]["event"] == "something else"
    assert lines[-1]["text"] == "…屋"
    assert "ValueError" in next(line["exception"] for line in lines if line["event"] == "failed")
