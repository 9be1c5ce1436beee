"""Validation of what people and programs send. One error names all wrong fields at once.

One rule holds for every text, wherever it comes from: any script, in one Unicode form (`composed`), and no character
that cannot be seen or that moves its neighbours about (`wrong_text`).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from core.errors import FieldError, InvalidInput

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

LONGEST_COMPOSED = 2_000
"""Longer texts are left as they are, since no field takes them, and composing a long one may take very long."""

_JOINERS = "\u200c\u200d"  # needed within words of Persian and of Indic scripts, and between the parts of an emoji
_SELECTORS = "\ufe00-\ufe0f\u180b-\u180d\u180f\U000e0100-\U000e01ef"  # which form of the character before is meant
_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f"  # the overrides and isolates, which make a text look like another one
    "\u2800\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"  # the tag characters, in which a whole text can be hidden
)
_PRIVATE = "\ue000-\uf8ff\U000f0000-\U0010ffff"  # with the noncharacters of these planes
_NO_CHARACTERS = "\ufdd0-\ufdef" + "".join(f"{chr(n)}{chr(n + 1)}" for n in range(0xFFFE, 0xFFFFF, 0x10000))
_REFUSED = re.compile(f"[{_UNSEEN}{_PRIVATE}{_NO_CHARACTERS}]")
_MISPLACED = re.compile(
    f"^[{_JOINERS}{_SELECTORS}]"
    f"|[{_JOINERS}]$"
    f"|[\\x00-\\x7f{_JOINERS}][{_JOINERS}]"  # between Latin letters it only makes a word look like another one
    f"|[{_JOINERS}{_SELECTORS}][{_SELECTORS}]"
    f"|[\\x00-\\x22\\x24-\\x29\\x2b-\\x2f\\x3a-\\x7f][{_SELECTORS}]"  # 0-9, # and * have emoji forms
)


class Fields:
    """Collects the wrong fields. `done` raises InvalidInput if there are any."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def check(self, field: str, wrong: str | None) -> None:
        if wrong is not None:
            self.errors.append(FieldError(field, wrong))

    def text(self, field: str, value: str, longest: int) -> None:
        """Check a text for people: it must not be blank, nor longer than `longest`, and be as `wrong_text` says."""
        self.check(field, wrong_text(value, longest))

    def matches(self, field: str, value: str, pattern: re.Pattern[str], wanted: str) -> None:
        if not pattern.fullmatch(value):
            self.check(field, f"must be {wanted}")

    def done(self) -> None:
        if self.errors:
            raise InvalidInput(self.errors)


def wrong_text(value: str, longest: int) -> str | None:
    """What is wrong with a text, or None.

    Letters, digits, signs and spaces of any script are right, and so are joiners and selectors where they do something.
    Characters that this Python does not know yet are right too: it is older than the newest Unicode.
    """
    if len(value) > longest:
        return f"must be at most {longest} characters"
    if value.isascii():
        if value.isprintable():
            return None if value and not value.isspace() else "must not be blank"
    elif not CONTROL.search(value):
        if found := _REFUSED.search(value) or _MISPLACED.search(value):
            return "must not be blank" if is_blank(value) else f"must not contain {_named(found[0])}"
        return "must not be blank" if value.isspace() else None
    return "must not be blank" if is_blank(value) else "must not contain control characters"


def unreadable(value: str, longest: int) -> str | None:
    """What is wrong with a text to look for, or None. Earlier releases took texts that `wrong_text` refuses today."""
    if len(value) > longest:
        return f"must be at most {longest} characters"
    if CONTROL.search(value):
        return "must not contain control characters"
    return "must not be blank" if not value or value.isspace() else None


def is_blank(value: str) -> bool:
    """Whether there is nothing to see in a text."""
    return not any(_shows(character) for character in value)


def _shows(character: str) -> bool:
    return character.isprintable() and not character.isspace() and not _HIDDEN.match(character)


_HIDDEN = re.compile(f"[{_UNSEEN}{_JOINERS}{_SELECTORS}]")


def _named(found: str) -> str:
    """The characters that were found, by their numbers, because they cannot be seen."""
    names = [f"U+{ord(character):04X}" for character in found if not character.isascii()]
    return f"the character {names[-1]}, which cannot be seen or read here"


def composed(text: str) -> str:
    """The text in Unicode's form NFC, so that an é is one text, whether it was sent as one character or as two."""
    return text if text.isascii() or len(text) > LONGEST_COMPOSED else unicodedata.normalize("NFC", text)


def wrong_word(value: str, longest: int, also: str, wanted: str) -> str | None:
    """What is wrong with a name for programs, such as a SKU; it consists of letters and digits of any script.

    After the first one, there may also be the characters in `also`, and what such letters are written with.
    """
    if value.isascii():
        right = len(value) <= longest and _ascii_word(also).fullmatch(value) is not None
    else:
        right = not wrong_text(value, longest) and value[0].isalnum() and all(_in_a_word(c, also) for c in value)
    return None if right else f"must be {wanted}"


@cache
def _ascii_word(also: str) -> re.Pattern[str]:
    return re.compile(f"[a-zA-Z0-9][a-zA-Z0-9{re.escape(also)}]*")


def _in_a_word(character: str, also: str) -> bool:
    return (
        character.isalnum() or character in also or character in _JOINERS or unicodedata.category(character)[0] == "M"
    )


def tidy(text: str, longest: int = 300) -> str:
    """The text without what `wrong_text` refuses, cut to `longest`, so that it can be stored and shown."""
    words = _REFUSED.sub("", CONTROL.sub(" ", text[: 10 * longest]))
    while _MISPLACED.search(words):
        words = _MISPLACED.sub(lambda found: "".join(c for c in found[0] if not _HIDDEN.match(c)), words)
    words = composed(" ".join(words.split()))
    short = words if len(words) <= longest else words[: longest - 1] + "…"
    return "no reason given" if wrong_text(short, longest) else short
