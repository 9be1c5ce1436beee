"""Shares the event loop among callers: in each turn of the loop only some requests begin, in the order they came.

Otherwise a turn lasts as long as all open connections together need for a request each, and a new caller, whose
connection takes several turns to be read, waits for many of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

A_TURN = 32  # requests that begin in one turn of the event loop: some 10 ms of work


class Turns:
    def __init__(self) -> None:
        self._begun = 0
        self._waiting = deque[Callable[[], None]]()

    def begin(self, request: Callable[[], None]) -> None:
        """Call `request`, which begins to answer one: now, or in a later turn."""
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._turn)
        if self._begun < A_TURN:
            self._begun += 1
            request()
        else:
            self._waiting.append(request)

    def _turn(self) -> None:
        self._begun = min(A_TURN, len(self._waiting))
        if self._begun:
            asyncio.get_running_loop().call_soon(self._turn)
        for _ in range(self._begun):
            self._waiting.popleft()()
