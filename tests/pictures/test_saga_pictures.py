"""The picture of a saga shows every try, folds what is quiet, and stays within its width, whatever the service says."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion

from core.pictures.axis import axis_of
from core.pictures.export import svg_of, text_of
from core.pictures.marks import drawn
from core.pictures.picture import MOST_LANES, Picture, picture_of
from core.pictures.shapes import PicturedSaga, WireLane, WireTry
from core.pictures.tracks import tracks_of
from core.printable import clean
from tests.support.pictured_sagas import BEGAN, DONE, SCENES, STUCK, UNDER_WAY, UNDOING, at, lane, saga, tried
from tests.support.strategies import EVERY_HEALTH_CHECK

GOLDEN = Path(__file__).parent / "golden"


# --- how it looks -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("name", SCENES)
def test_a_saga_looks_like_its_picture(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    picture = picture_of(*SCENES[name], width)
    for text, path in (
        (text_of(picture), GOLDEN / f"{name}-{width}.txt"),
        *([(svg_of(picture), GOLDEN / f"{name}.svg")] if width == 120 else []),
    ):
        if snapshot.update_snapshots:
            path.write_text(text)
        assert text == path.read_text(), "it looks different; if that is meant, say `make golden`"


def lines(saga_: PicturedSaga, now: datetime, width: int = 80) -> list[str]:
    return text_of(picture_of(saga_, now, width)).splitlines()


def line_with(text: str, saga_: PicturedSaga, now: datetime, width: int = 80) -> str:
    return next(line for line in lines(saga_, now, width) if text in line)


def test_a_try_that_is_under_way_grows_with_the_time() -> None:
    both = replace(UNDER_WAY, lanes=(*(UNDER_WAY.lanes or ()), lane("other", "do something else", None, tried(0, 1))))
    shares = [line_with("► other", both, at(second)).count("█") for second in (1, 3, 9)]
    assert shares == sorted(set(shares), reverse=True), "beside it, what has ended takes less and less room"
    assert "9.0s" in line_with("► authorize", UNDER_WAY, at(9.02))


def test_a_planned_try_is_counted_down_and_is_due_in_the_end() -> None:
    undo = [line_with("◄ void the payment", UNDOING, at(second)) for second in (43, 52, 54)]
    assert [line.split("╌")[-1].strip() for line in undo] == ["in 10s ▷", "in 1s ▷", "due now ▷"]
    assert "try in 10s" in "\n".join(lines(UNDOING, at(43)))


def test_an_undo_stands_below_its_step_with_what_is_open() -> None:
    shown = lines(UNDOING, at(45))
    rows = [n for n, line in enumerate(shown) if line.startswith(" ► ")]
    assert [shown[n + 1][:20].rstrip() for n in rows] == [
        " ◄ cancel the order", " ◄ release the stock", " ◄ void the payment", " ◄ nothing to undo",
    ]  # fmt: skip
    beside = [" ".join(shown[row + 1 : row + 3]) for row in rows[:3]]
    assert all(f"! {item}" in text for item, text in zip(
        ("order ORD-7KX2M9QA3C is not cancelled", "1 x LAPTOP-001 may be held", "1299.00 USD may be authorised"),
        beside, strict=True,
    ))  # fmt: skip
    assert "Done when:  void the payment, release the stock, cancel the order" in " ".join(shown)


def test_a_quiet_stretch_is_folded_and_says_how_long_it_was() -> None:
    assert "┄38s┄" in "".join(lines(UNDOING, at(45)))
    assert "┄" not in "".join(lines(DONE, at(900))), "a saga that has ended does not grow old"
    assert "┄2h┄now" in "".join(lines(STUCK, at(9_300)))


def test_what_the_service_does_not_tell_is_said() -> None:
    older = replace(STUCK, lanes=None, steps={"void_payment": "FAILED"})
    assert "it is of an older release" in "\n".join(lines(older, at(300)))
    assert "does not know the steps" in "\n".join(lines(replace(STUCK, lanes=()), at(300)))
    back = saga("any", "RUNNING", lane("one", "", None, tried(5, 4), tried(3, 3.5)), updated_at=at(5))
    assert "a clock was set back" in "\n".join(lines(back, at(6)))
    assert "a clock" not in "\n".join(lines(UNDOING, at(45)))


def test_tries_that_the_service_no_longer_has_are_counted_too() -> None:
    last = tuple(tried(n, n + 0.5, "failed", n + 1) for n in range(250, 350))
    many = saga("any", "RUNNING", lane("one", "", None, *last, status="RUNNING"), updated_at=at(351))
    assert "350×" in line_with("► one", many, at(400))


def test_many_tries_and_many_lanes_are_drawn_quickly_and_counted() -> None:
    tries = tuple(tried(n * 60, n * 60 + 0.3, "failed", n + 1, error="no") for n in range(10_000))
    many = saga("any", "RUNNING", lane("one", "", None, *tries, status="RUNNING"), updated_at=at(600_000))
    wide = saga("any", "RUNNING", *(lane(f"step {n}", "", "undo", tried(n, n + 0.5)) for n in range(10_000)))
    begun = time.process_time()
    assert "×9,9" in line_with("► one", many, at(600_010))
    assert f"and {10_000 - MOST_LANES:,} more steps" in "\n".join(lines(wide, at(20_000)))
    assert time.process_time() - begun < 2


# --- whatever the service says ------------------------------------------------------------------------------
MOMENTS = st.none() | st.one_of(
    st.floats(-1e4, 1e6).map(at),
    st.integers(0, 5).map(at),
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
)
ODD = ["", "void", "取消订单", "\x1b[31m[bold]\n", "\u202e\uffff\ud800<script>&\"'", "x" * 300]
TEXTS = st.sampled_from(ODD) | st.text(max_size=12)
TRIES = st.builds(
    WireTry,
    direction=st.sampled_from(["forward", "backward", "sideways"]),
    attempt=st.integers(0, 12) | st.just(2**62),
    started_at=MOMENTS,
    ended_at=MOMENTS,
    outcome=st.sampled_from(["ok", "failed", "running", "skipped", "lost", ""]),
    error=st.none() | TEXTS,
    retry_at=MOMENTS,
    final=st.booleans(),
)
STATUSES = st.sampled_from(["PENDING", "RUNNING", "DONE", "FAILED", "SKIPPED", "NOT_NEEDED", "MELTED"])
LANES = st.builds(
    WireLane,
    step=TEXTS,
    does=TEXTS,
    undo=st.none() | TEXTS,
    status=STATUSES,
    undo_status=STATUSES,
    tries=st.lists(TRIES, max_size=8).map(tuple),
    open=st.lists(TEXTS, max_size=4).map(tuple),
)
SAGAS = st.builds(
    PicturedSaga,
    saga_id=TEXTS,
    name=TEXTS,
    order_id=TEXTS,
    status=st.sampled_from(["RUNNING", "COMPENSATING", "COMPLETED", "FAILED", "RESOLVED", "ASLEEP"]),
    step=TEXTS,
    last_error=st.none() | TEXTS,
    held_by=st.none() | TEXTS,
    started_at=MOMENTS,
    updated_at=MOMENTS,
    deadline=MOMENTS,
    next_attempt_at=MOMENTS,
    lease_until=MOMENTS,
    lanes=st.none() | st.lists(LANES, max_size=3).map(tuple),
)


@given(SAGAS, MOMENTS.map(lambda at_: at_ or BEGAN), st.integers(0, 220))
@settings(max_examples=60, suppress_health_check=EVERY_HEALTH_CHECK, deadline=None)
def test_nothing_overlaps_nothing_sticks_out_and_every_try_is_counted(
    any_saga: PicturedSaga, now: datetime, width: int
) -> None:
    picture = picture_of(any_saga, now, width)
    fits(picture)
    tracks = tracks_of(any_saga, any_saga.lanes or (), now)
    axis = axis_of(tracks, 41)
    assert all(before <= after for before, after in pairwise(axis.columns))
    assert (axis.columns[0], axis.columns[-1]) == (0, 41)
    shown = Counter(
        (id(track.lane), track.forward)
        for track in axis.tracks
        for *_, bar in drawn(track.bars, axis)
        for _ in range(bar.count)
    )
    sent = Counter((id(one), each.direction != "backward") for one in any_saga.lanes or () for each in one.tries)
    assert shown == sent


def fits(picture: Picture) -> None:
    for row in picture.rows:
        assert all(mark.text and mark.at >= 0 for mark in row)
        assert all(before.end <= after.at for before, after in pairwise(row)), row
        assert all(mark.end <= picture.width for mark in row), row
    text = text_of(picture)
    assert all(clean(line) == line and cell_len(line) <= picture.width for line in text.splitlines())
    image = ET.fromstring(svg_of(picture))  # noqa: S314 - our own document
    assert {element.tag.split("}")[1] for element in image.iter()} <= {"svg", "title", "rect", "g", "text"}


def test_an_answer_of_the_service_is_read_with_whatever_is_missing() -> None:
    least = {"saga_id": "1", "name": "any", "order_id": "2", "status": "NEW", "lanes": [{"step": "one", "tries": [{}]}]}
    read = msgspec.convert(least, PicturedSaga)
    fits(picture_of(read, BEGAN, 80))
    assert "?" in line_with("► one", read, BEGAN)
