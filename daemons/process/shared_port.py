"""The port on which all processes of one program answer together: one socket, which each gets from one before it.

They accept from one queue, so that nobody waits for a process that is frozen or not ready: another one takes the
connection. The system lets nobody else listen on the port, and the socket is handed over in a folder that only
processes of this home may enter, so that two homes never share a port by accident.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import threading
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from core.errors import ConfigurationError
from core.home import Home
from core.settings import Settings
from daemons.process.guard.server import Server
from daemons.process.listening import bind
from daemons.process.process_counts import places_of_others
from daemons.process.program_list import ProgramProcess
from daemons.process.vitals import Vitals

HAND_OVER_LIMIT = 1.0  # seconds in which a process has to hand the socket over; one that is frozen does not
ASK_LIMIT = 1.0  # seconds in which another process has to say whether it is ready
LOOK_EVERY = 1.0  # seconds between looks whether this process should accept connections
STARTING_LOOK_EVERY = 0.1  # the same until it has worked
LOCK_LIMIT = 20.0  # seconds
READY = b"200"


class SharedPort:
    """The socket of this process, and the door through which it hands the socket to processes that start later."""

    def __init__(
        self, listener: socket.socket, door: socket.socket, path: Path, others: Callable[[], Sequence[tuple[str, int]]]
    ) -> None:
        self._listener = listener
        self._door = door
        self._path = path
        self._others = others
        threading.Thread(target=self._hand_over, name="shared port", daemon=True).start()

    async def accept(self, server: Server, vitals: Vitals) -> None:
        """Accept connections until `vitals.stop` while this process is ready, and while none of the others is.

        When none is ready, callers are told why by whoever takes their connection.
        """
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        acceptor = server.share(self._listener)
        while not vitals.stop.is_set():
            if await vitals.why_not_ready() is None or not await _any_ready(self._others()):
                acceptor.start()
            else:
                acceptor.stop()
            pause = LOOK_EVERY if vitals.has_worked else STARTING_LOOK_EVERY
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(vitals.stop.wait(), pause)
        acceptor.stop()
        self._close()

    def _close(self) -> None:
        """Hand the socket to nobody any more, and leave the port to the other processes."""
        with contextlib.suppress(OSError):  # drop_root has made the folder read-only for us; the next one cleans up
            self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)  # the thread waits in accept(), which only this ends
        self._door.close()
        self._listener.close()

    def _hand_over(self) -> None:
        while True:
            try:
                other, _ = self._door.accept()
            except OSError:
                return
            with other, contextlib.suppress(OSError):
                other.settimeout(HAND_OVER_LIMIT)
                socket.send_fds(other, [b"\0"], [self._listener.fileno()])


def open_shared_port(settings: Settings, process: ProgramProcess) -> SharedPort:
    """Get the socket from a process of the same program, or bind the port when there is none.

    Raises ConfigurationError when another program has the port.
    """
    home, program = Home(settings.home), process.program
    home.create()
    field = program.port or ""
    door = _door_of(home, process)
    with _locked(home.run / f"{program.name}.lock"):
        listener, silent = None, list[str]()
        for path in sorted(home.run.glob(f"{program.name}*.port")):
            if path != door and listener is None:
                listener = _get(path, silent)
        if listener is None:
            try:
                listener = bind(settings, field, getattr(settings, field))
            except ConfigurationError as error:
                if silent:
                    raise ConfigurationError(f"{', '.join(silent)} has the port and does not answer: {error}") from None
                raise
        door.unlink(missing_ok=True)
        giver = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        giver.bind(str(door))
        giver.listen(16)

    return SharedPort(listener, giver, door, lambda: places_of_others(settings, program.name, process.number or 0))


@contextlib.contextmanager
def _locked(path: Path) -> Generator[None]:
    """One process at a time looks for the socket, so that two that start together do not both bind the port."""
    with path.open("w", encoding="utf-8") as lock:
        deadline = time.monotonic() + LOCK_LIMIT
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ConfigurationError(f"another process has held {path} for {LOCK_LIMIT:.0f} s") from None
                time.sleep(0.02)
        yield


def _door_of(home: Home, process: ProgramProcess) -> Path:
    return home.run / f"{process.name}.port"


def _get(path: Path, silent: list[str]) -> socket.socket | None:
    """The socket, as the process behind this door hands it over; a door that nobody is behind is removed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(HAND_OVER_LIMIT)
        try:
            asking.connect(str(path))
            _, descriptors, _, _ = socket.recv_fds(asking, 1, 1)
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return None
        except OSError:
            silent.append(path.stem)
            return None
    return socket.socket(fileno=descriptors[0]) if descriptors else None


async def _any_ready(places: Sequence[tuple[str, int]]) -> bool:
    return any(await asyncio.gather(*[_is_ready(host, port) for host, port in places]))


async def _is_ready(host: str, port: int) -> bool:
    """Whether the process at this port says that it is ready. Without an HTTP client, which daemons do not need."""
    with contextlib.suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
        async with asyncio.timeout(ASK_LIMIT):
            reader, writer = await asyncio.open_connection(host.strip("[]"), port)
            try:
                writer.write(f"GET /ready HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                return (await reader.readuntil(b"\r\n")).split(b" ")[1:2] == [READY]
            finally:
                writer.close()
    return False
