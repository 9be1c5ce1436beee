"""Which terminals the deck is drawn on, and in which letters."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from textual._border import BORDER_CHARS
from textual.color import Color

from tui.ascii import AsciiFilter, in_ascii
from tui.terminal import knows_ascii_only, why_no_deck

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"LANG": "C"}, True),
        ({"LANG": "POSIX"}, True),
        ({"LANG": "C.UTF-8"}, False),
        ({"LANG": "C.utf8"}, False),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "en_US"}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
        ({"LANG": "de_DE@euro"}, False),
        ({"LANG": "ru_RU.KOI8-R"}, True),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, True),
        ({"LC_ALL": "", "LC_CTYPE": "C", "LANG": "en_US.UTF-8"}, True),
        ({"LC_ALL": "C.UTF-8", "LC_CTYPE": "C"}, False),
        ({"LC_MESSAGES": "C", "LANG": "en_US.UTF-8"}, False),
    ],
)
def test_the_locale_decides_whether_the_deck_is_drawn_in_ascii(environ: dict[str, str], *, expected: bool) -> None:
    assert knows_ascii_only(environ) is expected


class Stream:
    def __init__(self, *, terminal: bool) -> None:
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(
    ("terminals", "term", "said"),
    [
        ((True, True, True), "xterm", None),
        ((True, True, True), "vt100", None),
        ((True, True, True), "dumb", "cannot be drawn on TERM=dumb"),
        ((True, True, True), "unknown", "cannot be drawn on TERM=unknown"),
        ((True, True, True), "", "TERM is not set"),
        ((False, True, True), "xterm", "its input is not"),
        ((True, False, True), "xterm", "its output is not"),
        ((True, True, False), "xterm", "its error output is not"),
    ],
)
def test_where_the_deck_cannot_be_drawn_it_says_why(
    terminals: tuple[bool, bool, bool], term: str, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, terminal in zip(("stdin", "stdout", "stderr"), terminals, strict=True):
        monkeypatch.setattr(f"sys.{name}", Stream(terminal=terminal))
    sentence = why_no_deck({"TERM": term} if term else {})
    assert (sentence is None) if said is None else (said in (sentence or ""))


def test_every_glyph_and_border_of_the_deck_has_its_letter_of_ascii() -> None:
    glyphs = {glyph for path in (ROOT / "tui").rglob("*.py") for glyph in path.read_text() if not glyph.isascii()}
    assert "border: round" in (ROOT / "tui" / "app.tcss").read_text()
    drawn = {border for kind in BORDER_CHARS for row in BORDER_CHARS[kind] for border in "".join(row)}
    unknown = {glyph for glyph in glyphs | drawn if cell_len(glyph) and "?" in in_ascii(glyph)}
    assert unknown == set(), "say in tui/ascii.py what stands for it"


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "José Ångström",
        "北京 x",
        "e\u0301te\u0301",
        "🚀🚀 launch",
        "½ ﬁ ß Ω",
        "╭── ▌ ● ✖ ──╮",
        "\u200bhidden",
        "",
    ],
)
def test_a_line_in_ascii_is_as_wide_as_it_was(text: str) -> None:
    line = AsciiFilter().apply([Segment(text), Segment("\x1b[1m", None, [(1, 2)])], Color(0, 0, 0))  # type: ignore[list-item]
    assert line[0].text.isascii()
    assert len(line[0].text) == cell_len(text)
    assert line[1].text == "\x1b[1m"
