"""Opens the port that a daemon listens on; one sentence says why when it is taken or open to other machines."""

from __future__ import annotations

import errno
import ipaddress
import socket
import time
from collections.abc import Mapping

import psutil

from core.errors import ConfigurationError
from core.settings import Settings, env_names

# What the system keeps for each connection, which is inherited from the listener. Without these it keeps megabytes for
# a caller who reads slowly, and hands us 256 KB at once of one who sends as fast as he can.
RECEIVED = 32 * 1024  # bytes
SENT = 256 * 1024  # bytes

LEAVES_WITHIN = 2.0  # seconds until a port is free that no process holds


class PortTaken(ConfigurationError):
    """Another program listens on this port; `taken` says so, and the whole text which setting to change."""

    def __init__(self, port: int, setting: str) -> None:
        owner = _owner_of(port)
        self.has_owner = bool(owner)
        self.taken = f"port {port} is taken{owner}"
        super().__init__(f"{self.taken}: set {setting} to another")


def listen(settings: Settings, field: str) -> socket.socket:
    """Bind the port of this setting; raises ConfigurationError."""
    return bind(settings, field, int(getattr(settings, field)))


def bind(settings: Settings, field: str, port: int) -> socket.socket:
    """Bind a port that follows from this setting; raises ConfigurationError, which names the setting."""
    host = settings.host
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise ConfigurationError(
            f"ORDERDECK_HOST={host} is not an address of this machine ({error.strerror})"
        ) from None
    guarded = settings.require_keys or settings.allow_anonymous
    if not ipaddress.ip_address(str(address[0])).is_loopback and not guarded:
        raise ConfigurationError(
            f"ORDERDECK_HOST={host} is reachable from other machines, and everybody there could give commands: set "
            "ORDERDECK_REQUIRE_KEYS=true and make keys with `orderdeck keys create` (or, only where nobody but trusted "
            "programs reaches it, set ORDERDECK_ALLOW_ANONYMOUS=true)"
        )
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENT)
    try:
        listener.bind(address)
        # With SO_REUSEADDR two processes may bind one port, but only one may listen: this call finds out.
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise _cannot_listen(error, host, port, int(getattr(settings, field)), field) from None
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at this address."""
    try:
        return all(
            ipaddress.ip_address(str(found[4][0])).is_loopback
            for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        )
    except (socket.gaierror, ValueError):
        return False


def must_be_free(settings: Settings, fields: Mapping[int, str]) -> None:
    """Raise ConfigurationError with a sentence for each port that cannot be bound; `fields` has the setting of each."""
    refused: list[str] = []
    for port, field in fields.items():
        try:
            must_bind(settings, field, port)
        except ConfigurationError as error:
            refused.append(str(error))
    if refused:
        raise ConfigurationError("; ".join(dict.fromkeys(refused)))


def must_bind(settings: Settings, field: str, port: int) -> None:
    """Raise what `bind` raises. It waits for a process that ends, and holds its port longer than it can be seen."""
    deadline = time.monotonic() + LEAVES_WITHIN
    while True:
        try:
            bind(settings, field, port).close()
        except PortTaken as error:
            if error.has_owner or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _cannot_listen(error: OSError, host: str, port: int, base: int, field: str) -> ConfigurationError:
    setting = env_names(field)[0]
    if port != base:
        setting += f"={base}, from which it follows,"
    if error.errno == errno.EADDRINUSE:
        return PortTaken(port, setting)
    if error.errno == errno.EACCES:
        return ConfigurationError(f"port {port} is not for ordinary users: set {setting} to one above 1023")
    return ConfigurationError(f"cannot listen on {host}, port {port}: {error.strerror}")


def _owner_of(port: int) -> str:
    """The process that listens on this port, in brackets; empty when it is another user's, which we may not see."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if listens and connection.pid:
                return f" (by {psutil.Process(connection.pid).name()}, pid {connection.pid})"
    except psutil.Error:
        pass
    return ""
