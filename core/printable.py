"""Makes text of any origin safe to print to a terminal, which would obey an ESC in it."""

from __future__ import annotations

import re
import unicodedata

# Control codes and line ends. And characters that reorder, join or hide their neighbours: terminals disagree on the
# width of such text.
_CONTROL = {"Cc", "Zl", "Zp"}
_INVISIBLE = {"Cf", "Cs"}
_VARIATION = range(0xFE00, 0xFE10)

# What people paste where it does not belong: our keys, access tokens, and passwords within addresses.
_SECRETS = (
    (re.compile(r"od_([a-z2-7]{10})_[0-9A-Za-z_-]*"), r"od_\1_…"),
    (re.compile(r"eyJ[\w-]*\.[\w-]*(\.[\w-]*)?"), "eyJ…"),
    (re.compile(r"://[^/@\s]*@"), "://…@"),
)

LONGEST = 2_000  # characters of one line; what comes after them is cut


def clean(text: str, limit: int = LONGEST) -> str:
    """One line that is safe to print: control codes become a middle dot, invisible characters go."""
    text = text[:limit]
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_safe, text))


def clean_lines(text: str, limit: int = 10 * LONGEST) -> str:
    """As `clean`, but lines stay lines."""
    return "\n".join(clean(line, limit) for line in text.split("\n"))


def clean_json(text: str) -> str:
    r"""A JSON document with escapes such as \u001b in place of all that is not safe to print; it says the same."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def without_secrets(text: str, limit: int = 200) -> str:
    """One line that is safe to keep and to print, without the keys, tokens and passwords that were put into it."""
    if not text or (len(text) <= limit and text.isascii() and text.replace("-", "").isalnum()):
        return text  # nothing or an id, as it mostly is
    text = clean(text, 4 * limit)
    for secret, shown in _SECRETS:
        text = secret.sub(shown, text)
    return text[:limit]


def _escaped(character: str) -> str:
    if character == "\n" or _safe(character) == character:
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n : n + 2].hex()}" for n in range(0, len(units), 2))


def _safe(character: str) -> str:
    category = unicodedata.category(character)
    if category in _CONTROL:
        return "·"
    return "" if category in _INVISIBLE or ord(character) in _VARIATION else character
