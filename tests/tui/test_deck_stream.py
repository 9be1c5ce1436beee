"""The stream in a running deck: following, pausing, reading back, filtering, and the failures below it."""

from __future__ import annotations

from datetime import datetime

from tests.support.deck_harness import Deck, desk_with, opened
from tui.gateway import Unreachable
from tui.viewmodels.event_window import Gap


def positions(deck: Deck) -> list[str]:
    """What stands in the first column of the stream."""
    return [words[0] for line in deck.lines()[4:-7] if (words := line.replace("▌", "").split())]


async def test_the_stream_follows_and_pauses_and_counts_what_waits() -> None:
    gateway = desk_with(3)
    async with opened(gateway) as deck:
        await deck.press("2")
        gateway.place(10)
        await deck.caught_up()
        assert positions(deck)[-1] == str(len(gateway.log))
        await deck.press("space")
        before = deck.lines()[3:20]
        for n in range(20, 25):
            gateway.place(n)
        await deck.shows("⏸ 5 waiting")
        assert deck.lines()[3:20] == before
        await deck.press("space")
        await deck.shows("● FOLLOW")


async def test_moving_up_in_the_stream_pauses_it_and_the_end_follows_again() -> None:
    async with opened(desk_with(30)) as deck:
        await deck.press("2", "k")
        await deck.shows("⏸ PAUSED")
        await deck.press("G")
        await deck.shows("● FOLLOW")


async def test_types_can_be_hidden_and_failures_stay_pinned() -> None:
    gateway = desk_with(3)
    async with opened(gateway) as deck:
        await deck.press("2")
        await deck.shows("1 failure")
        await deck.press("f", "space", "j", "space", "escape")
        await deck.shows("2 of 12 types hidden")
        assert not any("InventoryRe" in line for line in deck.lines()[2:15])
        await deck.press("f", "*", "escape")
        await deck.until(lambda: "types hidden" not in deck.text())


def pages(deck: Deck) -> list[dict[str, str]]:
    return [asked for path, asked in deck.gateway.reads if path == "/api/v1/events"]


async def test_the_paused_stream_reads_back_to_the_beginning_of_the_log_and_says_what_it_is_doing() -> None:
    gateway = desk_with(150)
    async with opened(gateway) as deck:
        await deck.press("2", "g")
        await deck.until(lambda: positions(deck)[0] == "1")
        assert "⏸ PAUSED" in deck.text()
        before = deck.lines()[4:20]
        gateway.place(900)
        await deck.shows("⏸ 1 waiting")
        assert deck.lines()[4:20] == before
        await deck.press("t")
        await deck.type("#400")
        await deck.press("enter")
        await deck.until(lambda: "400" in positions(deck)[4:12])
        gateway.queries_down = Unreachable("desk.test does not answer")
        await deck.press("t", *"-2h", "enter")
        await deck.shows("✖ desk.test does not answer")
        gateway.queries_down = None
        await deck.press("escape", "t", *"9999999", "enter")
        await deck.shows("nothing was recorded there: the log ends at")
        assert "● FOLLOW" in deck.text()


async def test_a_time_leads_to_the_first_event_after_it_and_an_unknown_word_to_a_sentence() -> None:
    async with opened(desk_with(60)) as deck:
        await deck.press("2", "t")
        await deck.type("half past nine")
        await deck.press("enter")
        await deck.shows("✖ 'half past nine' is no time and no position: try 10:42")
        deck.view("stream").place.value = ""
        await deck.type("09:30")
        await deck.press("enter")
        await deck.until(lambda: deck.view("stream").table.has_focus)
        chosen = deck.view("stream").chosen
        assert (chosen.position, chosen.event_type) == (13, "PaymentFailed")
        assert f"{chosen.at:%H:%M:%S}" == "09:30:09"


async def test_the_filter_shows_what_fits_from_the_whole_log_and_says_what_is_wrong_with_it() -> None:
    gateway = desk_with(150)
    async with opened(gateway) as deck:
        await deck.press("2", "/")
        await deck.type("order:ORD-0000000002")
        await deck.press("enter")
        await deck.until(lambda: positions(deck) == list(map(str, range(9, 18))))
        assert "order_id" in pages(deck)[-1]
        await deck.press("/", "x")
        await deck.shows("✖ there is no order ORD-0000000002X")
        await deck.press("escape", "escape")
        await deck.until(lambda: "✖ there is no" not in deck.text() and deck.view("stream").filter.value == "")
        deck.desk.debounce = 0.05
        await deck.press("/", *"by:nobody", "enter", "escape", "t", *"zz", "enter")  # faster than the filter is read
        await deck.until(lambda: deck.view("stream").model.choice.everything and "✖ 'zz' is no time" in deck.text())
        deck.desk.debounce = 0
        await deck.press("escape", "/", *"typ:x")
        await deck.shows("✖ no field typ: did you mean type:?")
        await deck.press("escape", "escape", "k", "=")
        chosen = deck.view("stream").chosen.event_type
        await deck.until(lambda: deck.view("stream").filter.value == f"type:{chosen}")
        await deck.until(lambda: all(chosen in line for line in deck.lines()[4:20]))


async def test_what_y_copies_is_found_again_with_the_filter() -> None:
    gateway = desk_with(150)
    milliseconds = int(datetime.fromisoformat(gateway.log[6]["timestamp"]).timestamp() * 1_000)
    event_id = f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7abc-8abc-0123456789ab"
    gateway.log[6]["event_id"] = event_id
    async with opened(gateway) as deck:
        await deck.press("2", "t", "7", "enter")
        await deck.until(lambda: (row := deck.view("stream").chosen) is not None and row.event_id == event_id)
        await deck.press("y", "F", "/")
        await deck.type(event_id)
        await deck.press("enter")
        await deck.until(lambda: (row := deck.view("stream").chosen) is not None and row.position == 7)
        assert "7" in positions(deck)


async def test_each_failure_below_the_stream_opens_also_when_it_has_left_the_ring() -> None:
    gateway = desk_with(60)
    async with opened(gateway, size=(80, 24)) as deck:
        deck.desk.ring.capacity = 20  # the next events push the others out
        await deck.press("2", "tab", "k", "k")
        position = deck.view("stream").chosen.position
        deck.desk.ring.first = deck.desk.ring.end - 1
        await deck.press("enter")
        await deck.shows(f"PaymentFailed  at position {position}")
        await deck.press("escape")
        gateway.queries_down = Unreachable("desk.test does not answer")
        await deck.press("enter")
        await deck.shows(f"event {position} cannot be read: desk.test does not answer")
        gateway.queries_down = None
        await deck.press("tab")
        assert deck.view("stream").table.has_focus


async def test_events_that_never_came_in_are_a_row_that_leads_to_them_in_the_log() -> None:
    gateway = desk_with(40)
    async with opened(gateway) as deck:
        await deck.press("2")
        gateway.log += [{**gateway.log[-1], "position": len(gateway.log) + 1 + n} for n in range(60)]
        head = len(gateway.log)
        deck.desk.feed.take(b'event: skipped\ndata: {"after": 222, "before": %d, "count": 59}' % (head + 1))
        gateway.place(900)
        gateway.cut_feed()
        deck.desk.feed.retry_now()
        await deck.until(lambda: deck.desk.feed.position == head + 1)
        await deck.shows("events never came in")
        assert "lost " in deck.text()
        view = deck.view("stream")
        await deck.press("k", "k", "k")
        view.viewport.go(next(n for n in view.viewport.visible if isinstance(view.model.list.row(n), Gap)))
        await deck.press("enter")
        await deck.until(lambda: "never came in" not in "".join(deck.lines()[4:20]))
        assert view.chosen.position == 223
