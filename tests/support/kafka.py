"""A real Apache Kafka of a test: one broker or three, that can be killed, frozen and started again on their data.

Its jars come from Maven (tests/support/kafka_libraries.py). Every broker ends with the process that started it.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from core.processes import die_with_parent
from tests.support.certificates import Certificates, make_certificates
from tests.support.kafka_libraries import kafka_libraries
from tests.support.ports import free_port

CLUSTER = "b3JkZXJkZWNrLXRlc3RzMA"  # 16 bytes as base64url
STARTS_WITHIN = 120.0
STOPS_WITHIN = 30.0
USER, PASSWORD = "orderdeck", "pass word: 100%"
JAVA = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
PROTOCOLS = {
    "PLAINTEXT": "PLAINTEXT", "LINK": "PLAINTEXT", "CONTROLLER": "PLAINTEXT",
    "SASLPLAIN": "SASL_PLAINTEXT", "SASLTLS": "SASL_SSL", "MTLS": "SSL",
}  # fmt: skip
SETTINGS = {
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "log.cleaner.dedupe.buffer.size": "8388608",
    "controlled.shutdown.enable": "true",
    "num.partitions": "1",
    "log.retention.check.interval.ms": "1000",  # so that a short retention of a test takes effect within the test
}
ALONE = {
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "broker.session.timeout.ms": "2000",  # a broker that was killed is known again after 4 s instead of 12
    "broker.heartbeat.interval.ms": "500",
}
THREE = {
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "broker.session.timeout.ms": "6000",
    "broker.heartbeat.interval.ms": "1000",
    # A broker that was killed has not handed over what it led; without these its followers wait longer than a test.
    "replica.lag.time.max.ms": "6000",
    "controller.quorum.election.timeout.ms": "500",
    "controller.quorum.fetch.timeout.ms": "1500",
}


@dataclass
class Node:
    """One broker, which is a controller as well. `ports`: of its listeners."""

    number: int
    folder: Path
    ports: Mapping[str, int]
    process: subprocess.Popen[bytes] | None = None


@dataclass
class Kafka:
    """`secure` adds listeners with SASL and TLS. `settings`: more of server.properties."""

    folder: Path
    count: int = 1
    secure: bool = False
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    nodes: Sequence[Node] = ()
    certificates: Certificates | None = None

    def __enter__(self) -> Self:
        self._jars = kafka_libraries()
        self.folder.mkdir(parents=True, exist_ok=True)
        names = ["PLAINTEXT", "LINK", "CONTROLLER", *(("SASLPLAIN", "SASLTLS", "MTLS") if self.secure else ())]
        if self.secure:
            self.certificates = make_certificates(self.folder / "certificates")
        self.nodes = [
            Node(number, self.folder / f"broker-{number}", {name: free_port() for name in (*names, "LINKED")})
            for number in range(1, self.count + 1)
        ]
        try:
            with ThreadPoolExecutor(self.count) as pool:  # formatting takes 0.7 s, nearly all of it CPU
                list(pool.map(self._format, self.nodes))
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            self._end(node, signal.SIGKILL)

    @property
    def brokers(self) -> str:
        """What KAFKA_BROKERS is set to."""
        return self.address("PLAINTEXT")

    def address(self, listener: str) -> str:
        return ",".join(f"127.0.0.1:{node.ports[listener]}" for node in self.nodes)

    def start(self, *numbers: int) -> None:
        """Start these brokers, or else all that do not run, at the same time, and return when they answer.

        The kernel ends a broker together with the thread that started it, so call this from one that stays.
        """
        starting = [node for node in self._chosen(numbers) if node.process is None]
        for node in starting:
            self._spawn(node)
        self.wait_until_ready(*(node.number for node in starting))

    def wait_until_ready(self, *numbers: int) -> None:
        deadline = time.monotonic() + STARTS_WITHIN
        for node in self._chosen(numbers):
            while not _listens(node.ports["PLAINTEXT"]):
                assert node.process is not None
                assert node.process.poll() is None, f"broker {node.number} ended:\n{self.log(node.number)}"
                assert time.monotonic() < deadline, f"broker {node.number} is not ready:\n{self.log(node.number)}"
                time.sleep(0.02)

    def spawn(self, *numbers: int) -> None:
        """Start these brokers without waiting for them: of three, one alone has no quorum and does not get ready."""
        for node in self._chosen(numbers):
            if node.process is None:
                self._spawn(node)

    def stop(self, *numbers: int) -> None:
        """Ask these brokers, or all, to end, at the same time; one that has no quorum to say goodbye to is killed."""
        chosen = [node for node in self._chosen(numbers) if node.process is not None]
        for node in chosen:
            assert node.process is not None
            node.process.terminate()
        for node in chosen:
            self._end(node, signal.SIGTERM)

    def kill(self, *numbers: int) -> None:
        for node in self._chosen(numbers):
            self._end(node, signal.SIGKILL)

    def pause(self, *numbers: int) -> None:
        """Freeze these brokers: they accept connections and answer nothing."""
        self._signal(numbers, signal.SIGSTOP)

    def resume(self, *numbers: int) -> None:
        self._signal(numbers, signal.SIGCONT)

    def log(self, number: int = 1) -> str:
        return (self.nodes[number - 1].folder / "log").read_text(errors="replace")[-5_000:]

    def _chosen(self, numbers: Sequence[int]) -> Sequence[Node]:
        return [node for node in self.nodes if not numbers or node.number in numbers]

    def _signal(self, numbers: Sequence[int], number: signal.Signals) -> None:
        for node in self._chosen(numbers):
            if node.process is not None:
                node.process.send_signal(number)

    def _end(self, node: Node, number: signal.Signals) -> None:
        if node.process is None:
            return
        node.process.send_signal(number)
        node.process.send_signal(signal.SIGCONT)  # one that is frozen would not obey
        try:
            node.process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            node.process.kill()
            node.process.wait()
        node.process = None

    def _spawn(self, node: Node) -> None:
        with (node.folder / "log").open("ab") as log:
            node.process = subprocess.Popen(
                self._java("-Xms96m", "-Xmx256m", "kafka.Kafka", str(node.folder / "server.properties")),
                cwd=node.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a terminal ends the tests, which then end it
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one call that takes no lock
            )

    def _format(self, node: Node) -> None:
        node.folder.mkdir(exist_ok=True)
        properties = node.folder / "server.properties"
        properties.write_text("".join(f"{name}={value}\n" for name, value in self._properties(node).items()))
        users = [f"--add-scram={kind}=[name={USER},password={PASSWORD}]" for kind in ("SCRAM-SHA-256", "SCRAM-SHA-512")]
        arguments = ["format", "--cluster-id", CLUSTER, "-c", str(properties), *(users if self.secure else ())]
        done = subprocess.run(
            self._java("-Xmx64m", "kafka.tools.StorageTool", *arguments), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"Kafka cannot make its folder: {done.stdout}{done.stderr}"

    def _java(self, *arguments: str) -> list[str]:
        return [str(shutil.which("java")), *JAVA, "-cp", f"{self._jars}/*", *arguments]

    def _properties(self, node: Node) -> dict[str, str]:
        """What is in server.properties. Clients that come through LINK are sent on to the port LINKED (TcpLink)."""
        listeners = {name: port for name, port in node.ports.items() if name != "LINKED"}
        told = {name: port for name, port in listeners.items() if name != "CONTROLLER"}
        told["LINK"] = node.ports["LINKED"]
        voters = [f"{one.number}@127.0.0.1:{one.ports['CONTROLLER']}" for one in self.nodes]
        return {
            "process.roles": "broker,controller",
            "node.id": str(node.number),
            "controller.quorum.voters": ",".join(voters),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners.items()),
            "advertised.listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in told.items()),
            "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in PROTOCOLS.items()),
            "log.dirs": str(node.folder / "data"),
            **SETTINGS,
            **(ALONE if self.count == 1 else THREE),
            **(self._security() if self.certificates is not None else {}),
            **self.settings,
        }

    def _security(self) -> dict[str, str]:
        assert self.certificates is not None
        stores = {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.certificates.server),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.certificates.authority),
        }
        module = "org.apache.kafka.common.security"
        known = f'{module}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        users = {
            f"listener.name.{name}.{kind}.sasl.jaas.config": what
            for name in ("saslplain", "sasltls")
            for kind, what in {
                "plain": known,
                "scram-sha-256": f"{module}.scram.ScramLoginModule required;",
                "scram-sha-512": f"{module}.scram.ScramLoginModule required;",
            }.items()
        }
        mechanisms = {"sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"}
        return stores | users | mechanisms | {"listener.name.mtls.ssl.client.auth": "required"}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
