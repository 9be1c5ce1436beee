"""A connection for httpcore that counts as not made if the other side cuts it in the moment in which it is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import httpcore


class MadeConnections(httpcore.AsyncNetworkBackend):
    """httpcore's own network, for `AsyncConnectionPool(network_backend=...)`.

    A server that is killed resets the connections that wait in its queue. If that happens before their maker has looked
    at them, uvloop has no socket for them any more, and httpcore and anyio fail with AttributeError: an outage that
    looks like a fault of ours.
    """

    def __init__(self) -> None:
        self._network = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the name in httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._network.connect_tcp(host, port, timeout, local_address, socket_options)
        try:
            stream.get_extra_info("server_addr")  # from here on, uvloop keeps the socket of the connection
        except AttributeError as error:
            await stream.aclose()
            raise httpcore.ConnectError("the connection was cut when it was made") from error
        return stream
