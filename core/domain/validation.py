"""Validation of what people and programs type: every wrong field is named, all of them at once."""

from __future__ import annotations

import re

from core.errors import FieldError, InvalidInput

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Fields:
    """Collects what is wrong; `done` raises InvalidInput when anything was."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def check(self, field: str, wrong: str | None) -> None:
        if wrong is not None:
            self.errors.append(FieldError(field, wrong))

    def text(self, field: str, value: str, longest: int) -> None:
        """A string a person reads: not blank, at most `longest` characters, no control characters."""
        self.check(field, wrong_text(value, longest))

    def matches(self, field: str, value: str, pattern: re.Pattern[str], wanted: str) -> None:
        if not pattern.fullmatch(value):
            self.check(field, f"must be {wanted}")

    def done(self) -> None:
        if self.errors:
            raise InvalidInput(self.errors)


def wrong_text(value: str, longest: int) -> str | None:
    if len(value) <= longest and value.isprintable() and not value.isspace() and value:
        return None  # nearly every text there is; the rest only says what is wrong
    if len(value) > longest:
        return f"must be at most {longest} characters"
    if not any(c.isprintable() and c != " " for c in value):  # zero-width characters show nothing either
        return "must not be blank"
    if CONTROL.search(value):
        return "must not contain control characters"
    return None


def tidy(text: str, longest: int = 300) -> str:
    """Somebody else's words made fit to be kept and shown: no control characters, not blank, not too long."""
    words = " ".join(CONTROL.sub(" ", text).split())
    short = words if len(words) <= longest else words[: longest - 1] + "…"
    return "no reason given" if wrong_text(short, longest) else short
