"""The two HTTP services and the gRPC API before them, as real processes over one database, with keys."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import grpc
import httpx
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from core.settings import Settings, env_names
from daemons.grpc_api.grpc_statuses import CODES
from daemons.grpc_api.routes import ROUTES
from tests.support.daemon_process import DaemonProcess
from tests.support.forked_command import run_forked
from tests.support.logins import of_daemons
from tests.support.ports import free_port
from tests.support.raw_http import request, send
from tests.support.sandbox_process import SandboxProcess
from tests.support.stack import ROOT, until

METHODS = {route.method: route for route in ROUTES.values()}


class GrpcDesk:
    """`http` asks an HTTP service, `call` the gRPC API; `refused` says how a call failed."""

    def __init__(self, dsn: str, home: Path, **settings: str) -> None:
        self.port = free_port()
        settings |= {"ORDERDECK_REQUIRE_KEYS": "true"}
        self.commands, self.queries = (
            DaemonProcess(name, dsn, home, settings) for name in ("command_api", "query_api")
        )
        ours = settings | {
            "ORDERDECK_GRPC": "true",
            "ORDERDECK_GRPC_PORT": str(self.port),
            "ORDERDECK_COMMAND_PORT": str(self.commands.port),
            "ORDERDECK_QUERY_PORT": str(self.queries.port),
        }
        health = free_port()
        self.grpc = DaemonProcess("grpc_api", dsn, home, ours | {"ORDERDECK_GRPC_API_PORT": str(health)}, health)
        known = {name for field in Settings.model_fields for name in env_names(field)}
        self.env = {name: value for name, value in os.environ.items() if name not in known}
        self.env |= {"ORDERDECK_HOME": str(home), "DATABASE_URL": of_daemons(dsn)}
        self.key = ""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._kill()
            raise
        return self

    def _start(self) -> None:
        for daemon in (self.commands, self.queries, self.grpc):
            daemon.start()
        for daemon in (self.commands, self.queries, self.grpc):
            until(lambda at=daemon: is_ready(at), seconds=30)
        self.key = self.make_key("program", "operator", "--speaks-for-others")
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        self._kill()

    def _kill(self) -> None:
        for daemon in (self.grpc, self.queries, self.commands):
            daemon.kill()

    @contextmanager
    def sagas(self) -> Iterator[None]:
        """A saga runner and a payment sandbox, so that orders are confirmed."""
        with SandboxProcess(self.grpc.home) as sandbox:
            runner = DaemonProcess("saga_runner", self.grpc.dsn, self.grpc.home, {"ORDERDECK_PAYMENT_URL": sandbox.url})
            runner.start()
            try:
                yield
            finally:
                runner.kill()

    def make_key(self, caller: str, role: str, *more: str) -> str:
        done: subprocess.CompletedProcess[str] = run_forked(
            ("keys", "create", caller, "--role", role, *more), self.env, ROOT, limit=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def http(self, verb: str, path: str, key: str | None = None, **more: Any) -> httpx.Response:
        port = self.queries.port if verb == "GET" else self.commands.port
        shown = {"Authorization": f"Bearer {key or self.key}"} | more.pop("headers", {})
        return httpx.request(verb, f"http://127.0.0.1:{port}{path}", headers=shown, trust_env=False, timeout=20, **more)

    def metrics(self) -> bytes:
        return send(self.grpc.port, request("GET", "/metrics", f"Authorization: Bearer {self.key}")).rest

    def metadata(self, key: str | None = None, **more: str) -> list[tuple[str, str]]:
        names = {name.replace("_", "-"): value for name, value in more.items()}
        return [("authorization", f"Bearer {self.key if key is None else key}"), *names.items()]

    def send(
        self,
        method: str,
        sent: bytes,
        *,
        metadata: list[tuple[str, str]] | None = None,
        timeout: float = 20,
        wait_for_ready: bool = False,
    ) -> Any:
        """Call a method with these bytes. Raises grpc.RpcError."""
        route = METHODS[method]
        call = self.channel.unary_unary(route.full_name, None, GetMessageClass(route.answer).FromString)
        return call(sent, metadata=tuple(metadata or self.metadata()), timeout=timeout, wait_for_ready=wait_for_ready)

    def call(self, method: str, message: Mapping[str, Any], **more: Any) -> Any:
        return self.send(method, GetMessageClass(METHODS[method].request)(**message).SerializeToString(), **more)

    def follow(self, **message: Any) -> Any:
        route = METHODS["Follow"]
        call = self.channel.unary_stream(route.full_name, None, GetMessageClass(route.answer).FromString)
        sent = GetMessageClass(route.request)(**message).SerializeToString()
        return call(sent, metadata=tuple(self.metadata()), timeout=60)


def refused(error: Any) -> tuple[str, str, tuple[str, ...]]:
    """The status, the code of the problem, and the names of the wrong fields."""
    status = rpc_status.from_call(error)
    assert status is not None, error
    return error.code().name, of_details(status, ErrorInfo).metadata["code"], fields_of(status)


def fields_of(status: Status) -> tuple[str, ...]:
    wrong = of_details(status, BadRequest)
    return tuple(each.field for each in wrong.field_violations) if wrong else ()


def of_details(status: Status, kind: Any) -> Any:
    for each in status.details:
        if each.Is(kind.DESCRIPTOR):
            found = kind()
            each.Unpack(found)
            return found
    return None


def as_refused(answer: httpx.Response) -> tuple[str, str, tuple[str, ...]]:
    """What `refused` says of a call that is refused as this answer is."""
    problem = answer.json()
    fields = tuple(each["field"] for each in problem["errors"])
    of_400 = "INVALID_ARGUMENT" if fields else "FAILED_PRECONDITION"
    status = CODES.get(answer.status_code)
    return of_400 if status is None else status.name, problem["code"], fields


def is_ready(daemon: DaemonProcess) -> bool:
    assert daemon.process is not None
    assert daemon.process.poll() is None, daemon.output()
    try:
        return send(daemon.port, request(target="/health?ready")).status == 200
    except OSError:
        return False
