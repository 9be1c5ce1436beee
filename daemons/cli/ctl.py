"""supervisorctl with a safe terminal: the ends of logs that it prints may have texts of strangers in them."""

from __future__ import annotations

import signal
import sys
from typing import Any

from supervisor import supervisorctl

from core.printable import clean_lines
from daemons.cli.output import one_sentence
from daemons.process.program_list import process_named


class CleanStream:
    """Writes to another stream what a terminal does not obey; everything else is that stream's own."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(clean_lines(text.replace("\r\n", "\n"), len(text)))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def full_name(word: str) -> str:
    """The name that supervisorctl has for one of several processes: for command-api-2, command-api:command-api-2."""
    process = process_named(word)
    return word if process is None or process.number is None else f"{process.program.name}:{word}"


def main() -> None:
    sys.argv[1:] = [full_name(word) for word in sys.argv[1:]]
    with one_sentence():
        sys.stdout, sys.stderr = CleanStream(sys.stdout), CleanStream(sys.stderr)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # blocked by the command that has become this
        supervisorctl.main()  # pyright: ignore[reportUnknownMemberType] - supervisor has no types
