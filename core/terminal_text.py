"""Text for a terminal: a text in exactly so many cells, a duration in words, an amount of money."""

from __future__ import annotations

from decimal import Decimal

from rich.cells import cell_len, set_cell_size

from core.domain.money import DECIMALS, code_of
from core.printable import clean

MOST_DIGITS = 24  # of an amount; one with more is shown rounded


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` terminal cells, cut with an ellipsis."""
    if width <= 0:
        return ""
    used = cell_len(text)
    if used > width:
        return set_cell_size(text, width - 1) + "…"
    pad = " " * (width - used)
    return pad + text if right else text + pad


def span(seconds: float) -> str:
    """A duration in the units that fit its size: 40ms, 2.1s, 3m 05s, 2h 10m, 5d 03h."""
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h {minutes:02}m"
    return f"{hours // 24}d {hours % 24:02}h"


def counted(count: int, noun: str) -> str:
    """`1 key`, `1,000 keys`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def money(amount: Decimal | int | str, currency: str = "") -> str:
    """An amount with all decimals of its currency; without a known currency, with its own.

    Raises ArithmeticError or ValueError for what is no number.
    """
    number = Decimal(str(amount))
    if not number.is_finite() or abs(number.adjusted()) > MOST_DIGITS or len(str(number)) > 2 * MOST_DIGITS:
        text = f"{number:.6g}"
    else:
        least = Decimal(1).scaleb(-DECIMALS[code_of(currency)]) if code_of(currency) in DECIMALS else number
        text = f"{number.quantize(least) if number == number.quantize(least) else number:,f}"
    return f"{text} {clean(currency)}" if currency else text
