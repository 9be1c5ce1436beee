"""Snapshots: when a state is worth keeping, and which release may believe it. They save time only."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any, TypeVar

import msgspec

from core import codec
from core.domain.decider import Decider, SnapshotForm

S = TypeVar("S")

EVERY = 32  # events
BYTES_AN_EVENT = 320  # of a state: a large one is kept less often, so that keeping costs the same for each event


def spacing(text: str) -> int:
    """How many events after a snapshot of this length the next one is due."""
    return EVERY + len(text) // BYTES_AN_EVENT


def encode(form: SnapshotForm[S, Any], state: S) -> str:
    return msgspec.json.encode(form.save(state)).decode()


def decode(form: SnapshotForm[S, Any], text: str) -> S:
    """Raises msgspec.DecodeError for anything that `encode` would not have written."""
    return form.restore(msgspec.json.decode(text, type=form.stored))


def schema_hash(decider: Decider[Any, Any, Any]) -> bytes:
    """Of all that decides whether a snapshot is ours to read: the decider's revision, and the shape it is kept in.

    Nothing of the code goes into it, so it is the same in every release until one of these is changed on purpose.
    """
    form = decider.snapshot
    assert form is not None  # noqa: S101 - only who keeps snapshots asks
    return _hash(decider.category, form.revision, form.stored, codec.SCHEMA_VERSION)


@cache
def _hash(category: str, revision: int, stored: type, events_version: int) -> bytes:
    parts = (category, revision, events_version, msgspec.json.schema(stored))
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).digest()
