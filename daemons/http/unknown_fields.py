"""Finds the fields of a body that its type does not have, and says which known one a caller probably meant."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from operator import is_not
from types import NoneType, UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

import msgspec
from msgspec.structs import astuple

from core.errors import FieldError

LONGEST_NAME = 64  # a longer name is never taken for a misspelt one
LONGEST_SHOWN = 60
ALIKE = 0.82  # of difflib: `curency` is 0.93 like `currency`; `product_name` is 0.74 like `product_id`

ADDED = frozenset(
    """
    code id iso name value type kind number no nr num key text string str the my new your
    order item line product customer shipping ship delivery payment pay address stock inventory
    """.split()  # noqa: SIM905 - as a list it would be 30 lines
)
"""Words that people add to a name without meaning anything else: `currency_code`, `item_quantity`, `shippingCity`."""

SYNONYMS: Mapping[str, frozenset[str]] = {
    "qty": frozenset({"quantity"}),
    "count": frozenset({"quantity"}),
    "amount": frozenset({"quantity", "unit_price"}),
    "price": frozenset({"unit_price", "amount"}),
    "cost": frozenset({"unit_price"}),
    "postalcode": frozenset({"zip"}),
    "postal": frozenset({"zip"}),
    "postcode": frozenset({"zip"}),
    "plz": frozenset({"zip"}),
    "eircode": frozenset({"zip"}),
    "pincode": frozenset({"zip"}),
    "province": frozenset({"state"}),
    "region": frozenset({"state"}),
    "county": frozenset({"state"}),
    "prefecture": frozenset({"state"}),
    "emirate": frozenset({"state"}),
    "town": frozenset({"city"}),
    "locality": frozenset({"city"}),
    "address1": frozenset({"street"}),
    "addressline1": frozenset({"street"}),
    "line1": frozenset({"street"}),
    "ccy": frozenset({"currency"}),
    "cur": frozenset({"currency"}),
    "curr": frozenset({"currency"}),
    "paymethod": frozenset({"payment_method"}),
    "paidby": frozenset({"payment_method"}),
    "paywith": frozenset({"payment_method"}),
    "items": frozenset({"restock"}),
    "returns": frozenset({"restock"}),
    "returned": frozenset({"restock"}),
    "returnitems": frozenset({"restock"}),
    "returneditems": frozenset({"restock"}),
    "restockitems": frozenset({"restock"}),
    "returntostock": frozenset({"restock"}),
    "backtostock": frozenset({"restock"}),
    "method": frozenset({"payment_method"}),
    "lines": frozenset({"items"}),
    "lineitems": frozenset({"items"}),
    "orderitems": frozenset({"items"}),
    "products": frozenset({"items"}),
}
"""Other words for our fields. They are refused only where our field is left out: beside it, they say nothing new."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")
_Paths = list[tuple[str, str | None]]


def given_fields(value: msgspec.Struct) -> int:
    """How many fields of a decoded body, at all depths, were surely given: those that are not what they are by default.

    It makes no paths, so that a body that is as it should be costs very little.
    """
    defaults, made_anew, holding = _defaults(type(value))
    given = sum(map(is_not, astuple(value), defaults)) - made_anew
    for name in holding:
        member = getattr(value, name)
        if member.__class__ is tuple:
            given += sum(map(given_fields, member))
        elif hasattr(member, "__struct_fields__"):  # else a text or a bool stands in its place
            given += given_fields(member)
    return given


@cache
def _defaults(kind: type[msgspec.Struct]) -> tuple[Sequence[Any], int, Sequence[str]]:
    """What each field of a struct is when it is left out, and the names of those that may hold structs.

    The number is that of the fields whose default is made anew each time: nobody can tell whether they were given.
    """
    fields = msgspec.structs.fields(kind)
    known = [field for field in fields if field.default_factory is msgspec.NODEFAULT]
    holding = [field.name for field in known if _of_structs(field.type) is not None]
    return [field.default for field in fields], len(fields) - len(known), holding


def unknown_fields(value: Any, kind: Any, most: int) -> _Paths:
    """The path of each field at any depth that the type does not have, and the known name that was probably meant.

    Raises OverflowError when more than `most` different names are unknown: comparing each would take too long.
    """
    found: _Paths = []
    missing = tuple(name for name in _may_lack(kind) if isinstance(value, dict) and name not in value)
    _collect(value, kind, "", found, set(), most, missing)
    return found


@cache
def _may_lack(kind: type[msgspec.Struct]) -> Sequence[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind) if not field.required]


def not_known(path: str, meant: str | None) -> FieldError:
    return FieldError(path, f"is not known here: did you mean {meant}?" if meant else "is not known here")


def _collect(
    value: Any, kind: Any, path: str, found: _Paths, names: set[str], most: int, missing: tuple[str, ...]
) -> None:
    if isinstance(value, dict):
        known = _known(kind)
        if known is None:
            return
        members = cast("dict[str, Any]", value)
        for name, member in members.items():
            inner = known.get(name, _UNKNOWN)
            if inner is _UNKNOWN:
                names.add(name)
                if len(names) > most:
                    raise OverflowError
                place = f"{path}.{_shown(name)}".removeprefix(".")
                meant = _meant(name, tuple(known), members) or _meant_at_the_top(name, missing)
                found.append((place, meant))
            elif inner is not None and member.__class__ in (dict, list):
                _collect(member, inner, f"{path}.{name}".removeprefix("."), found, names, most, missing)
    elif get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        for n, each in enumerate(cast("list[Any]", value)):
            if each.__class__ is dict:
                _collect(each, inner, f"{path}[{n}]", found, names, most, missing)


_UNKNOWN: Any = object()


@cache
def _known(kind: Any) -> Mapping[str, Any] | None:
    """The names of a struct's fields; the value is the type of a field that holds structs, else None."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return None
    return {field.encode_name: _of_structs(field.type) for field in msgspec.structs.fields(kind)}


def bare_type(kind: Any) -> Any:
    """The type within an `Annotated` one, which puts limits into the OpenAPI document, or within a union.

    Of a union it is the type that holds structs, if there is one: `restock` is a bool or a list of them.
    """
    if get_origin(kind) is Annotated:
        return bare_type(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        kinds = [bare_type(each) for each in get_args(kind) if each is not NoneType]
        return next((each for each in kinds if _holds_structs(each)), kinds[0])
    return kind


def _of_structs(kind: Any) -> Any:
    kind = bare_type(kind)
    return kind if _holds_structs(kind) else None


def _holds_structs(kind: Any) -> bool:
    return _known(get_args(kind)[0] if get_origin(kind) is tuple else kind) is not None


def _meant(name: str, known: tuple[str, ...], given: Iterable[str]) -> str | None:
    if len(name) > LONGEST_NAME:
        return None
    alike, surely = _resembled(name, known)
    return alike if alike is not None and (surely or alike not in given) else None


def _meant_at_the_top(name: str, missing: tuple[str, ...]) -> str | None:
    """The optional field of the whole body that is left out there and was written further down, as `currency` was."""
    if len(name) > LONGEST_NAME:
        return None
    alike, surely = _resembled(name, missing)
    return f"{alike} at the top of the body" if alike is not None and surely else None


@lru_cache(maxsize=4096)
def _resembled(name: str, known: tuple[str, ...]) -> tuple[str | None, bool]:
    """The known name that this one resembles, and whether it does so by its letters: else only by its meaning."""
    words = _words(name)
    joined = "".join(words)
    if not joined:
        return None, False
    for each in known:
        own = _words(each)
        if joined == "".join(own) or _adds_little(words, own) or _adds_little_joined(joined, "".join(own)):
            return each, True
    for each in known:
        if each in SYNONYMS.get(joined, ()):
            return each, False  # before the letters are compared: a `county` is no misspelt country
    close = {"".join(_words(each)): each for each in known}
    if near := difflib.get_close_matches(joined, close, n=1, cutoff=ALIKE):
        return close[near[0]], True
    part_of = next((each for each in known if set(words) < set(_words(each))), None)
    return part_of, False


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(unicodedata.normalize("NFKC", name))]


def _adds_little(words: list[str], own: list[str]) -> bool:
    rest = [word for word in words if word not in own]
    return set(own) <= set(words) and all(word in ADDED or word.isdigit() for word in rest)


def _adds_little_joined(joined: str, own: str) -> bool:
    if joined == own or not (joined.startswith(own) or joined.endswith(own)):
        return False
    return joined.removeprefix(own) in ADDED or joined.removesuffix(own) in ADDED


def _shown(name: str) -> str:
    return name if len(name) <= LONGEST_SHOWN else f"{name[:LONGEST_SHOWN]}…"
