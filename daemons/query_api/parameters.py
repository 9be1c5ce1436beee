"""The types of the query API's parameters, and the check that refuses what the framework would ignore."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from typing import Annotated, Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

from litestar import Request
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter, QueryParameter

from core.codec import Shape
from core.domain.validation import composed, unreadable
from core.errors import FieldError
from daemons.http.paths import whole
from daemons.http.problems import wrong_fields
from daemons.http.signatures import fields_of, takes_several

Name = TypeVar("Name", bound=str)
AnyRequest = Request[Any, Any, State]

LARGEST = 2**63 - 1
LONGEST_TEXT = 200
LONGEST_PARAMETER = 400
MOST_FIELDS = 400  # an address has at most 8 KiB
WANTED = f"must be UTF-8, percent-encoded, and have at most {MOST_FIELDS} fields"
LONGEST_LIST = 8 * 1024  # characters of values with commas between: as long as an address may be
MOST_IDS = 100
MOST_KEPT = 1_000  # queries whose parameters are known; clients often send the same ones again
LONGEST_KEPT = 500  # bytes of such a query

# --- in the query -------------------------------------------------------------------------------------------
Limit = Annotated[int, QueryParameter(ge=1, le=100, description="How many at most.")]
ManyEvents = Annotated[int, QueryParameter(ge=1, le=1_000, description="How many events at most.")]
Offset = Annotated[int, QueryParameter(ge=0, le=2**31 - 1, description="How many to leave out; for shallow pages.")]
AfterPosition = Annotated[
    int, QueryParameter(ge=0, le=LARGEST, description="A place in the log; only what comes after it.")
]
BeforePosition = Annotated[
    int | None,
    QueryParameter(ge=0, le=LARGEST, description="A place in the log; only what comes before it, the nearest first."),
]
Moment = Annotated[
    str | None,
    QueryParameter(
        max_length=40,
        description="A time of ISO 8601, in UTC unless it has an offset, or a date, which is that whole day in UTC.",
        schema_extra={"anyOf": [{"format": "date-time"}, {"format": "date"}]},
    ),
]
AfterVersion = Annotated[
    int, QueryParameter(ge=0, le=2**31 - 1, description="A version of the stream; only what comes after it.")
]
PayloadShape = Annotated[
    Shape,
    QueryParameter(
        name="schema", description="The shape of payloads: lifted to the newest schema version, or as they are stored."
    ),
]
Text = Annotated[str | None, QueryParameter(min_length=1, max_length=LONGEST_TEXT)]
Several = Annotated[
    str | None,
    QueryParameter(
        min_length=1, max_length=1_000, description="One, or several with commas between; `A*` is all that fit."
    ),
]
SeveralIds = Annotated[
    str | None,
    QueryParameter(min_length=1, max_length=LONGEST_LIST, description="A UUID, or up to 100 with commas between."),
]
CursorText = Annotated[
    str | None,
    QueryParameter(min_length=1, max_length=400, description="A next_cursor or prev_cursor, as it was given."),
]

# --- in the path: these types only describe the form in the OpenAPI document; `a_uuid` and `a_text` check it ----
IdInPath = Annotated[str, PathParameter(schema_extra={"format": "uuid"})]
TextInPath = Annotated[str, PathParameter(schema_extra={"minLength": 1, "maxLength": LONGEST_TEXT})]


async def refuse_strange_parameters(request: AnyRequest) -> None:
    """Refuse parameters that are unknown, given twice, too long, or hold control characters.

    It is asked before each request, since the framework ignores a misspelt parameter and one that is given twice.
    The RequestRefused that it raises names each of them.
    """
    if request.scope["query_string"]:
        parameters_of(request)


def parameters_of(request: AnyRequest) -> Sequence[tuple[str, str]]:
    """The parameters of the query, with their texts. Raises RequestRefused, as above."""
    query: bytes = request.scope["query_string"]
    return (_kept if len(query) <= LONGEST_KEPT else _read)(request.route_handler, query)


def _read(handler: HTTPRouteHandler, query: bytes) -> Sequence[tuple[str, str]]:
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise wrong_fields(FieldError("query", WANTED)) from None
    known, values = known_parameters(handler), dict(pairs)
    names = [name for name, _ in pairs]
    wrong = [
        FieldError(name, f"is not known here; known: {', '.join(known) or 'none'}") for name in values.keys() - known
    ]
    wrong += [
        FieldError(name, "is given twice")
        for name in values
        if names.count(name) > 1 and not (name in known and known[name].several)
    ]
    wrong += {
        name: FieldError(name, why)
        for name, text in pairs
        if (why := unreadable(text, known[name].longest if name in known else LONGEST_PARAMETER))
    }.values()
    if wrong:
        raise wrong_fields(*sorted(wrong, key=lambda error: error.field))
    return tuple(pairs)


_kept = lru_cache(MOST_KEPT)(_read)


class KnownParameter(NamedTuple):
    """How many characters a parameter may have, and whether it may be given several times."""

    longest: int
    several: bool


@cache
def known_parameters(handler: HTTPRouteHandler) -> dict[str, KnownParameter]:
    """A handler's query parameters by their names, in their order."""
    return {
        one.name or name: KnownParameter(LONGEST_LIST if many else max(LONGEST_PARAMETER, one.max_length or 0), many)
        for name, field in fields_of(handler).items()
        if isinstance(one := field.kwarg_definition, QueryParameter)
        for many in [takes_several(field)]
    }


def several(name: str, text: str | None, known: Sequence[Name]) -> tuple[Name, ...]:
    """The names in a text that lists them with commas; one with `*` in it stands for all that it fits, in any case.

    Raises RequestRefused when one is not in `known`, or fits none of them.
    """
    names = [one.strip() for one in text.split(",")] if text is not None else []
    found = {one: [each for each in known if _fits(one, str(each))] for one in names}
    if unknown := [one for one, fitting in found.items() if not fitting]:
        raise wrong_fields(FieldError(name, f"{', '.join(unknown)}: must be of {', '.join(known)}"))
    return tuple(dict.fromkeys(each for fitting in found.values() for each in fitting))


def _fits(wanted: str, name: str) -> bool:
    pattern = "*" in wanted and wanted.replace("*", "").isalnum()
    return wanted == name or (pattern and fnmatchcase(name.lower(), wanted.lower()))


def several_uuids(name: str, text: str | None) -> tuple[UUID, ...]:
    """The UUIDs in a text that lists them with commas; raises RequestRefused if one is none, or for more than 100."""
    texts = text.split(",") if text is not None else []
    if len(texts) > MOST_IDS:
        raise wrong_fields(FieldError(name, f"has {len(texts)} ids, and at most {MOST_IDS} are allowed"))
    return tuple(a_uuid(name, one.strip()) for one in texts)


def a_uuid(name: str, text: str) -> UUID:
    """The UUID in a text from the path; raises RequestRefused when it is none."""
    try:
        if len(text) == 36:
            return UUID(text)
    except ValueError:
        pass
    raise wrong_fields(FieldError(name, "must be a UUID, such as 0195979f-3e40-7cc1-9d2e-000000000001"))


def a_text(name: str, text: str) -> str:
    """The text from the path as it is stored; raises RequestRefused when it is too long or no text can be so."""
    text = composed(whole(text))
    if why := unreadable(text, LONGEST_TEXT):
        raise wrong_fields(FieldError(name, why))
    return text
