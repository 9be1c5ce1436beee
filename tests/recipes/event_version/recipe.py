"""The recipe "Change an event": every edit that gives a field of OrderDelivered another name."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Replacement(NamedTuple):
    """Put `now` where `file` has `before`, once; without `before`, `now` is a new file."""

    file: str
    before: str
    now: str

    def apply(self, root: Path) -> None:
        path = root / self.file
        if not self.before:
            path.write_text(self.now, encoding="utf-8")
            return
        text = path.read_text(encoding="utf-8")
        assert text.count(self.before) == 1, (
            f"{self.file} has {self.before!r} {text.count(self.before)} times, not once"
        )
        path.write_text(text.replace(self.before, self.now), encoding="utf-8")


# --- 1. the event, and the code that uses the field -----------------------------------------------------------
EVENT = [
    Replacement(
        "core/domain/order.py",
        """frozen=True, kw_only=True):
    delivered_at: datetime
""",
        """frozen=True, kw_only=True):
    schema_version: ClassVar[int] = 2

    arrived_at: datetime
""",
    ),
    Replacement(
        "core/domain/order.py", "order_id=c.order_id, delivered_at=c.now", "order_id=c.order_id, arrived_at=c.now"
    ),
]

# --- 2. the step that reads what was stored before ------------------------------------------------------------
STEP = [
    Replacement(
        "core/upcasters.py",
        """STEPS: Steps = {
""",
        '''def order_delivered_2(stored: Json) -> Json:
    """The time has the name that carriers use."""
    return {**stored, "arrived_at": stored["delivered_at"]}


STEPS: Steps = {
    ("OrderDelivered", 1): order_delivered_2,
''',
    ),
]

# --- 3. and 4. the stored sample of the new version, and what both decode to ----------------------------------
SAMPLE = [
    Replacement(
        "tests/data/golden/OrderDelivered.v2.json",
        "",
        '{"order_id": "0195979f-3e40-7cc1-9d2e-1a2b3c4d5e6f", "arrived_at": "2026-03-14T15:09:26Z"}\n',
    )
]
PINNED = [
    Replacement(
        "tests/support/pinned.py",
        "order.OrderDelivered(order_id=ORDER, delivered_at=WHOLE)",
        "order.OrderDelivered(order_id=ORDER, arrived_at=WHOLE)",
    ),
    Replacement(
        "tests/support/pinned.py",
        """OLDER: Mapping[str, Sequence[Event]] = {
""",
        """OLDER: Mapping[str, Sequence[Event]] = {
    "OrderDelivered.v1.json": [order.OrderDelivered(order_id=ORDER, arrived_at=WHOLE)],
""",
    ),
]

# --- 6. the reference (5. is the schema, which a command writes) ----------------------------------------------
EVENTS_PAGE = [
    Replacement(
        "docs/reference/events.md",
        "| OrderDelivered | order_id, delivered_at | it has arrived |",
        "| OrderDelivered | order_id, arrived_at | it has arrived. In version 1, `arrived_at` was `delivered_at` |",
    )
]

EDITS = [*EVENT, *STEP, *SAMPLE, *PINNED, *EVENTS_PAGE]
