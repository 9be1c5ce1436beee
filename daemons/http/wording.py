"""Says in plain words what msgspec found wrong with a value: callers know texts and lists, not `str` and `array`."""

from __future__ import annotations

import re

_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
    "uuid": "a UUID",
    "datetime": "a time",
    "date": "a date",
}
_KNOWN = {
    "Invalid decimal string": "must be a number, as in 12.50",
    "Invalid UUID": "must be a UUID",
    "Invalid RFC3339 encoded datetime": "must be a time, as in 2026-03-14T09:26:53Z",
    "Invalid RFC3339 encoded date": "must be a date, as in 2026-03-14",
    "Integer value out of range": "is a number too large",
    "Number out of range": "is a number too large",
    "Input data was truncated": "it ends too early",
    "Object contains unknown field": "is not known here",
}
_TYPE = re.compile(r"Expected `([^`]+)`(?:, got `([^`]+)`)?")
_BOUND = re.compile(r"Expected `\w+`( of length)? (>=|<=|>|<) (\S+)")
_BOUNDS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
_MISSING = re.compile(r"Object missing required field `.*`|Missing required .*")


def in_words(message: str, *, of_text: bool = False) -> str:
    """A message of msgspec as a sentence about a field; `of_text`: the value stood in a URL, so it was a text."""
    if message in _KNOWN:
        return _KNOWN[message]
    if _MISSING.fullmatch(message):
        return "is required"
    if bound := _BOUND.fullmatch(message):
        return f"must be {_BOUNDS[bound[2]]} {bound[3]}{' long' if bound[1] else ''}"
    if not (wrong := _TYPE.fullmatch(message)):
        text = message.removeprefix("JSON is malformed: ")
        return text[:1].lower() + text[1:]
    wanted, got = _named(wrong[1]), _named(wrong[2] or "")
    plain = of_text or not got or {got, wanted} <= {"a number", "a whole number"}
    return f"must be {wanted}" if plain else f"must be {wanted}, not {got}"


def _named(kinds: str) -> str:
    return " or ".join(_KINDS.get(kind, kind) for kind in kinds.split(" | "))
