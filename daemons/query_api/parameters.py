"""The types of the query API's parameters, and the check that refuses what the framework would ignore."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any
from urllib.parse import parse_qsl
from uuid import UUID

from litestar import Request
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter, QueryParameter

from core.domain.validation import composed, unreadable
from core.errors import FieldError
from daemons.http.paths import whole
from daemons.http.problems import wrong_fields
from daemons.http.signatures import fields_of, takes_several

AnyRequest = Request[Any, Any, State]

LARGEST = 2**63 - 1
LONGEST_TEXT = 200
LONGEST_PARAMETER = 400
MOST_FIELDS = 400  # an address has at most 8 KiB
WANTED = f"must be UTF-8, percent-encoded, and have at most {MOST_FIELDS} fields"

# --- in the query -------------------------------------------------------------------------------------------
Limit = Annotated[int, QueryParameter(ge=1, le=100, description="How many at most.")]
ManyEvents = Annotated[int, QueryParameter(ge=1, le=1_000, description="How many events at most.")]
Offset = Annotated[int, QueryParameter(ge=0, le=2**31 - 1, description="How many to leave out; for shallow pages.")]
AfterPosition = Annotated[
    int, QueryParameter(ge=0, le=LARGEST, description="A place in the log; only what comes after it.")
]
AfterVersion = Annotated[
    int, QueryParameter(ge=0, le=2**31 - 1, description="A version of the stream; only what comes after it.")
]
Text = Annotated[str | None, QueryParameter(min_length=1, max_length=LONGEST_TEXT)]
CursorText = Annotated[
    str | None,
    QueryParameter(min_length=1, max_length=400, description="A next_cursor or prev_cursor, as it was given."),
]

# --- in the path: these types only describe the form in the OpenAPI document; `a_uuid` and `a_text` check it ----
IdInPath = Annotated[str, PathParameter(schema_extra={"format": "uuid"})]
TextInPath = Annotated[str, PathParameter(schema_extra={"minLength": 1, "maxLength": LONGEST_TEXT})]


async def refuse_strange_parameters(request: AnyRequest) -> None:
    """Refuse parameters that are unknown, given twice, too long, or hold control characters.

    It is the `before_request=` of the service: the framework ignores a misspelt parameter and one that is given twice.
    The RequestRefused that it raises names each of them.
    """
    query: bytes = request.scope["query_string"]
    if not query:
        return
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise wrong_fields(FieldError("query", WANTED)) from None
    known, values = _known(request.route_handler), dict(pairs)
    several = {name for name, may_be in known.items() if may_be}
    names = [name for name, _ in pairs]
    wrong = [
        FieldError(name, f"is not known here; known: {', '.join(known) or 'none'}") for name in values.keys() - known
    ]
    wrong += [FieldError(name, "is given twice") for name in values if names.count(name) > 1 and name not in several]
    wrong += {
        name: FieldError(name, why) for name, text in pairs if (why := unreadable(text, LONGEST_PARAMETER))
    }.values()
    if wrong:
        raise wrong_fields(*sorted(wrong, key=lambda error: error.field))


@cache
def _known(handler: HTTPRouteHandler) -> dict[str, bool]:
    """The names of a handler's query parameters, in their order, and whether each may be given several times."""
    declared = [(name, field.kwarg_definition, takes_several(field)) for name, field in fields_of(handler).items()]
    return {one.name or name: several for name, one, several in declared if isinstance(one, QueryParameter)}


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
