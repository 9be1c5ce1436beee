"""A picture as plain text, and as an SVG image for a ticket; the image holds no script and loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from rich.cells import cell_len

from core.pictures.marks import Row
from core.pictures.picture import Picture

CELL = 8.4  # pixels
LINE = 20
EDGE = 18
_FONT = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_GROUND, _TEXT = "#14161a", "#d7dbe2"
_COLOURS = {
    "accent": "#f0b429",
    "bad": "#ff6b6b",
    "dim": "#808894",
    "done": "#5fb98b",
    "good": "#4cc38a",
    "head": "#8ab4f8",
    "moving": "#5aa9f2",
    "warn": "#f0a04b",
}
_STRENGTHS = {"█": 1.0, "▓": 0.8, "▒": 0.5, "░": 0.3}


def text_of(picture: Picture) -> str:
    """The picture in the characters of a terminal, without colours."""
    return "".join(f"{_line(row)}\n" for row in picture.rows)


def svg_of(picture: Picture) -> str:
    """The picture as an SVG document: a box for each bar, and each text as wide as it is in a terminal."""
    width = 2 * EDGE + picture.width * CELL
    height = 2 * EDGE + len(picture.rows) * LINE
    title = _safe(picture.title)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{title}">\n'
        f"<title>{title}</title>\n"
        f'<rect width="100%" height="100%" rx="8" fill="{_GROUND}"/>\n'
        f'<g font-family="{_FONT}" font-size="14" xml:space="preserve">\n'
    )
    body = "".join(shape for n, row in enumerate(picture.rows) for shape in _shapes(n, row))
    return f"{head}{body}</g>\n</svg>\n"


def _line(row: Row) -> str:
    text = ""
    for mark in row:
        text += " " * (mark.at - cell_len(text)) + mark.text
    return text.rstrip()


def _shapes(number: int, row: Row) -> Iterator[str]:
    y = EDGE + number * LINE
    for mark in row:
        x, wide = EDGE + mark.at * CELL, (mark.end - mark.at) * CELL
        colour = _COLOURS.get(mark.tone, _TEXT)
        if mark.bar:
            strength = _STRENGTHS.get(mark.text[0], 1.0)
            yield (
                f'<rect x="{x:.1f}" y="{y + 3}" width="{wide:.1f}" height="{LINE - 6}" rx="3"'
                f' fill="{colour}" fill-opacity="{strength}"/>\n'
            )
        elif text := mark.text.strip():
            yield _words(x + (cell_len(mark.text) - cell_len(mark.text.lstrip())) * CELL, y, text, colour)


def _words(x: float, y: int, text: str, colour: str) -> str:
    wide = cell_len(text) * CELL
    return (
        f'<text x="{x:.1f}" y="{y + 15}" textLength="{wide:.1f}" lengthAdjust="spacingAndGlyphs"'
        f' fill="{colour}">{_safe(text)}</text>\n'
    )


def _safe(text: str) -> str:
    """For text and attributes of XML, which allows neither lone surrogates nor U+FFFE and U+FFFF."""
    allowed = "".join(c for c in text if c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff")
    return escape(allowed, {'"': "&quot;"})
