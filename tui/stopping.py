"""Stopping: the deck stops for ctrl+z and draws itself again when the shell lets it go on."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

Handler = Callable[[int, Any], object]


def watch_stops(woken: Callable[[], object], repaint: Callable[[], object]) -> None:
    """Take the two signals over from Textual's driver, which has set its own handlers by now.

    The driver starts anew on each SIGCONT, even on one that follows no stop of its own (`kill -STOP`, `kill -CONT`):
    then two threads would read the keys, and each would get some of them. `woken` is called before it draws.
    """
    stop, go_on = signal.getsignal(signal.SIGTSTP), signal.getsignal(signal.SIGCONT)
    if not (callable(stop) and callable(go_on)):  # a driver without a terminal sets none
        return
    stopped = False

    def on_stop(number: int, frame: Any) -> None:
        nonlocal stopped
        stopped = True
        stop(number, frame)

    def on_waking(number: int, frame: Any) -> None:
        nonlocal stopped
        woken()
        if stopped:
            stopped = False
            go_on(number, frame)
        repaint()

    signal.signal(signal.SIGTSTP, on_stop)
    signal.signal(signal.SIGCONT, on_waking)
