"""Puts a text into a filter line, as if it had been typed there."""

from __future__ import annotations

from textual.widgets import Input


def put_text(line: Input, text: str) -> None:
    """Show a text, after which typing goes on; whoever puts it there asks for what it finds, so nothing is posted."""
    if text == line.value:
        return
    with line.prevent(Input.Changed):
        line.value = text
    line.cursor_position = len(text)
