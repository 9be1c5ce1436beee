"""Upcasters: pure steps that lift a stored event from one schema version to the next, on plain JSON, for ever.

A step may rename, split or fill in fields, or turn the event into several. It knows no class of the domain, since these
change with every release and a step never does. Numbers with a fraction are decimals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

Json: TypeAlias = dict[str, Any]
StoredForm: TypeAlias = tuple[str, int]
"""The type of a stored event, and its schema version."""


class Lifted(NamedTuple):
    """What a stored event says in another shape."""

    event_type: str
    schema_version: int
    payload: Json


Step: TypeAlias = Callable[[Json], Json]
"""From a schema version of a type to the next one of the same type."""


@dataclass(frozen=True)
class Split:
    """The step of an event that has become events of other types: one or more, of the forms in `into`."""

    into: tuple[StoredForm, ...]
    lift: Callable[[Json], Sequence[Lifted]]


Steps: TypeAlias = Mapping[StoredForm, Step | Split]


# --- steps: never edited, since the events that they lift are in logs for ever -------------------------------
def order_created_2(stored: Json) -> Json:
    """Parts of the address that there are none of are left out, and the payment method is an object."""
    address = {name: part for name, part in stored["shipping_address"].items() if part != ""}
    return {**stored, "shipping_address": address, "payment_method": {"type": stored["payment_method"]}}


STEPS: Steps = {
    ("OrderCreated", 1): order_created_2,
}
"""The step that leads away from each form that is no longer recorded."""


def lift(event_type: str, schema_version: int, payload: Json, steps: Steps) -> Iterator[Lifted]:
    """What the event says in the forms from which no step leads on."""
    step = steps.get((event_type, schema_version))
    if isinstance(step, Split):
        for part in step.lift(payload):
            yield from lift(*part, steps)
    elif step is not None:
        yield from lift(event_type, schema_version + 1, step(payload), steps)
    else:
        yield Lifted(event_type, schema_version, payload)


def leads_to(form: StoredForm, steps: Steps) -> Iterator[StoredForm]:
    """The forms from which no step leads on and to which those lead that begin at this form."""
    step = steps.get(form)
    if step is None:
        yield form
        return
    event_type, version = form
    for following in step.into if isinstance(step, Split) else ((event_type, version + 1),):
        yield from leads_to(following, steps)
