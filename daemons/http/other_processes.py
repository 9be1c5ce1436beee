"""What the other processes of an API answer at their own ports, for figures that are those of all of them together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from core.settings import Settings
from daemons.process.process_counts import places_of_others
from daemons.process.vitals import Vitals

WITHIN = 0.5  # seconds; who does not answer by then is left out
LONGEST = 1 << 20  # bytes of one answer


class OtherProcesses:
    def __init__(self, settings: Settings, vitals: Vitals) -> None:
        self._settings = settings
        self._vitals = vitals

    async def get(self, target: str) -> Sequence[bytes]:
        """The bodies of their answers with status 200 to a GET; none when this process is the only one."""
        if self._vitals.number is None:
            return ()
        places = places_of_others(self._settings, self._vitals.name, self._vitals.number)
        bodies = await asyncio.gather(
            *[_get(f"http://{host}:{port}{target}", self._vitals.shown_at(port)) for host, port in places]
        )
        return [body for body in bodies if body is not None]


async def _get(url: str, headers: list[tuple[bytes, bytes]]) -> bytes | None:
    import httpcore  # noqa: PLC0415 - only who looks at figures needs it

    from core.cut_connections import MadeConnections  # noqa: PLC0415 - it needs httpcore

    try:
        async with (
            asyncio.timeout(WITHIN),
            httpcore.AsyncConnectionPool(network_backend=MadeConnections()) as pool,
            pool.stream("GET", url, headers=headers) as answer,
        ):
            body = b""
            async for part in answer.aiter_stream():
                body += part
                if len(body) > LONGEST:
                    return None
            return body if answer.status == 200 else None
    except (TimeoutError, OSError, httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError):
        return None
