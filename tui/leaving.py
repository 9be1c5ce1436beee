"""Leaving: whatever ends the deck, the terminal is given back as it was: its screen, mouse, cursor and echo.

A signal asks the deck to end as ctrl+q does. When it has not ended in time, because it hangs or because nobody reads
what it draws, the terminal is restored past it, and the process ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import traceback
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
PATIENCE = 2.0  # seconds in which the deck must have ended by itself
_WRITABLE_WITHIN = 0.3  # seconds
# Bracketed paste, mouse, size reports and focus reports off; line wrap on; the keyboard protocol of kitty as it was
# before; the ordinary screen, its cursor shown, no colour.
RESTORE = (
    b"\x1b[?2004l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l\x1b[?2048l\x1b[?1004l\x1b[?2026l\x1b[?7h"
    b"\x1b[<u\x1b[?1049l\x1b[?25h\x1b[0m"
)


class Leaving:
    """`ask` makes the deck end with an exit code, or says that it does not run yet.

    `code` is the exit code that a signal or a fault has asked for.
    """

    def __init__(self, ask: Callable[[int], bool]) -> None:
        self.code: int | None = None
        self._ask = ask
        self._input, self._output = sys.__stdin__, sys.__stderr__
        self._mode: list[Any] | None = None
        self._watch: threading.Timer | None = None

    @contextlib.contextmanager
    def watched(self) -> Generator[None]:
        """Run the deck in this block; no exception leaves it before the terminal is restored."""
        with contextlib.suppress(termios.error, OSError, ValueError, AttributeError):
            self._mode = termios.tcgetattr(self._input)  # type: ignore[arg-type]
        before = {number: signal.signal(number, self._signalled) for number in SIGNALS}
        try:
            yield
        except BaseException:
            self._restore()
            raise
        finally:
            if self._watch is not None:
                self._watch.cancel()
            for number, handler in before.items():
                signal.signal(number, handler)
        if self.code is not None:
            self._end(self.code)

    def hurry(self, code: int) -> None:
        """The deck is ending; make sure that it does."""
        if self._watch is None:
            self.code = code
            self._watch = threading.Timer(PATIENCE, self._give_up)
            self._watch.daemon = True
            self._watch.start()

    def woken(self) -> None:
        """The process goes on after a stop. When it was told to end while it was stopped, it need not draw again."""
        if self.code is not None:
            self._end(self.code)

    def _signalled(self, number: int, _frame: object) -> None:
        if self.code is not None:  # asked again: whoever asks does not want to wait
            self._give_up()
        code = 128 + number
        self.hurry(code)
        if not self._ask(code):
            self._give_up()

    def _give_up(self) -> None:
        self._restore()
        self._end(1 if self.code is None else self.code)

    def _restore(self) -> None:
        with contextlib.suppress(termios.error, OSError, ValueError, AttributeError):
            number = self._output.fileno()  # type: ignore[union-attr]
            if not select.select([], [number], [], _WRITABLE_WITHIN)[1]:
                termios.tcflush(number, termios.TCOFLUSH)  # nobody reads it: what is waiting makes room
            if select.select([], [number], [], _WRITABLE_WITHIN)[1]:
                os.write(number, RESTORE)
        if self._mode is not None:
            with contextlib.suppress(termios.error, OSError, ValueError, AttributeError):
                termios.tcsetattr(self._input, termios.TCSANOW, self._mode)  # type: ignore[arg-type]

    def _end(self, code: int) -> None:
        """End at once: threads that read or write a terminal that is gone would never be waited for."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()
        os._exit(code)


def terminal_is_gone() -> bool:
    """Whether the terminal was closed without a signal to us, as when it is not our controlling terminal."""
    try:
        termios.tcgetattr(sys.__stdin__)  # type: ignore[arg-type]
    except termios.error:
        return True
    except (OSError, ValueError, AttributeError):
        return False
    return False


def can_be_woken() -> bool:
    """Whether a shell with job control started us: nobody else would ever let a stopped process go on."""
    import psutil  # noqa: PLC0415 - only for the key that stops the deck

    try:
        parent = psutil.Process(os.getpgrp()).ppid()
        return parent != 0 and os.getsid(parent) == os.getsid(0) and os.getpgid(parent) != os.getpgrp()
    except (psutil.Error, OSError):
        return False


def write_down(error: BaseException) -> str:
    """Write what went wrong into a file that only its owner can read; return a sentence that names it."""
    import platformdirs  # noqa: PLC0415 - only after a fault

    kind = f"{type(error).__name__}: {error}".replace("\n", " ")[:200]
    file = Path(platformdirs.user_state_dir("orderdeck")) / "deck-fault.txt"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            opened.writelines(traceback.format_exception(error))
    except OSError:
        return f"a fault in the deck ended it ({kind})"
    return f"a fault in the deck ended it ({kind}); {file} says where"
