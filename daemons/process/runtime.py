"""Runs a daemon: reads its settings, opens its port, does its work again after every error, and stops it on a signal.

A daemon never exits because something it needs is away: its work starts again within the same process, and /ready says
why it is not ready. Exit codes: 0 somebody stopped it, 70 the event loop hung, 78 a setting or a port is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import structlog
import uvloop
from prometheus_client import disable_created_metrics

from core import tracing
from core.errors import (
    ConfigurationError,
)
from core.home import Home
from core.home_key import make_home_key
from core.pace import together
from core.printable import clean_lines
from core.processes import die_with_parent
from core.settings import Settings, load_settings
from daemons.process import exits
from daemons.process.audit_recorder import AuditRecorder
from daemons.process.auditing import keep_audit
from daemons.process.drop_root import drop_root
from daemons.process.guard.bounds import Limits
from daemons.process.guard.server import DRAIN, make_server
from daemons.process.key_ring import know_keys, open_ring
from daemons.process.listening import bind
from daemons.process.logs import configure_logs
from daemons.process.process_counts import this_process
from daemons.process.program_list import APART
from daemons.process.shared_limits import open_limiter, share_limits
from daemons.process.shared_port import SharedPort, open_shared_port
from daemons.process.tls import read_tls
from daemons.process.vital_metrics import LOOP_DELAY
from daemons.process.vitals import ASGIApp, Front, Vitals
from daemons.process.work_again import keep_up

CLOSE = 5  # seconds after that in which the work may release what it holds
HANG_LIMIT = 30  # seconds
BEAT = 2.0  # seconds between two looks whether the event loop turns
LIMITS = Limits()

OpenApp = Callable[[Settings, Vitals], AbstractAsyncContextManager[ASGIApp]]
Work = Callable[[Settings, Vitals], Awaitable[None]]
Serve = Callable[[Settings, Front, asyncio.Event], Awaitable[None]]

_log = structlog.get_logger()


def run_service(name: str, port: str, open_app: OpenApp, *, has_database: bool = True) -> None:
    """Serve the ASGI application that `open_app` yields; `port` is the name of the setting that holds its port.

    The port is open at once. Until `open_app` has called `vitals.started(check)` and yielded, `/ready` says why the
    daemon is not ready, and every other request is answered 503. A response that never ends by itself, such as a live
    stream, has to end when `vitals.stop` is set.
    """

    async def serve(settings: Settings, front: Front, drained: asyncio.Event) -> None:
        try:
            async with open_app(settings, front.vitals) as front.app:
                await drained.wait()
        finally:
            front.app = None

    _run(name, port, serve, has_database=has_database)


def run_reader(name: str, port: str, work: Work, before: Callable[[Settings], None] = lambda _: None) -> None:
    """Run `work` until `vitals.stop` is set, and again from its start whenever it raises.

    `port` is the name of the setting that holds the port for /health, /ready and /metrics. `before` is called once, as
    the user that the daemon runs as, before there are threads or connections.
    """

    async def read(settings: Settings, front: Front, _drained: asyncio.Event) -> None:
        await work(settings, front.vitals)

    _run(name, port, read, before)


def _run(
    name: str,
    port: str,
    body: Serve,
    before: Callable[[Settings], None] = lambda _: None,
    *,
    has_database: bool = True,
) -> None:
    faulthandler.enable()
    os.umask(0o077)
    disable_created_metrics()  # else every counter has a second series, which nobody reads
    if "SUPERVISOR_ENABLED" in os.environ:
        die_with_parent()
    try:
        settings = load_settings()
        process = this_process(name, settings)
        configure_logs(process.name, settings.log_level)
        listener = bind(settings, port, getattr(settings, port) + APART * (process.number or 0))
        shared = open_shared_port(settings, process) if process.number and process.program.one_port else None
        tls = read_tls(settings)
        home_key = make_home_key(settings.home) if settings.require_keys else None
        drop_root(Home(settings.home))
        before(settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            vitals = Vitals(process.program.name, process.number)
            vitals.home_key, vitals.tls = home_key, tls
            runner.run(_live(settings, vitals, listener, shared, body, has_database=has_database))
    except ConfigurationError as error:
        sys.stderr.write(clean_lines(f"{name}: {error}") + "\n")
        sys.exit(exits.CONFIGURATION)


async def _live(
    settings: Settings,
    vitals: Vitals,
    listener: socket.socket,
    shared: SharedPort | None,
    body: Serve,
    *,
    has_database: bool,
) -> None:
    front, drained = Front(vitals), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, vitals.stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # `orderdeck daemon` has blocked it until now
    vitals.recorder = recorder = _recorder(settings, vitals)
    tracing.use(recorder)
    vitals.door = ring = open_ring(settings, vitals.home_key, has_database=has_database)
    limiter = open_limiter(settings, has_database=has_database)
    recorder = AuditRecorder() if has_database else None
    tls = vitals.tls
    server = make_server(
        front, settings, LIMITS, ring, limiter, recorder if settings.audit else None, tls.context if tls else None
    )
    if tls and tls.warning:
        _log.warning("tls", reason=tls.warning)
    aside = [asyncio.create_task(_beat(vitals))]
    if ring and has_database:
        aside.append(asyncio.create_task(know_keys(ring, settings, vitals)))
    if limiter:
        aside.append(asyncio.create_task(share_limits(limiter, settings, vitals)))
    auditing = asyncio.create_task(keep_audit(recorder, settings, vitals)) if recorder else None
    threading.Thread(target=_watchdog, args=(vitals,), daemon=True).start()
    working = asyncio.create_task(
        keep_up(
            lambda: body(settings, front, drained),
            vitals.stop,
            waits=vitals.waits,
            failed=vitals.failed,
            started=lambda: vitals.has_worked,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(vitals.stop.wait())
    sharing = asyncio.create_task(shared.accept(server, vitals)) if shared else None
    _log.info("started", port=listener.getsockname()[1], pid=os.getpid())
    await asyncio.wait({working, serving, stopping}, return_when=asyncio.FIRST_COMPLETED)

    vitals.stop.set()
    deadline = time.monotonic() + DRAIN + CLOSE
    if not vitals.working:
        working.cancel()  # it only waits to start, so it has nothing to finish
    server.end()
    if sharing is not None:
        await sharing
    await asyncio.wait({serving})
    drained.set()
    await asyncio.wait({working}, timeout=deadline - time.monotonic())
    working.cancel()
    for task in aside:
        task.cancel()
    if auditing is not None:
        auditing.cancel()
        await asyncio.wait({auditing})
    _log.info("stopped")
    with contextlib.suppress(asyncio.CancelledError):
        await working
    await serving
    if vitals.recorder is not None:
        vitals.recorder.close()


def _recorder(settings: Settings, vitals: Vitals) -> tracing.Tracer | None:
    if not settings.traces_to:
        return None
    from daemons.process.trace_export import SpanRecorder  # noqa: PLC0415 - most homes send traces nowhere

    try:
        return SpanRecorder(settings, vitals.name, vitals.process)
    except ValueError as error:  # the library reads more of the variables whose names begin with OTEL_
        raise ConfigurationError(f"traces cannot be sent to {settings.traces_to}: {error}") from None


async def _beat(vitals: Vitals) -> None:
    while True:
        vitals.last_turn, pause = time.monotonic(), together(BEAT)
        await asyncio.sleep(pause)
        LOOP_DELAY.observe(max(0.0, time.monotonic() - vitals.last_turn - pause))


def _watchdog(vitals: Vitals) -> None:
    """End a process whose event loop hangs.

    It counts its own waits of 5 s and does not read a clock, so a process that was frozen for long and goes on lives.
    """
    last_turn, hung = vitals.last_turn, 0
    while hung < HANG_LIMIT:
        time.sleep(5)
        hung = hung + 5 if vitals.last_turn == last_turn else 0
        last_turn = vitals.last_turn
    sys.stderr.write(f"{vitals.name}: the event loop has not turned for {HANG_LIMIT} s\n")
    faulthandler.dump_traceback(all_threads=True)
    os._exit(exits.WATCHDOG)
