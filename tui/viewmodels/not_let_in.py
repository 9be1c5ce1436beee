"""What the views of admins say to whoever may not see them, once: each refusal is a row of the audit."""

from __future__ import annotations

from collections.abc import Sequence

from core.printable import clean
from tui.gateway import GatewayError, ServiceRefused
from tui.viewmodels.text import Cell

_SAID = {401: "A key is needed to see", 403: "Only admins may see"}


def refused_as(error: GatewayError) -> int:
    """The status with which a service has refused whoever asked; 0 for everything else that can go wrong."""
    return error.status if isinstance(error, ServiceRefused) and error.status in _SAID else 0


def is_of_the_key(error: GatewayError) -> bool:
    """Whether it is refused because of who asks, whatever is asked for."""
    return bool(refused_as(error))


def why_refused(what: str, status: int) -> str:
    """`Only admins may see the audit`."""
    return f"{_SAID[status]} {what}"


def refused_notice(what: str, status: int, sentence: str) -> Sequence[Cell]:
    """What stands in place of a list."""
    return (
        Cell(why_refused(what, status), "bad"),
        Cell(clean(sentence)),
        Cell("open the deck with a key that has the role admin; ctrl+r asks again", "dim"),
    )
