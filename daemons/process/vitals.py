"""Answers /health, /ready and /metrics in the same way for every daemon, also while the daemon cannot work yet."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import time
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

import structlog
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from core.errors import ConfigurationError, OrderdeckError, Unavailable, in_words
from core.fault_board import FaultBoard
from core.home_key import HomeKey
from core.tracing import Tracer
from daemons.process.guard.callers import Door, check_caller
from daemons.process.guard.refusals import Refusal
from daemons.process.http_metrics import measured
from daemons.process.tls import Tls
from daemons.process.traced_requests import followed
from daemons.process.vital_metrics import DEGRADED, INFO, READY

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]
Check = Callable[[], Awaitable[str | None]]

WORK = "the work of this program"  # its name on the FaultBoard
Thresholds = tuple[int, int, int]
"""As `gc.set_threshold` takes them."""
OFTEN: Thresholds = 100_000, 20, 20
# For folds, which make many objects and no cycles of them. To look for cycles as often as Python does by itself takes
# two fifths of the time of a rebuild.
SELDOM: Thresholds = 200_000, 50, 1_000
STEADY = 3.0  # seconds for which work that had failed must go on until its fault counts as mended
TURN_LIMIT = 5.0  # seconds; an event loop that has not turned for longer is not healthy
CHECK_LIMIT = 1.5  # seconds; it must be less than others wait for the answer of /ready, which is 2 s
FAULTS = "orderdeck.faults"  # the key in a request's scope that holds the daemon's FaultBoard
FAILED = "orderdeck.failed"  # the key in a request's scope that is set when an exception ended the request


_log = structlog.get_logger()


class Vitals:
    """What a daemon knows about itself: whether it should stop, and why it is not ready.

    It is ready when `started(check)` was called, no fault is on its board `faults`, and `check()` answers None. A
    `check()` that answers a text says with it why the daemon is not ready. Each of `degraded` says in sentences what
    it has to do without meanwhile; it is ready all the same.
    """

    def __init__(self, name: str, number: int | None = None) -> None:
        self.name = name
        self.number = number
        """Which of several processes of the program of this name it is; None when it is the only one."""
        self._began = time.monotonic()
        self._version = version("orderdeck")
        self.stop = asyncio.Event()
        self.last_turn = time.monotonic()
        self.faults = FaultBoard()
        self.degraded: list[Callable[[], str | None]] = []
        """Each says what does not work at present although the daemon is ready, or None."""
        self.home_key: HomeKey | None = None
        """With it this daemon shows the others of its home who asks; None where no keys are needed."""
        self.tls: Tls | None = None
        """The certificate with which this daemon answers other machines; None where it speaks no TLS."""
        self.recorder: Tracer | None = None
        """Records the spans of this process; None where the settings do not say where traces go."""
        self.door: Door | None = None
        """Knows the callers by their keys; None where no keys are needed."""
        self._steady: asyncio.TimerHandle | None = None
        self.has_worked = False
        self._reason: str | None = "starting"
        self._check: Check = _nothing_wrong

    def started(self, check: Check | None = None, *, collect: Thresholds = OFTEN) -> None:
        """Note that the work has begun. `collect`: when the garbage collector looks for cycles from now on."""
        self.has_worked = True
        self._reason, self._check = None, check or _nothing_wrong
        settle_down(collect)
        if WORK in self.faults:  # the fault is not cleared yet: the work may meet it again at the same event
            self._steady = asyncio.get_running_loop().call_later(STEADY, self.faults.clear, WORK)
        else:
            _log.info("ready")

    def waits(self, reason: str) -> None:
        """Note that the work cannot go on at present, for this reason, and that it is tried again by itself."""
        if self._steady is not None:
            self._steady.cancel()
        self._reason = reason

    @contextmanager
    def beside(self, part: str) -> Generator[None]:
        """Do something beside the work, under this name on the board: its fault stands there until it succeeds.

        Nothing is raised. An outage is told by every other part of the daemon, and so is a wrong setting.
        """
        try:
            yield
        except (Unavailable, ConfigurationError, OSError):
            pass
        except OrderdeckError as error:
            if self.has_worked:
                self.faults.report(part, error)
        else:
            self.faults.clear(part)

    def failed(self, error: Exception) -> None:
        """Put a fault that the work met on the board: /ready names it until a later try goes on for STEADY seconds."""
        self.waits(in_words(error))
        self.faults.report(WORK, error)

    def shown_at(self, port: int | None) -> list[tuple[bytes, bytes]]:
        """The header with which this daemon shows the daemon at this port of its home who asks; none without keys."""
        if self.home_key is None or port is None:
            return []
        return [(b"Authorization", b"Bearer %b" % self.home_key.token(port).encode())]

    @property
    def process(self) -> str:
        """The name of this process: that of its program, with its number if it is one of several."""
        return self.name if self.number is None else f"{self.name}-{self.number}"

    @property
    def working(self) -> bool:
        return self._reason is None

    async def why_not_ready(self) -> str | None:
        if self.stop.is_set():
            return "stopping"
        if self._reason is not None:
            return self._reason
        if (fault := self.faults.reason) is not None:
            return fault
        try:
            async with asyncio.timeout(CHECK_LIMIT):
                return await self._check()
        except TimeoutError:
            return f"its dependencies did not answer within {CHECK_LIMIT:g} s"
        except Exception as error:  # noqa: BLE001 - any error of a check is a reason not to be ready
            return in_words(error)

    def health(self) -> tuple[int, dict[str, Any]]:
        turning = time.monotonic() - self.last_turn < TURN_LIMIT
        status = "healthy" if turning else f"the event loop has not turned for {TURN_LIMIT:.0f} s"
        return 200 if turning else 503, self._signed({"status": status})

    async def ready(self) -> tuple[int, dict[str, Any]]:
        if (reason := await self.why_not_ready()) is not None:
            return 503, self._unready(reason)
        degraded = "; ".join(self._without())
        return 200, self._signed({"status": "ready"}) | ({"degraded": degraded} if degraded else {})

    async def bare_ready(self) -> tuple[int, dict[str, Any]]:
        """Whether it is ready, and nothing else: for probes, which show no key."""
        ready = await self.why_not_ready() is None
        return (200, {"status": "ready"}) if ready else (503, {"status": "not ready"})

    def _without(self) -> list[str]:
        return [told for say in self.degraded if (told := say())]

    async def show(self) -> None:
        """Bring up to date what /metrics says about the daemon itself."""
        INFO.labels(service_of(self.name), self._version).set(1)
        READY.set(await self.why_not_ready() is None)
        DEGRADED.set(len(self._without()))

    def _signed(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The answer with which program this is; `uptime` are the seconds since its start."""
        uptime = round(time.monotonic() - self._began, 1)
        which = {} if self.number is None else {"process": self.process}
        return answer | {
            "service": service_of(self.name), "version": self._version, "pid": os.getpid(), "uptime": uptime
        } | which  # fmt: skip

    def _unready(self, reason: str) -> dict[str, Any]:
        return self._signed({"status": "not ready"}) | {"reason": reason}


def service_of(name: str) -> str:
    """The name under which the program of this name answers /health and /ready."""
    return name.removesuffix("-api") + "-service" if name.endswith("-api") else name


class Front:
    """The ASGI application of every daemon: answers for the vitals, and passes other requests to `app`, if any."""

    def __init__(self, vitals: Vitals) -> None:
        self.vitals = vitals
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        match scope["method"], scope["path"]:
            case _, "/ready" | "/metrics" as path if (refusal := _refusal(scope, path)) is not None:
                await refusal.answer(send)
            case "GET" | "HEAD", "/health" if scope["query_string"] == b"ready":
                await _answer_json(send, *await self.vitals.bare_ready())
            case "GET" | "HEAD", "/health":
                await _answer_json(send, *self.vitals.health())
            case "GET" | "HEAD", "/ready":
                await _answer_json(send, *await self.vitals.ready())
            case "GET" | "HEAD", "/metrics":
                await self.vitals.show()
                encode, kind = choose_encoder(_accepted(scope))
                await _answer(send, 200, kind, encode(REGISTRY))
            case "OPTIONS", "/health" | "/ready" | "/metrics":
                await send(
                    {"type": "http.response.start", "status": 204, "headers": [(b"allow", b"GET, HEAD, OPTIONS")]}
                )
                await send({"type": "http.response.body", "body": b""})
            case method, "/health" | "/ready" | "/metrics":
                detail = f"{method} is not allowed here, only GET, HEAD, OPTIONS"
                await Refusal(405, "method_not_allowed", detail, {"Allow": "GET, HEAD, OPTIONS"}).answer(send)
            case _ if self.app is not None:
                scope[FAULTS] = self.vitals.faults
                await followed(partial(measured, self.app), scope, receive, send, self.vitals.recorder)
                if self.vitals.faults.reason is not None and FAILED not in scope:
                    self.vitals.faults.clear(route_of(scope))
            case _ if self.vitals.faults.reason is not None:
                await Refusal(500, "internal_error", "something is wrong on our side; it is in the log").answer(send)
            case _ if (reason := await self.vitals.why_not_ready()) is not None:
                await Refusal(503, "unavailable", reason, {"Retry-After": "1"}).answer(send)
            case _:
                await Refusal(404, "not_found", "there is nothing here").answer(send)


def _accepted(scope: Any) -> str:
    """What the caller accepts: only those who ask for OpenMetrics get exemplars."""
    return b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1")


def _refusal(scope: Any, path: str) -> Refusal | None:
    """Why the caller may not ask for this path, if so."""
    try:
        check_caller(scope, "GET", path)
    except Refusal as refusal:
        return refusal
    return None


def route_of(scope: Any) -> str:
    """The route that answers a request, such as `GET /api/v1/orders/{order_id}`."""
    return f"{scope['method']} {scope.get('path_template') or scope['path']}"


def settle_down(collect: Thresholds) -> None:
    """Keep the garbage collector from looking at what lives as long as the process: modules, handlers, views.

    In a busy daemon that took more than a quarter of its time, in pauses of 30 ms. Reference cycles that are made from
    now on are still collected.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*collect)


async def _nothing_wrong() -> str | None:
    return None


async def _answer_json(send: Send, status: int, body: dict[str, Any]) -> None:
    await _answer(send, status, "application/json", json.dumps(body).encode())


async def _answer(send: Send, status: int, kind: str, body: bytes) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
