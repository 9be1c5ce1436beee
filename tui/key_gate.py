"""KeyGate: hands on keys, pasted texts and clicks one at a time, so that each meets what those before it have opened.

Terminals and SSH deliver in bursts what was typed. Textual would give a whole burst to the widget that has the focus
when it arrives, although its first key may open a dialog or move the focus. The gate keeps the later keys until the
first one has had its whole effect. It works in a task of its own, so the deck goes on painting meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.worker import Worker

from core.terminal_text import counted

EFFECT = 5.0  # seconds a key waits at most until the deck itself has done what the one before it asked for
ANSWER = 1.0  # seconds it waits at most for a worker that fetches what it is meant for
_LOOK = 0.005  # seconds between two looks at a worker that is waited for; to wait on its task might cancel it
_BREATH = 0.05  # seconds without a key after which a burst is over
_SLICE = 0.05  # seconds after which the way is walked anew, since a widget on it may have been removed
MOST = 10_000  # keys and clicks that wait; a larger burst is cut, and the operator is told

_QUIET = (
    events.MouseMove,
    events.MouseScrollUp,
    events.MouseScrollDown,
    events.MouseScrollLeft,
    events.MouseScrollRight,
)
Input = events.InputEvent | events.Paste


class KeyGate:
    """`hand_on` gives an input to Textual as it would be without the gate; `say` tells the operator a sentence."""

    def __init__(
        self, app: App[Any], hand_on: Callable[[events.Event], Awaitable[None]], say: Callable[[str], None]
    ) -> None:
        self._app = app
        self._hand_on = hand_on
        self._say = say
        self._waiting: deque[Input] = deque()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._full = False
        self._awaited: list[Worker[Any]] = []
        self._missed = ""

    def takes(self, event: events.Event) -> bool:
        """Keep an input until its turn; False for everything else, and for the key that leaves the deck."""
        if not isinstance(event, events.InputEvent | events.Paste) or event.is_forwarded:
            return False
        if isinstance(event, events.Key) and self._quits(event.key):
            return False
        self._keep(event)
        return True

    def next_key_waits_for(self, worker: Worker[Any]) -> None:
        """Keep the next key until this worker has ended, because it fetches what that key is meant for."""
        self._awaited.append(worker)

    def drop_typed_ahead(self, reason: str) -> None:
        """Drop the rest of the burst: what its last key asked for is not there, and it would act on other things."""
        self._missed = reason

    async def idle(self) -> None:
        """Return when everything that came so far has had its effect."""
        await self._idle.wait()

    async def run(self) -> None:
        """Hand on what comes, for ever."""
        while True:
            while self._waiting:
                event = self._waiting.popleft()
                self._missed = ""
                await self._hand_on(event)
                if not isinstance(event, _QUIET):
                    await self._settled()
                if self._missed:
                    await self._drop_burst()
            self._full = False
            self._idle.set()
            self._arrived.clear()
            await self._arrived.wait()

    def _keep(self, event: Input) -> None:
        if isinstance(event, events.MouseMove) and self._waiting and isinstance(self._waiting[-1], events.MouseMove):
            self._waiting.pop()  # only the last place of the mouse matters
        if len(self._waiting) >= MOST and not self._full:
            self._full = (
                True  # until all that wait are done, so that no end of a text lands where its middle is missing
            )
            self._say(f"more than {MOST:,} keys came at once: the rest of them was dropped")
        if self._full:
            return
        self._waiting.append(event)
        self._idle.clear()
        self._arrived.set()

    def _quits(self, key: str) -> bool:
        """`active_bindings` would ask every action of the view whether it can run, and have each refusal told."""
        if not key.startswith("ctrl+"):
            return False
        chain = self._app.screen._modal_binding_chain  # pyright: ignore[reportPrivateUsage] # noqa: SLF001 - see above
        for _, bindings in chain:
            if key in bindings.key_to_bindings:
                return any(each.action in ("quit", "app.quit") for each in bindings.key_to_bindings[key])
        return False

    async def _settled(self) -> None:
        """Wait until the last input's messages have been handled, and what they opened is there and has the focus."""
        await self._quiet()
        if self._awaited:
            awaited, self._awaited = self._awaited, []
            await self._answered(awaited)
            await self._quiet()

    async def _drop_burst(self) -> None:
        reason, self._missed = self._missed, ""
        dropped = 0
        while self._waiting:
            dropped += self._drop_waiting()
            await asyncio.sleep(_BREATH)
        if dropped:
            self._say(f"{counted(dropped, 'key')} dropped: {reason}")

    def _drop_waiting(self) -> int:
        """Drop all that waits. Returns how many keys and pasted texts that was."""
        dropped = sum(isinstance(each, events.Key | events.Paste) for each in self._waiting)
        self._waiting.clear()
        return dropped

    async def _answered(self, awaited: list[Worker[Any]]) -> None:
        """Wait for the workers. When they are late, drop what was typed ahead: it was meant for what they fetch."""
        until = time.monotonic() + ANSWER
        while not all(worker.is_finished for worker in awaited):
            if time.monotonic() >= until:
                if dropped := self._drop_waiting():
                    self._say(f"no answer yet: {counted(dropped, 'key')} typed ahead dropped")
                return
            await asyncio.sleep(_LOOK)

    async def _quiet(self) -> None:
        """Walk from the focused widget up to the app until two walks in a row leave no message and change nothing."""
        walks, until = 0, time.monotonic() + EFFECT
        while walks < 2 and (left := until - time.monotonic()) > 0:
            before = self._place()
            arrived = await self._walked(self._way(), min(_SLICE, left))
            idle = not any(node.message_queue_size for node in self._way())
            walks = walks + 1 if arrived and idle and self._place() == before and self._app.screen.is_mounted else 0

    def _place(self) -> tuple[object, object]:
        return self._app.screen, self._app.focused

    def _way(self) -> list[DOMNode]:
        """The nodes through which a key's messages go, in this order.

        A form that fills itself in anew removes the field that has the focus; from there no way leads to the app.
        """
        focused = self._app.focused
        return (focused if focused and focused.is_attached else self._app.screen).ancestors_with_self

    async def _walked(self, way: list[DOMNode], within: float) -> bool:
        """Whether every node has come to the end of what it had to do, one after the other, in that time."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        _step(way, done)
        try:
            await asyncio.wait_for(done, within)
        except TimeoutError:
            return False
        return True


def _step(way: list[DOMNode], done: asyncio.Future[None]) -> None:
    """Have the next node that takes messages go on from here when it has handled those it has."""
    for n, node in enumerate(way):
        if node.call_later(partial(_step, way[n + 1 :], done)):
            return
    if not done.done():
        done.set_result(None)
