"""One running stack for all system tests that do not break it for good."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.memory_folder import open_folder
from tests.support.stack import Stack
from tests.support.trace_receiver import TraceReceiver


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """One whose sockets need no other place; pytest's own are too long for that."""
    with open_folder("od-") as folder:
        yield folder


@pytest.fixture(scope="session")
def trace_receiver() -> Iterator[TraceReceiver]:
    with TraceReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def stack(trace_receiver: TraceReceiver) -> Iterator[Stack]:
    """It records the traces of those callers only who ask for it."""
    traces = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": trace_receiver.url,
        "OTEL_TRACES_SAMPLER": "parentbased_always_off",
    }
    with open_folder("od-sys-") as folder, Stack(folder / "home", **traces) as running:
        running.up()
        yield running
