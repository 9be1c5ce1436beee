"""The one Kafka of a test run, which all its workers share: it starts when a test asks first, and ends with the run.

A process of its own keeps the broker, since the worker that needs it first may end before the others. It waits for the
end of the process that runs the tests, whatever ends it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.support.certificates import Certificates
from tests.support.kafka import STARTS_WITHIN, Kafka
from tests.support.kafka_libraries import REQUIRED, kafka_libraries
from tests.support.tcp_link import TcpLink

ROOT = Path(__file__).parents[2]
KEEPER = "import sys; from tests.support.kafka_for_all import keep; keep(*sys.argv[1:])"
GIVEN = os.environ.get("KAFKA_BROKERS", "")
"""The Kafka that this environment names; the tests use it instead of one of their own."""

_keepers: list[subprocess.Popen[bytes]] = []  # they outlive this process, which therefore never waits for them


@dataclass(frozen=True)
class KafkaForAll:
    """Never stop it: other tests use it at the same time. Topics and groups of a test have names of their own.

    `link`: the ports before and behind a link that a test may cut (`kafka_link`). `sasl`, `sasl_tls`, `mtls`: its
    listeners with security, for the user and certificates of tests/support/kafka.py. A given Kafka has none of them.
    """

    brokers: str
    folder: str = ""
    link: tuple[int, int] = (0, 0)
    sasl: str = ""
    sasl_tls: str = ""
    mtls: str = ""

    @property
    def certificates(self) -> Certificates:
        return Certificates(Path(self.folder) / "certificates")


def kafka_for_all(run: str, parent: int) -> KafkaForAll:
    """The Kafka of the test run of this name, which ends with the process `parent`."""
    if GIVEN and not REQUIRED:
        return KafkaForAll(GIVEN)
    kafka_libraries()  # skips or fails here where they are missing, with a sentence
    folder = Path(tempfile.gettempdir()) / f"od-kafka-{run}"
    folder.mkdir(exist_ok=True)
    with locked(folder / "starting"):
        told = folder / "ready.json"
        if not told.exists():
            with (folder / "keeper.log").open("w+b") as log:
                keeper = subprocess.Popen(
                    [sys.executable, "-c", KEEPER, str(folder), str(parent)],
                    cwd=ROOT,
                    env=os.environ | {"PYTHONPATH": str(ROOT)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                _keepers.append(keeper)
                deadline = time.monotonic() + STARTS_WITHIN
                while not told.exists():
                    if keeper.poll() is not None or time.monotonic() > deadline:
                        log.seek(0)
                        pytest.fail(f"Kafka did not start:\n{log.read().decode(errors='replace')}", pytrace=False)
                    time.sleep(0.05)
        known = json.loads(told.read_text())
    return KafkaForAll(**known | {"link": tuple(known["link"])})


@contextmanager
def kafka_link(kafka: KafkaForAll) -> Iterator[TcpLink]:
    """A link to the broker that is this test's alone for the time; clients get at the broker through it only."""
    if not kafka.folder:
        pytest.skip("the Kafka that KAFKA_BROKERS names has no link that can be cut")
    with locked(Path(kafka.folder) / "link"), TcpLink(*kafka.link) as link:
        yield link


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be the only process that is here; whatever ends this one, the lock is free again."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def keep(folder: str, parent: str) -> None:
    """Run the broker until the process `parent` has ended, and leave nothing of it."""
    place = Path(folder)
    try:
        ended = os.pidfd_open(int(parent))
        with Kafka(place / "kafka", secure=True) as kafka:
            ports = kafka.nodes[0].ports
            told = KafkaForAll(
                kafka.brokers,
                str(place / "kafka"),
                (ports["LINK"], ports["LINKED"]),
                kafka.address("SASLPLAIN"),
                kafka.address("SASLTLS"),
                kafka.address("MTLS"),
            )
            (place / "new.json").write_text(json.dumps(asdict(told)))
            (place / "new.json").rename(place / "ready.json")
            select.select([ended], [], [])
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(place)
