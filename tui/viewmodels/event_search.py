"""What a filter needs to be asked of the service before it can be used: which order has a number, what an id is of."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple
from urllib.parse import quote
from uuid import UUID

from core.filters.log_places import from_milliseconds
from core.filters.words import FilterError, nearest
from tui.gateway import Gateway, GatewayError, ServiceRefused
from tui.viewmodels.event_filter import Condition, EventFilter, an_id
from tui.viewmodels.log_reader import PATH, LogPage, position_at, read_after
from tui.wire import WireOrder

BAD_REQUEST, NOT_FOUND = 400, 404
EARLIER = 2.0  # seconds that an event may be recorded before the time in its own id, since clocks differ


class Search(NamedTuple):
    """The filter to use, and the position of the one event that was asked for, if it was one."""

    choice: EventFilter
    position: int | None = None


async def understood(gateway: Gateway, choice: EventFilter) -> Search:
    """Raises FilterError for a number that no order has, or a type that no event has, and GatewayError."""
    if "type" in choice.params():
        await _check_types(gateway, choice)
    if choice.numbers:
        choice = choice.with_orders({number: await _order_of(gateway, number) for number in choice.numbers})
    if len(choice.words) == 1 and not choice.words[0].unwanted and (id_ := an_id(choice.words[0].values[0])):
        return await _of_id(gateway, choice, id_)
    return Search(choice)


async def _check_types(gateway: Gateway, choice: EventFilter) -> None:
    """The service knows all types. While it does not answer, the events that come in are filtered all the same."""
    asked = choice.params()["type"]
    try:
        await gateway.read(PATH, LogPage, {"type": asked, "limit": "1"})
    except ServiceRefused as error:
        if error.status == BAD_REQUEST:
            known = [name for name in str(error).rpartition("must be of ")[2].split(", ") if name.isalnum()]
            hint = f": {nearest(asked.strip('*'), known)}" if len(known) > 1 else ""
            raise FilterError(f"no type of event is like {asked.replace('*', '')}{hint}") from None
    except GatewayError:
        pass


async def _order_of(gateway: Gateway, number: str) -> str:
    try:
        return (await gateway.read(f"/api/v1/orders/number/{quote(number, safe='')}", WireOrder)).order_id.lower()
    except ServiceRefused as error:
        if error.status in (BAD_REQUEST, NOT_FOUND):
            raise FilterError(f"there is no order {number}") from None
        raise


async def _of_id(gateway: Gateway, choice: EventFilter, id_: str) -> Search:
    """The filter for the order or the stream with this id, or the place of the event with this id."""
    for name in ("order", "stream"):
        page = await gateway.read(PATH, LogPage, {f"{name}_id": id_, "limit": "1"})
        if page.events:
            named = Condition(name, (id_,))
            return Search(replace(choice, conditions=(*choice.conditions, named), words=()))
    if UUID(id_).version != 7:
        return Search(choice)
    at = from_milliseconds((UUID(id_).int >> 80) - int(EARLIER * 1_000))
    if at is None:
        return Search(choice)
    found = await read_after(gateway, choice, await position_at(gateway, at.isoformat()) - 1, wanted=1)
    return Search(choice, found.frames[0].position if found.frames else None)
