"""The history file: an order's whole history as one JSON document, which only the operator may read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence

import msgspec

from core.terminal_text import counted
from tui.wire import WireEvent


def export_history(order_id: str, events: Sequence[WireEvent]) -> tuple[str, str]:
    """Write the events in the order of the log; a sentence that names the file or says why there is none, and its tone.

    Each export is a file of its own, in the folder for temporary files: it is nobody's to overwrite.
    """
    name = "".join(letter for letter in order_id[:8] if letter.isalnum() or letter == "-")
    lines = b",\n".join(map(msgspec.json.encode, events))  # an event on each line
    document = b'{"order_id": %s, "events": [\n%s\n]}\n' % (msgspec.json.encode(order_id), lines)
    try:
        number, path = tempfile.mkstemp(prefix=f"orderdeck-{name}-", suffix=".json")  # mode 0600
        with os.fdopen(number, "wb") as file:
            file.write(document)
    except OSError as error:
        return f"the history could not be written: {error.strerror or error}", "bad"
    return f"{counted(len(events), 'event')} written to {path}", "good"
