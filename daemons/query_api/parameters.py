"""Parameters of a query: each is declared once, in a Struct that reads, checks and documents it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from litestar import Request
from litestar.datastructures import State
from msgspec import Meta

from core.domain.validation import wrong_text
from core.errors import FieldError
from daemons.http.problems import wrong_fields, wrong_json

P = TypeVar("P", bound=msgspec.Struct)
AnyRequest = Request[Any, Any, State]

LARGEST = 2**63 - 1
LONGEST_TEXT = 200

Limit = Annotated[int, Meta(ge=1, le=100, description="How many at most.")]
ManyEvents = Annotated[int, Meta(ge=1, le=1_000, description="How many events at most.")]
Offset = Annotated[int, Meta(ge=0, le=2**31 - 1, description="How many to leave out; for shallow pages.")]
Position = Annotated[int, Meta(ge=0, le=LARGEST, description="A place in the log; only what comes after it.")]
Version = Annotated[int, Meta(ge=0, le=2**31 - 1, description="A version of the stream; only what comes after it.")]
Text = Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT)]
CursorText = Annotated[
    str, Meta(min_length=1, max_length=400, description="A next_cursor or prev_cursor, as it was given.")
]


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a path takes after the question mark; each path has a Struct of its own."""


class NoParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


def parameters(request: AnyRequest, kind: type[P]) -> P:
    """The parameters of a request as their type.

    Raises RequestRefused, which names every parameter that is unknown or given twice, or else the first wrong one.
    """
    query: bytes = request.scope["query_string"]
    if not query:
        return kind()
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise wrong_fields(FieldError("query", "must be UTF-8, percent-encoded, and have at most 50 fields")) from None
    given = dict(pairs)
    known = kind.__struct_fields__
    wrong = [
        FieldError(name, f"is not known here; known: {', '.join(known) or 'none'}")
        for name in given.keys() - set(known)
    ]
    wrong += [FieldError(name, "is given twice") for name in given if sum(name == other for other, _ in pairs) > 1]
    wrong += [FieldError(name, why) for name, text in given.items() if (why := wrong_text(text, 400))]
    if wrong:
        raise wrong_fields(*sorted(wrong, key=lambda w: w.field))
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        wrong = wrong_json(error)
        if len(wrong.fields) == 1 and (allowed := _allowed(kind, wrong.fields[0].field)):
            wrong = wrong_fields(FieldError(wrong.fields[0].field, allowed))
        raise wrong from None


def _allowed(kind: type[msgspec.Struct], name: str) -> str:
    """What a parameter takes, in words, where msgspec would show a type or a pattern; empty where it would not."""
    declared = get_type_hints(kind, include_extras=True).get(name)
    for part in (declared, *get_args(declared)):
        if get_origin(part) is Literal:
            return f"must be one of {', '.join(get_args(part))}"
        for meta in getattr(part, "__metadata__", ()):
            if meta.pattern is not None:
                return f"must be {meta.description}"
    return ""


def a_uuid(name: str, text: str) -> UUID:
    """A UUID in its usual form, from the path."""
    try:
        if len(text) == 36:
            return UUID(text)
    except ValueError:
        pass
    raise wrong_fields(FieldError(name, "must be a UUID, such as 0195979f-3e40-7cc1-9d2e-000000000001"))


def a_text(name: str, text: str) -> str:
    """A name from the path."""
    if why := wrong_text(text, LONGEST_TEXT):
        raise wrong_fields(FieldError(name, why))
    return text
