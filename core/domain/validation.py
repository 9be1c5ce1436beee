"""Validation of what people and programs send. One error names all wrong fields at once."""

from __future__ import annotations

import re

from core.errors import FieldError, InvalidInput

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Fields:
    """Collects the wrong fields. `done` raises InvalidInput if there are any."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def check(self, field: str, wrong: str | None) -> None:
        if wrong is not None:
            self.errors.append(FieldError(field, wrong))

    def text(self, field: str, value: str, longest: int) -> None:
        """Check a text for people: it must not be blank, nor longer than `longest`, nor have control characters."""
        self.check(field, wrong_text(value, longest))

    def matches(self, field: str, value: str, pattern: re.Pattern[str], wanted: str) -> None:
        if not pattern.fullmatch(value):
            self.check(field, f"must be {wanted}")

    def done(self) -> None:
        if self.errors:
            raise InvalidInput(self.errors)


def wrong_text(value: str, longest: int) -> str | None:
    if len(value) <= longest and value.isprintable() and not value.isspace() and value:
        return None  # nearly every text passes here; the slower checks below find out what is wrong
    if len(value) > longest:
        return f"must be at most {longest} characters"
    if not any(c.isprintable() and c != " " for c in value):  # zero-width characters cannot be seen either
        return "must not be blank"
    if CONTROL.search(value):
        return "must not contain control characters"
    return None


def tidy(text: str, longest: int = 300) -> str:
    """The text without control characters, cut to `longest`, so that it can be stored and shown whoever wrote it."""
    words = " ".join(CONTROL.sub(" ", text).split())
    short = words if len(words) <= longest else words[: longest - 1] + "…"
    return "no reason given" if wrong_text(short, longest) else short
