"""The status of the stack: for each program what supervisord says of it, and what its own /ready says."""

from __future__ import annotations

import http.client
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import Unavailable
from core.home import Home
from core.settings import Settings, reachable
from daemons.host.bounded_http import BROKEN, ask
from daemons.host.supervisor import ProgramState, Supervisor
from daemons.process.program_list import PROGRAMS, Program

ASK_LIMIT = 4.0  # seconds for one request; the check behind /ready may take 3


@dataclass(frozen=True)
class ProgramStatus:
    name: str
    state: str
    pid: int
    uptime: int
    ready: bool
    reason: str


@dataclass(frozen=True)
class StackStatus:
    running: bool
    ready: bool
    home: str
    urls: dict[str, str]
    programs: list[ProgramStatus]
    projections: list[dict[str, Any]]

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2)


def stack_status(settings: Settings) -> StackStatus:
    """Ask supervisord, then all daemons at the same time, each once."""
    home = Home(settings.home)
    try:
        states = {state.name: state for state in Supervisor(home).programs()}
    except Unavailable:
        states = {}
    with ThreadPoolExecutor(len(PROGRAMS) + 1) as pool:
        projections = pool.submit(_projections, settings) if states else None
        replies = [pool.submit(program_status, program, states.get(program.name), settings) for program in PROGRAMS]
        programs = [reply.result() for reply in replies]
    return StackStatus(
        running=bool(states),
        ready=all(program.ready for program in programs),
        home=str(home.path),
        urls=urls(settings),
        programs=programs,
        projections=projections.result() if projections else [],
    )


def urls(settings: Settings) -> dict[str, str]:
    """The addresses at which a person or a program on this machine reaches the stack's HTTP services."""
    services = {"commands": settings.command_port, "queries": settings.query_port, "payments": settings.payment_port}
    return {name: f"http://{reachable(settings.host)}:{port}" for name, port in services.items()}


def get_json(url: str, *, within: float = ASK_LIMIT) -> tuple[int, Any]:
    """Status and body of a GET; raises OSError, http.client.HTTPException or ValueError."""
    answer = ask(url, within=within)
    return answer.status, answer.json()


def program_status(
    program: Program, state: ProgramState | None, settings: Settings, *, within: float = ASK_LIMIT
) -> ProgramStatus:
    """How one program is; it is asked itself if it has a port, and gets so many seconds to answer."""
    if state is None:
        return ProgramStatus(program.name, "DOWN", 0, 0, ready=False, reason="supervisord does not run")
    done = state.state == "EXITED" and state.exit_code == 0
    ready, reason = state.state == "RUNNING" or done, state.description
    if state.state in {"STOPPED", "EXITED"}:  # supervisord's own description only says since when
        reason = f"{state.state.lower()} with exit code {state.exit_code}; `orderdeck up` starts it again"
    if program.name == "postgres" and ready and not done and settings.database_url is None:
        ready, reason = _accepts(Home(settings.home)), "does not accept connections yet"
    elif program.name == "postgres" and ready and not done:  # it ends when it has migrated
        ready, reason = False, "has not migrated the database of DATABASE_URL yet; its log says why"
    if program.port is not None and state.pid:
        ready, reason = _ask(f"http://{reachable(settings.host)}:{getattr(settings, program.port)}/ready", within)
    return ProgramStatus(program.name, state.state, state.pid, state.uptime, ready, "" if ready else reason)


def _ask(url: str, within: float) -> tuple[bool, str]:
    try:
        status, answer = get_json(url, within=within)
        return status == 200, str(answer.get("reason", ""))
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
        return False, f"does not answer ({error})"


def _accepts(home: Home) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(home.postgres_sockets / ".s.PGSQL.5432")) == 0


def _projections(settings: Settings) -> list[dict[str, Any]]:
    try:
        _, answer = get_json(urls(settings)["queries"] + "/api/v1/projections")
        return [{**p, "name": str(p["name"])} for p in answer["projections"] if int(p["lag"]["events"]) >= 0]
    except (OSError, http.client.HTTPException, *BROKEN):
        return []


def must_answer(url: str, option: str) -> None:
    """Raise Unavailable, with a sentence that names `option`, unless a service answers at this address."""
    try:
        get_json(url + "/health")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unavailable(f"nothing answers at {url} ({error}): `orderdeck up` first, or set {option}") from None


def as_table(status: StackStatus) -> str:
    lines = [f"{'PROGRAM':<16} {'STATE':<9} {'PID':>7} {'UPTIME':>9}  READY"]
    for program in status.programs:
        ready = "yes" if program.ready else f"no: {program.reason}"
        lines.append(
            f"{program.name:<16} {program.state:<9} {program.pid or '-':>7} {_duration(program.uptime):>9}  {ready}"
        )
    lines += [f"{p['name']} is {p['lag']['events']} events behind" for p in status.projections]
    return "\n".join(lines)


def _duration(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}" if seconds else "-"
