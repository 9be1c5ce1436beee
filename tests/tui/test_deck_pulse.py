"""The Pulse view: what both APIs measured of late, drawn without a zero where nothing is known; enter leads on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from tests.support.deck_harness import Clock, Deck, desk_with, opened
from tests.support.fake_gateway import FakeGateway
from tests.support.pictures import entries_of, same_picture
from tui.ascii import in_ascii
from tui.gateway import CommandAccepted, CommandToSend, TimedOut, Unreachable
from tui.receipts import Receipt
from tui.viewmodels.pulse import PATH, PulseModel, Tile, deck_tiles, percent
from tui.viewmodels.quarter_hour import BLOCKS, GAP, SECONDS, QuarterHour, spark

GOLDEN = Path(__file__).parent / "golden"
UNTIL = 1_800_000_000


def history(until: int = UNTIL, /, **series: Sequence[float | None]) -> dict[str, Any]:
    lines = [{"name": name.replace("__", "."), "unit": "x", "values": values} for name, values in series.items()]
    return {"service": "x", "started_at": "2026-03-14T09:00:00Z", "until": until, "series": lines}


def ramp(*values: float) -> list[float]:
    """A value for each stretch of the last 15 minutes."""
    return [value for value in values for _ in range(SECONDS // len(values))]


def busy() -> FakeGateway:
    gateway = desk_with(3)
    gateway.answers[PATH] = history(
        log__events=ramp(200, 400, 1_240),
        lag__projector__orders=[*ramp(0, 0.04), *(0.5 * n for n in range(12))],
        lag_events__projector__orders=[0.0] * SECONDS + [9_000.0],
        **{"lag.saga-runner": ramp(0.004), "lag_events.saga-runner": ramp(0)},
        sagas__completed=ramp(1),
        sagas__compensated=ramp(0, 0, 0.1),
        sagas__failed=ramp(0),
        sagas__seconds__p50=ramp(0.1),
        sagas__seconds__p95=ramp(0.4),
        sagas__seconds__p99=ramp(2, 4, 44),
    )
    gateway.answers[f"commands {PATH}"] = history(
        commands__recorded=[None] * 450 + ramp(300)[450:],
        commands__rejected=ramp(1),
        commands__conflicts=ramp(0),
        commands__failed=ramp(0),
        commands__seconds__p50=ramp(0.0018),
        commands__seconds__p95=ramp(0.004),
        commands__seconds__p99=ramp(0.0072),
    )
    return gateway


async def looked(model: PulseModel) -> dict[str, Tile]:
    await model.look("commands")
    await model.look("queries")
    return {tile.title: tile for tile in model.tiles()}


# --- bars -------------------------------------------------------------------------------------------------------------
def test_a_quarter_of_an_hour_keeps_what_it_knew_and_leaves_a_gap_where_nobody_measured() -> None:
    track = QuarterHour()
    track.take(100, [1, 2, 3])
    assert (track.values[-3:], len(track.values)) == ([1, 2, 3], SECONDS)
    track.take(101, [2, 3, 4])
    assert track.values[-5:] == [None, 1, 2, 3, 4]
    track.take(105, [9])  # the service has started again, and knows nothing of before
    assert track.values[-6:] == [3, 4, None, None, None, 9]
    track.take(105, [None])
    assert track.values[-1] == 9
    assert (track.latest(3), track.latest(1)) == ([9], [9])
    track.take(50, [7])  # a clock that was set back
    assert track.values[-2:] == [None, 7]
    track.take(10**12, [8] * 5_000)
    assert track.values == [8] * SECONDS


def test_bars_are_as_wide_as_they_should_be_and_no_gap_looks_like_a_zero() -> None:
    assert spark([0, None, 7, 14], 4) == "▁ ▅█"
    assert spark([None] * 900, 3) == GAP * 3
    assert spark([0.0] * 900, 3) == BLOCKS[0] * 3
    assert spark([0, 1, 1_000_000], 3) == "▁▂█", "little is more than nothing"
    assert spark([0.004] * 9, 3, full=1.0) == "▂▂▂"
    assert spark([], 2) == GAP * 2
    assert in_ascii(spark([0, None, 7, 14], 4)) == "- ##"
    assert spark([1, 1], 4) == "  ██", "at the right, where the time of now is"


@given(st.lists(st.none() | st.floats(0, 1e15), max_size=950), st.integers(-3, 300))
def test_bars_can_be_drawn_of_whatever_was_measured(values: list[float | None], width: int) -> None:
    assert len(spark(values, width)) == max(1, width)


# --- figures ----------------------------------------------------------------------------------------------------------
async def test_each_figure_says_what_it_is_now_and_where_it_comes_from() -> None:
    tiles = await looked(PulseModel(busy(), Clock()))
    now = {title: (tile.now, tile.cause) for title, tile in tiles.items()}
    assert now == {
        "events appended": ("1,240/s", ("stream", None)),
        "commands recorded": ("300/s", ("orders", None)),
        "commands took": ("p50 2ms", None),
        "commands refused": ("0.7%", ("stream", None)),
        "lag projector.orders": ("5.5s↗", ("daemons", "projector.orders")),
        "lag saga-runner": ("0", ("daemons", "saga-runner")),
        "sagas took": ("p50 100ms", ("sagas", None)),
        "sagas compensated": ("3.2%", ("sagas", "status:compensated")),
    }
    assert tiles["lag projector.orders"].note == "9,000 events  ↗ falling behind"
    assert tiles["lag projector.orders"].tone == "warn"
    assert tiles["commands refused"].note == "rejected 900  conflicts 0  failed 0"
    assert tiles["sagas compensated"].note == "30 of 930 that ended, 0 failed"
    assert (percent(0, 0), percent(0, 5), percent(5, 5)) == ("–", "0%", "100%")


async def test_what_is_not_known_is_told_with_the_reason_and_keeps_its_past() -> None:
    gateway = busy()
    clock = Clock()
    model = PulseModel(gateway, clock)
    assert {tile.now for tile in model.tiles()} == {"?"}
    await looked(model)
    gateway.commands_down = Unreachable("127.0.0.1:8080 does not answer")
    tiles = await looked(model)
    for title in ("commands recorded", "commands took", "commands refused"):
        assert (tiles[title].now, tiles[title].note) == ("?", "127.0.0.1:8080 does not answer")
        assert any(tiles[title].values), "what was measured before stays"
    assert tiles["events appended"].now == "1,240/s"
    gateway.queries_down = TimedOut("no answer within 5 s")
    assert {tile.now for tile in (await looked(model)).values()} == {"?"}
    gateway.commands_down = gateway.queries_down = None
    gateway.answers[PATH] = history(UNTIL + 60, log__events=[None] * 20, sagas__completed=[0, 0])
    tiles = await looked(model)
    assert (tiles["events appended"].now, tiles["events appended"].note) == ("?", "not measured now")
    assert (tiles["sagas took"].now, tiles["sagas took"].note) == ("–", "none ended in the last minute")
    assert int(gateway.reads[-1][1]["seconds"]) < 30
    clock.seconds += 400  # another view was on the screen meanwhile
    await looked(model)
    assert 400 <= int(gateway.reads[-1][1]["seconds"]) < 430


async def test_a_hostile_history_neither_grows_nor_breaks_the_model() -> None:
    gateway = busy()
    model = PulseModel(gateway, Clock())
    for n in range(5):
        names = [f"lag.\x1b[2J{n}-{m}" for m in range(500)]
        gateway.answers[PATH] = history(UNTIL + n, **{name: [1e15, 0, None] for name in names})
        tiles = await looked(model)
    assert len(model.tracks) <= 128
    assert all(text.isprintable() for tile in tiles.values() for text in (tile.title, tile.now, tile.note))


def test_the_deck_says_how_soon_its_own_commands_were_visible() -> None:
    def receipt(visible: float | None, kind: str = "order") -> Receipt:
        command = CommandToSend("confirm", "1", {}, kind)  # type: ignore[arg-type]
        return Receipt(command, CommandAccepted("1", "CONFIRMED", 1, 1), 3.0, visible, None)

    [write, paint] = deck_tiles([receipt(48), receipt(None), receipt(212), receipt(None, "saga")], [0.004, 0.006], 0.05)
    assert (write.now, write.note) == ("212ms", "your last 3: worst 212ms, 1 not seen in time")
    assert (paint.now, paint.note) == ("5ms", "worst of 2: 6ms  behind the feed 50ms")
    [write, paint] = deck_tiles([], [], None)
    assert (write.now, write.note, paint.now) == ("–", "you have sent no command yet", "–")
    [write, _] = deck_tiles([receipt(None)], [], None)
    assert (write.now, write.note) == ("–", "1 not seen in time")


# --- on the screen ----------------------------------------------------------------------------------------------------
async def still(deck: Deck) -> None:
    """The time that the deck itself takes to paint is different each time."""
    deck.desk.frames.clear()
    deck.desk.frames.extend([0.004, 0.006])
    deck.desk.behind._values.clear()
    deck.view("pulse")._paint()
    await deck.pilot.pause()


async def test_enter_leads_from_a_figure_to_its_cause_and_esc_back() -> None:
    async with opened(busy(), (80, 24)) as deck:
        await deck.press("5")
        await deck.shows("1,240/s")
        for word in (
            "events appended",
            "falling behind",
            "commands took",
            "your write → visible",
            "this deck paints in",
        ):
            await deck.press("home", *["j"] * 4)
            assert word in deck.text(), word
        await deck.press("enter")
        await deck.until(lambda: deck.app.deck.current == "daemons")
        await deck.press("[")
        await deck.until(lambda: deck.app.deck.current == "pulse")
        await deck.press("home", "j", "j", "enter")
        await deck.shows("no view shows what this comes from")
        deck.gateway.commands_down = Unreachable("127.0.0.1:8080 does not answer")
        deck.clock.seconds += 1
        await deck.shows("✖ the command API: 127.0.0.1:8080 does not answer")


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_pulse_view_looks_like_its_picture(size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    async with opened(busy(), size, entries_of("orders", "pulse")) as deck:
        deck.app.deck.show("pulse")
        await deck.shows("1,240/s")
        await deck.shows("300/s")
        await still(deck)
        await same_picture(deck, GOLDEN / f"pulse-{size[0]}x{size[1]}.txt", snapshot, svg=False)


async def test_the_sagas_that_wait_for_a_runner_are_told_with_the_age_of_the_oldest() -> None:
    gateway = busy()
    model = PulseModel(gateway, Clock())
    assert "sagas that wait" not in await looked(model), "of an older service nobody knows"

    async def waits(due: float, unstarted: float, seconds: float) -> Tile:
        series = {"backlog.due": [due], "backlog.unstarted": [unstarted], "backlog.seconds": [seconds]}
        gateway.answers[PATH] = history(**series)
        return (await looked(PulseModel(gateway, Clock())))["sagas that wait"]

    none, few, many = await waits(0, 0, 0), await waits(3, 2, 0.4), await waits(9_000, 1_234, 95)
    assert (none.now, none.note, none.tone) == ("0", "a runner has taken up all that are due", "")
    assert (few.now, few.note, few.tone) == ("5", "for a runner, the oldest for 400ms", "")
    assert (many.now, many.note, many.tone) == ("10,234", "for a runner, the oldest for 1m 35s", "warn")
    assert many.cause == ("sagas", None)
