"""Connects to addresses of the open internet only: what a name leads to is looked at before each connection.

An address that is private, of this machine or of its own network is refused, unless a setting allows it. The check is
made on the very address that is then connected to, so no name, and no way of writing an address, leads around it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore

from core.cut_connections import MadeConnections
from core.public_addresses import Network, is_allowed, is_public

MOST_TRIED = 3  # addresses of one name
Resolve = Callable[[str, int], Sequence[str]]


class AddressRefused(httpcore.ConnectError):
    """The address of a webhook leads where no webhook may lead. Its text says what allows it."""


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, without the name of an interface that may follow them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found))


class OpenNetwork(httpcore.AsyncNetworkBackend):
    """What httpcore connects with. `networks` are allowed although they are not public.

    Unless it is `secret` what is sent, it connects to those only: on the internet, anybody on the way could read it.
    """

    def __init__(self, networks: Sequence[Network], *, secret: bool, resolve_name: Resolve = resolve) -> None:
        self._networks = networks
        self._secret = secret
        self._resolve = resolve_name
        self._real = MadeConnections()
        self._looked_up: dict[str, asyncio.Future[Sequence[str]]] = {}

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        error: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in await self._allowed(host, port):
            try:
                return await self._real.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _allowed(self, host: str, port: int) -> Sequence[str]:
        try:
            found = [ipaddress.ip_address(text) for text in await self._look_up(host, port)]
        except OSError as error:
            raise httpcore.ConnectError(f"{host} cannot be found: {error.strerror or error}") from None
        except (ValueError, UnicodeError):
            raise httpcore.ConnectError(f"{host} is no name that can be looked up") from None
        fit = [one for one in found if (self._secret and is_public(one)) or is_allowed(one, self._networks)]
        if found and not fit and is_public(found[0]):
            raise AddressRefused(f"{host} leads to {found[0]}, and only https:// may lead over the internet")
        if found and not fit:
            raise AddressRefused(
                f"{host} leads to {found[0]}, which is not of the open internet, nor of a network in "
                "ORDERDECK_WEBHOOK_NETWORKS"
            )
        return [str(one) for one in fit[:MOST_TRIED]]

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        """Look a name up in a thread of its own. A server of names that is slow for one name delays no other name."""
        if (under_way := self._looked_up.get(host)) is None:
            loop = asyncio.get_running_loop()
            under_way = self._looked_up[host] = loop.create_future()
            under_way.add_done_callback(lambda _: self._looked_up.pop(host, None))
            # A thread of a pool would keep a daemon from ending until the name is found or not.
            threading.Thread(target=_look_up, args=(self._resolve, host, port, loop, under_way), daemon=True).start()
        return await asyncio.shield(under_way)


def _look_up(
    resolve_name: Resolve, host: str, port: int, loop: asyncio.AbstractEventLoop, found: asyncio.Future[Sequence[str]]
) -> None:
    result: Sequence[str] = ()
    error: BaseException | None = None
    try:
        result = resolve_name(host, port)
    except (OSError, UnicodeError) as failed:
        error = failed
    try:
        loop.call_soon_threadsafe(_settle, found, result, error)
    except RuntimeError:  # the loop is closed: nobody waits any more
        return


def _settle(found: asyncio.Future[Sequence[str]], result: Sequence[str], error: BaseException | None) -> None:
    if found.done():
        return
    if error is None:
        found.set_result(result)
    else:
        found.set_exception(error)
        found.exception()  # whoever asked may have given up
