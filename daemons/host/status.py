"""The status of the stack: for each program what supervisord says of it, and what its own /ready says."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from core.credentials import Show
from core.errors import ConfigurationError, Unavailable
from core.home import Home
from core.printable import clean
from core.settings import Settings, reachable
from daemons.host.bounded_http import BROKEN, ask, shown
from daemons.host.supervisor import ProgramState, Supervisor
from daemons.host.supervisor_socket import SupervisorSilent
from daemons.process.listening import is_loopback
from daemons.process.program_list import PROGRAMS, ProgramProcess, counts_in, process_named, processes_of_program
from daemons.process.tls import read_tls

ASK_LIMIT = 4.0  # seconds for one request; the check behind /ready may take 3
HAS_TLS = struct.pack("!ii", 8, 80877103)
"""SSLRequest, https://www.postgresql.org/docs/18/protocol-message-formats.html"""
NOT_STARTED = "not started: run `orderdeck up`"


@dataclass(frozen=True)
class ProgramStatus:
    name: str
    state: str
    pid: int
    uptime: int
    ready: bool
    reason: str
    program: str = ""
    port: int | None = None
    holds: list[str] = field(default_factory=list[str])
    """What it does alone among the processes of all machines, as the query API knows it."""
    degraded: str = ""
    """What does not work at present although it is ready."""


@dataclass(frozen=True)
class StackStatus:
    running: bool
    ready: bool
    home: str
    urls: dict[str, str]
    programs: list[ProgramStatus]
    projections: list[dict[str, Any]]
    keys: str
    """Whether callers need keys, in words."""
    tls: str = ""
    """Whether what others send is safe on its way, in words."""
    elsewhere: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Processes of other machines or homes that hold something of the same database."""
    frozen_copy: dict[str, int] | None = None
    """Up to which `position` Kafka has the log, and how many `events` it lacks, if no relay copies them any more."""

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2)


def stack_status(settings: Settings) -> StackStatus:
    """Ask supervisord, then all daemons at the same time, each once."""
    home, why_absent = Home(settings.home), Unavailable(NOT_STARTED)
    try:
        states = {state.name: state for state in Supervisor(home).programs()}
    except Unavailable as error:
        states, why_absent = {}, error
    running = processes_in(states, settings)
    with ThreadPoolExecutor(len(running) + 2) as pool:
        projections = pool.submit(_projections, settings) if states else None
        holdings = pool.submit(_holdings, settings) if states else None
        replies = [
            pool.submit(program_status, each, states.get(each.name), settings, why_absent=why_absent)
            for each in running
        ]
        holds, elsewhere, frozen = holdings.result() if holdings else ({}, [], None)
        programs = [replace(reply.result(), holds=holds.get(reply.result().name, [])) for reply in replies]
    return StackStatus(
        running=bool(states) or isinstance(why_absent, SupervisorSilent),
        ready=all(program.ready for program in programs),
        home=str(home.path),
        urls=urls(settings),
        programs=programs,
        projections=projections.result() if projections else [],
        keys=keys_in_words(settings),
        tls=tls_in_words(settings),
        elsewhere=elsewhere,
        frozen_copy=frozen,
    )


def all_ready(settings: Settings, states: Sequence[ProgramState], ready: set[int]) -> bool:
    """Whether every program is ready. It asks until one is not, and adds the pids of those that are to `ready`."""
    by_name = {state.name: state for state in states}
    for process in processes_in(by_name, settings):
        state = by_name.get(process.name)
        if state is None or not state.pid or state.pid not in ready:
            if not program_status(process, state, settings).ready:
                return False
            if state is not None and state.pid:
                ready.add(state.pid)
    return True


def keys_in_words(settings: Settings) -> str:
    one_address = (
        "; all who call over gRPC count as one address, that of grpc-api, unless ORDERDECK_TRUSTED_PROXIES has it"
        if settings.grpc and not settings.trusted_proxies
        else ""
    )
    if settings.require_keys:
        return f"callers need a key (`orderdeck keys`){one_address}"
    who = "everybody who reaches the services" if settings.allow_anonymous else "everybody on this machine"
    return f"no keys are needed: {who} may do everything (ORDERDECK_REQUIRE_KEYS=true changes that){one_address}"


def tls_in_words(settings: Settings) -> str:
    """How the services are reached from other machines, and what is wrong with that."""
    try:
        tls = read_tls(settings)
    except ConfigurationError as error:
        return f"TLS: {error}"
    if tls is not None:
        return f"TLS: {tls.warning or f'the certificate is good until {tls.until:%Y-%m-%d}'}"
    if is_loopback(settings.host):
        return ""
    if settings.trusted_proxies:
        return f"TLS: that of the proxy {settings.trusted_proxies}"
    return "TLS: none, so whoever is on the way reads keys and answers (ORDERDECK_TLS_CERTIFICATE changes that)"


def processes_in(names: Collection[str], settings: Settings) -> list[ProgramProcess]:
    """Which processes there are: those that supervisord names, or without it those that the settings would have.

    A program of which supervisord names no process is not left out: it is down.
    """
    named, counts = [each for name in names if (each := process_named(name)) is not None], counts_in(settings)
    found: list[ProgramProcess] = []
    for program in PROGRAMS:
        of_it = [process for process in named if process.program == program]
        found += sorted(of_it, key=_number) or processes_of_program(program, counts.get(program.name, 1))
    return found


def _number(process: ProgramProcess) -> int:
    return process.number or 0


def urls(settings: Settings) -> dict[str, str]:
    """The addresses at which a program on this machine reaches our services, and the provider that is called.

    That of gRPC has no scheme, as its clients take it, and is there if gRPC is served.
    """
    services = {"commands": settings.command_port, "queries": settings.query_port}
    local = {name: f"http://{reachable(settings.host)}:{port}" for name, port in services.items()}
    grpc = {"grpc": f"{reachable(settings.host)}:{settings.grpc_port}"} if settings.grpc else {}
    return {**local, "payments": settings.payments_at, **grpc}


def get_json(url: str, *, within: float = ASK_LIMIT, show: Show | None = None) -> tuple[int, Any]:
    """Status and body of a GET; raises OSError, http.client.HTTPException or ValueError."""
    answer = ask(url, within=within, headers=shown(show(url)) if show else None)
    return answer.status, answer.json()


def program_status(
    process: ProgramProcess,
    state: ProgramState | None,
    settings: Settings,
    *,
    within: float = ASK_LIMIT,
    why_absent: Unavailable | None = None,
) -> ProgramStatus:
    """How one process is; it is asked itself if it has a port, and gets so many seconds to answer.

    `why_absent` is the reason if supervisord said nothing at all, so that `state` is None.
    """
    program, port = process.program, process.port(settings)
    if state is None:
        is_ = "UNKNOWN" if isinstance(why_absent, SupervisorSilent) else "DOWN"
        said = str(why_absent or NOT_STARTED)
        return ProgramStatus(process.name, is_, 0, 0, ready=False, reason=said, program=program.name, port=port)
    done = state.state == "EXITED" and state.exit_code == 0
    ready, reason = state.state == "RUNNING" or done, state.description
    if state.state in {"STOPPED", "EXITED"}:  # supervisord's own description only says since when
        reason = f"{state.state.lower()} with exit code {state.exit_code}; `orderdeck up` starts it again"
    if program.name == "postgres" and ready and not done and settings.database_url is None:
        ready = not (reason := _why_silent(Home(settings.home), within))
    elif program.name == "postgres" and ready and not done:  # it ends when it has migrated
        ready, reason = False, "has not migrated the database of DATABASE_URL yet; its log says why"
    degraded = ""
    if port is not None and state.pid:
        ready, reason, degraded = _ask(f"http://{reachable(settings.host)}:{port}/ready", within, settings.shows_home)
    said = "" if ready else reason
    return ProgramStatus(
        process.name, state.state, state.pid, state.uptime, ready, said,
        program=program.name, port=port, degraded=degraded,
    )  # fmt: skip


def _ask(url: str, within: float, show: Show) -> tuple[bool, str, str]:
    try:
        status, answer = get_json(url, within=within, show=show)
        if status == 401:
            return False, "needs a key, and the key of this home is not for us to read", ""
        return status == 200, str(answer.get("reason", "")), clean(str(answer.get("degraded", "")))
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
        return False, f"does not answer ({error})", ""


def _why_silent(home: Home, within: float) -> str:
    """Why the embedded PostgreSQL does not answer; empty when it does.

    The kernel takes connections for a server that is frozen, so it is asked something: whether it has TLS, which it
    answers with one byte and without a session.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(within / 2)  # once for the connection, and once for the answer
        try:
            probe.connect(str(home.postgres_sockets / ".s.PGSQL.5432"))
            probe.sendall(HAS_TLS)
            return "" if probe.recv(1) else "closes connections without an answer"
        except TimeoutError:
            return f"has not answered within {within / 2:g} s"
        except OSError:
            return "does not accept connections yet"


def _projections(settings: Settings) -> list[dict[str, Any]]:
    try:
        _, answer = get_json(urls(settings)["queries"] + "/api/v1/projections", show=settings.shows_home)
        return [{**p, "name": str(p["name"])} for p in answer["projections"] if int(p["lag"]["events"]) >= 0]
    except (OSError, http.client.HTTPException, *BROKEN):
        return []


def _holdings(settings: Settings) -> tuple[dict[str, list[str]], list[dict[str, Any]], dict[str, int] | None]:
    """What each process holds, by its name, what processes elsewhere hold, and where Kafka's copy of the log is frozen.

    Nothing when the query API is away.
    """
    try:
        _, answer = get_json(urls(settings)["queries"] + "/api/v1/daemons", show=settings.shows_home)
        holds = {str(row["name"]): _what(row) for row in answer["daemons"]}
        elsewhere = [
            {"host": clean(str(row["host"]), 60), "pid": int(row["pid"] or 0), "holds": _what(row)}
            for row in answer["elsewhere"]
        ]
        copy = answer.get("frozen_copy")
        frozen = {"position": int(copy["position"]), "events": int(copy["events"])} if copy else None
    except (OSError, http.client.HTTPException, *BROKEN):
        return {}, [], None
    return holds, elsewhere, frozen


def _what(row: Any) -> list[str]:
    """What a process holds, in words."""
    sagas = int(row["sagas"])
    return [clean(str(each["what"]), 60) for each in row["holds"]] + ([f"{sagas} sagas"] if sagas else [])


def must_answer(url: str, option: str) -> None:
    """Raise Unavailable, with a sentence that names `option`, unless a service answers at this address."""
    try:
        get_json(url + "/health")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unavailable(f"nothing answers at {url} ({error}): `orderdeck up` first, or set {option}") from None


def as_table(status: StackStatus) -> str:
    lines = [f"{'PROGRAM':<16} {'STATE':<9} {'PID':>7} {'UPTIME':>9} {'PORT':>6}  READY"]
    for program in status.programs:
        but = f", but {program.degraded}" if program.degraded else ""
        ready = f"yes{but}" if program.ready else f"no: {program.reason}"
        holds = f"  holds {', '.join(program.holds)}" if program.holds else ""
        lines.append(
            f"{program.name:<16} {program.state:<9} {program.pid or '-':>7} {_duration(program.uptime):>9} "
            f"{program.port or '-':>6}  {ready}{holds}"
        )
    lines += [status.keys, *([status.tls] if status.tls else [])]
    lines += [f"{p['name']} is {p['lag']['events']} events behind" for p in status.projections]
    lines += [f"{each['host']}, pid {each['pid']}, holds {', '.join(each['holds'])}" for each in status.elsewhere]
    if (copy := status.frozen_copy) is not None:
        lines.append(
            f"Kafka's copy of the log is frozen at position {copy['position']}, {copy['events']} events behind, since"
            " KAFKA_BROKERS is not set"
        )
    return "\n".join(lines)


def _duration(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}" if seconds else "-"
