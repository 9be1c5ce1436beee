"""Snapshots: when to store one, and which releases may read it. Without any, loading is only slower."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any, TypeVar

import msgspec

from core import codec
from core.domain.decider import Decider, SnapshotForm

S = TypeVar("S")

EVERY = 32  # events
BYTES_AN_EVENT = 320  # of a state: a large state is stored less often, so that the cost for each event stays the same


def spacing(text: str) -> int:
    """After how many events the next snapshot is due, when the last one is this long."""
    return EVERY + len(text) // BYTES_AN_EVENT


def encode(form: SnapshotForm[S, Any], state: S) -> str:
    return msgspec.json.encode(form.save(state)).decode()


def decode(form: SnapshotForm[S, Any], text: str) -> S:
    """Raises msgspec.DecodeError for anything that `encode` would not have written."""
    return form.restore(msgspec.json.decode(text, type=form.stored))


def schema_hash(decider: Decider[Any, Any, Any]) -> bytes:
    """A hash that tells whether this release can read a snapshot.

    It is made of the decider's revision, of the stored fields, and of the schema versions of the events. It does not
    depend on the code, so it is the same in every release until somebody changes one of these.
    """
    form = decider.snapshot
    assert form is not None  # noqa: S101 - it is called only for deciders with snapshots
    return _hash(decider.category, form.revision, form.stored, _events_version(decider.category))


def _events_version(category: str) -> int:
    """A number that rises with each new schema version of an event of the category."""
    return 1 + sum(kind.schema_version - 1 for kind in codec.EVENTS_OF.get(category, ()))


@cache
def _hash(category: str, revision: int, stored: type, events_version: int) -> bytes:
    parts = (category, revision, events_version, msgspec.json.schema(stored))
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).digest()
