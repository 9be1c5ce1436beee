"""supervisorctl with a safe terminal: the ends of logs that it prints may have texts of strangers in them."""

from __future__ import annotations

import sys
from typing import Any

from supervisor import supervisorctl

from core.printable import clean_lines


class CleanStream:
    """Writes to another stream what a terminal does not obey; everything else is that stream's own."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(clean_lines(text.replace("\r\n", "\n"), len(text)))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def main() -> None:
    sys.stdout, sys.stderr = CleanStream(sys.stdout), CleanStream(sys.stderr)
    supervisorctl.main()  # pyright: ignore[reportUnknownMemberType] - supervisor has no types
