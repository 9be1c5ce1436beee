"""Ascii: the deck in the letters that every terminal knows. Each line goes through here last, whoever painted it."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

# Each stands for one cell, and is replaced by one.
_GLYPHS = {
    **dict.fromkeys("─━═┄┅┈┉╌╍╴╶╸╺—–▔▁\u2010\u2011\u2012\u2015\u2212", "-"),
    **dict.fromkeys("│┃║‖┆┇┊┋╎╏╵╷╹╻▏▎▍▕▐", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰┏┓┗┛┣┫┳┻╋╔╗╚╝╠╣╦╩╬┠┨┯┷┿╟╢╤╧╪▗▖▝▘▛▜▙▟▞▚", "+"),
    **dict.fromkeys("▌▸►▶→⇒›»⏵", ">"),
    **dict.fromkeys("◄◀←⇐‹«⏴⏎", "<"),
    **dict.fromkeys("▲△↑⇧⬆", "^"),
    **dict.fromkeys("▼▽↓⇩⬇", "v"),
    **dict.fromkeys("●⬤■◆★▪•∙·⋅", "*"),
    **dict.fromkeys("○◌◯□◇☆▫◦◐◑◒◓◷", "o"),
    **dict.fromkeys("✖✗✘✕×", "x"),
    **dict.fromkeys("✔✓☑", "v"),
    **dict.fromkeys("█▓▇▆▅▉▊▋", "#"),
    **dict.fromkeys("▒░▄▃▂▀", ":"),
    **dict.fromkeys("…⋯", "~"),
    **dict.fromkeys("≈", "~"),
    **dict.fromkeys("↺↻⟲⟳", "@"),
    **dict.fromkeys("⏸", "="),
    **dict.fromkeys("⚠", "!"),
    **dict.fromkeys("“”„″", '"'),
    **dict.fromkeys("\u2018\u2019\u201a\u2032", "'"),
    **dict.fromkeys("≤", "<"),
    **dict.fromkeys("≥", ">"),
    **dict.fromkeys("↘↗↙↖", "/"),
    "Δ": "d",
    "◉": "O",  # the chosen event among others
    "\u00a0": " ",
}
_BRAILLE = range(0x2800, 0x2900)  # charts: the more dots a cell has, the darker is its letter
_DARKER = " ..::+++#"


class AsciiFilter(LineFilter):
    """Replaces every other letter by one of ASCII, or by as many as it has cells, so that nothing moves."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002 - Textual's signature
        return [
            segment if segment.control or segment.text.isascii() else Segment(in_ascii(segment.text), segment.style)
            for segment in segments
        ]


def in_ascii(text: str) -> str:
    return "".join(map(_letter, text))


@lru_cache(4096)
def _letter(letter: str) -> str:
    if letter.isascii():
        return letter
    if ord(letter) in _BRAILLE:
        return _DARKER[(ord(letter) - _BRAILLE.start).bit_count()]
    width = cell_len(letter)
    known = _GLYPHS.get(letter) or unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return known if len(known) == width else "?" * width
