r"""Takes a filter text apart into words: `field:value,value`, `-field:value`, `field>value`, and free text.

Quotation marks keep blanks, commas and signs in a value: `customer:"Ada, Ltd"`. A `\` before a `"` keeps that too.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from core.domain.validation import CONTROL, composed

LONGEST_FILTER = 4_000  # characters
MOST_VALUES = 20  # of one field
LONGEST_VALUE = 200

_FIELD = re.compile(r"(?P<minus>-?)(?P<field>[^\W\d]\w*)(?P<sign>:?(?:>=|<=|>|<)|[:=])")


class FilterError(ValueError):
    """Its text is the sentence to show."""


@dataclass(frozen=True)
class FilterWord:
    """One word. Free text has no `field`. `sign` is `:`, `>`, `>=`, `<` or `<=`, and `typed` the word without marks."""

    typed: str
    values: tuple[str, ...]
    field: str = ""
    sign: str = ":"
    negated: bool = False
    quoted: bool = False

    @property
    def value(self) -> str:
        """Its one value. Raises FilterError when there are several."""
        value, *more = self.values
        if more:
            raise FilterError(f"{self.field}: takes one value, not {len(self.values)}")
        return value


class _Letter(NamedTuple):
    text: str
    quoted: bool


def words_of(text: str, fields: Sequence[str]) -> list[FilterWord]:
    """The words of a filter that knows these fields. Raises FilterError."""
    if len(text) > LONGEST_FILTER:
        raise FilterError(f"the filter has {len(text):,} characters, and may have {LONGEST_FILTER:,}")
    if CONTROL.search(text):
        raise FilterError("the filter has control characters in it")
    return [_word(letters, fields) for letters in _pieces(composed(text))]


def quoted(value: str) -> str:
    """The value as it can stand in a filter."""
    if re.fullmatch(r"[\w.@/+-]+", value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def nearest(word: str, known: Sequence[str]) -> str:
    """`did you mean …?` when a known word is near, else what there is."""
    near = difflib.get_close_matches(word.lower()[:40], known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def no_negation(word: FilterWord) -> None:
    if word.negated:
        raise FilterError(f"-{word.field}: only status, payment, customer, sku and currency can be left out")


def no_comparison(word: FilterWord) -> None:
    if word.sign != ":":
        raise FilterError(f"{word.field} cannot be compared: write {word.field}:{word.values[0]}")


def _pieces(text: str) -> list[list[_Letter]]:
    """The text cut at blanks that are not between quotation marks."""
    pieces = [list[_Letter]()]
    inside = False
    letters = iter(text)
    for letter in letters:
        if letter == '"':
            inside = not inside
            pieces[-1].append(_Letter("", quoted=True))
        elif inside and letter == "\\":
            pieces[-1].append(_Letter(next(letters, ""), quoted=True))
        elif letter.isspace() and not inside:
            pieces.append([])
        else:
            pieces[-1].append(_Letter(letter, quoted=inside))
    if inside:
        raise FilterError("a quotation mark is not closed")
    return [piece for piece in pieces if piece]


def _word(letters: list[_Letter], fields: Sequence[str]) -> FilterWord:
    typed = "".join(letter.text for letter in letters)
    bare = "".join(letter.text if not letter.quoted else "\0" * len(letter.text) for letter in letters)
    found = _FIELD.match(bare) if not letters[0].quoted else None
    if found is None:
        if not typed.strip():
            raise FilterError("there is nothing between the quotation marks")
        return FilterWord(typed, (typed,), quoted=any(letter.quoted for letter in letters))
    field = found["field"].lower()
    if field not in fields:
        hint = nearest(field, fields)
        raise FilterError(f"no field {field}: {hint.removesuffix('?') + ':?' if hint.endswith('?') else hint}")
    values = _values(field, _after(letters, found.end()))
    sign = found["sign"].lstrip(":").replace("=", ":") if found["sign"] in ("=", ":") else found["sign"].lstrip(":")
    return FilterWord(typed, values, field, sign or ":", negated=bool(found["minus"]))


def _after(letters: list[_Letter], end: int) -> list[_Letter]:
    """The letters after the first `end` characters; a mark of quotation has none."""
    passed = 0
    for n, letter in enumerate(letters):
        if passed == end:
            return letters[n:]
        passed += len(letter.text)
    return []


def _values(field: str, letters: list[_Letter]) -> tuple[str, ...]:
    values = [""]
    for letter in letters:
        if letter.text == "," and not letter.quoted:
            values.append("")
        else:
            values[-1] += letter.text
    if not any(values):
        raise FilterError(f"{field}: needs a value")
    if not all(value.strip() for value in values):
        raise FilterError(f"{field}: has nothing before or after a comma")
    if len(values) > MOST_VALUES:
        raise FilterError(f"{field}: has {len(values)} values, and may have {MOST_VALUES}")
    if max(map(len, values)) > LONGEST_VALUE:
        raise FilterError(f"{field}: has a value of more than {LONGEST_VALUE} characters")
    return tuple(values)
