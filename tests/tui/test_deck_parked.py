"""The view of parked events: grouped by cause, retried and skipped with a reason, whatever the service says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from syrupy.assertion import SnapshotAssertion

from tests.support.deck_harness import opened
from tests.support.fake_gateway import FakeGateway
from tests.support.pictures import entries_of, same_picture
from tui.gateway import CommandToSend, ServiceRefused
from tui.http_reply import LetterReply, LetterReplyPart, letters_accepted
from tui.viewmodels.parked import PATH, ParkedLine, ParkedModel, ParkedPage, command, row_cells

GOLDEN = Path(__file__).parent / "golden"
SIZES = [(80, 24), (120, 36), (200, 60)]


def letter(n: int, fingerprint: str = "aaaa", **more: Any) -> dict[str, Any]:
    return {
        "id": f"letter-{n}",
        "reader": "projector.orders",
        "row": f"00000000-0000-7000-0000-00000000000{n}",
        "event_type": "OrderDelivered",
        "event_version": 99,
        "category": "order",
        "version": 5,
        "position": 100 + n,
        "correlation_id": f"order-{n}",
        "error": "OrderDelivered in schema 99 is not known here",
        "fingerprint": fingerprint,
        "tries": 1,
        "waiting": n,
        "first_failed_at": "2026-03-14T15:00:00Z",
        **more,
    }


def desk(*letters: dict[str, Any]) -> FakeGateway:
    gateway = FakeGateway()
    gateway.answers[PATH] = page(*letters)
    return gateway


def page(*letters: dict[str, Any], **more: int) -> dict[str, Any]:
    """`more`: by fingerprint how many there are of a cause, if not all of them are listed."""
    causes: dict[str, dict[str, Any]] = {}
    for each in letters:
        cause = causes.setdefault(
            each["fingerprint"],
            {"letters": 0, "event_types": [each["event_type"]], "since": each["first_failed_at"]}
            | {name: each[name] for name in ("fingerprint", "reader", "error")},
        )
        cause["letters"] += 1
    for name, count in more.items():
        causes[name]["letters"] = count
    listed = sorted(causes.values(), key=lambda cause: -cause["letters"])
    return {"dead_letters": list(letters), "total": sum(each["letters"] for each in listed), "causes": listed}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_list_of_parked_events_looks_like_its_picture(
    size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    other = letter(1, "bbbb", error="ValueError: other", category="inventory", event_type="StockAdjusted")
    gateway = desk(letter(2), letter(3, tries=4, retry_at="2026-03-14T15:20:00Z"), other)
    async with opened(gateway, size=size, views=entries_of("orders", "detail", "parked")) as deck:
        await deck.press("6")
        await deck.shows("3 rows wait behind")
        await same_picture(deck, GOLDEN / f"parked-{size[0]}x{size[1]}.txt", snapshot, svg=size[0] == 120)


def test_a_saga_that_waits_is_named_as_one() -> None:
    one = msgspec.convert(page(letter(1, reader="saga-runner")), ParkedPage, strict=False)
    event = one.dead_letters[0]
    shown = row_cells(ParkedLine(one.causes[0], event), event.first_failed_at)
    assert shown[0].text.strip() == "saga 000000000001"


async def test_events_are_grouped_by_cause_and_one_or_all_of_a_cause_are_retried() -> None:
    gateway = desk(letter(1, "bbbb", error="ValueError: other"), letter(2), letter(3))
    async with opened(gateway, size=(140, 36)) as deck:
        await deck.press("6")
        await deck.shows("3 rows wait behind an event that could not be applied")
        lines = [line for line in deck.lines() if "OrderDelivered" in line or "order 0000" in line]
        assert "2 × OrderDelivered" in lines[0]
        assert "1 × OrderDelivered" in next(line for line in lines if "1 ×" in line)
        await deck.press("r")
        await deck.shows("Retry 2 × OrderDelivered of cause aaaa?")
        await deck.press(*"mended", "enter")
        await deck.until(lambda: len(gateway.sent) == 1)
        await deck.press("j", "S")
        await deck.shows("Skip OrderDelivered at position 102?")
        await deck.press(*"never", "enter")
        await deck.until(lambda: len(gateway.sent) == 2)
        await deck.press("A")
        await deck.shows("Retry all of them?")
        await deck.press(*"all", "enter")
        await deck.until(lambda: len(gateway.sent) == 3)
    sent = [(each.verb, each.subject_id, dict(each.body), each.kind) for each, _ in gateway.sent]
    assert sent == [
        ("retry", None, {"reason": "mended", "fingerprint": "aaaa"}, "dead-letter"),
        ("skip", "letter-2", {"reason": "never"}, "dead-letter"),
        ("retry", None, {"reason": "all"}, "dead-letter"),
    ]


async def test_a_cause_is_not_skipped_as_a_whole_and_without_parked_events_no_key_does_anything() -> None:
    gateway = desk(letter(1))
    async with opened(gateway, size=(120, 36)) as deck:
        await deck.press("6")
        await deck.shows("1 row waits")
        await deck.press("S")
        await deck.shows("choose one event")
        gateway.answers[PATH] = page()
        await deck.press("ctrl+r")
        await deck.shows("Every event was applied")
        await deck.press("r", "A", "S", "x", "enter")
        await deck.shows("every event was applied")
    assert gateway.sent == []


async def test_what_the_service_says_is_shown_as_text_and_its_silence_as_such() -> None:
    evil = "\x1b[2J[bold]gone[/bold]\u202e"
    gateway = desk(letter(1, event_type=evil, error=evil, reader=evil, row=evil, fingerprint=evil, category=evil))
    async with opened(gateway, size=(120, 36)) as deck:
        await deck.press("6")
        await deck.shows("[bold]gone[/bold]")
        assert "\x1b" not in deck.text()
        del gateway.answers[PATH]
        await deck.press("ctrl+r")
        await deck.shows("✖ there is no /api/v1/admin/dead-letters")


async def test_whoever_may_not_see_parked_events_is_told_so_once_and_no_key_says_that_all_is_well() -> None:
    gateway = desk(letter(1))
    gateway.answers[PATH] = ServiceRefused(403, "role_too_low", "this needs the role admin, and ana has viewer")
    async with opened(gateway, size=(80, 24)) as deck:
        await deck.press("6")
        await deck.shows("open the deck with a key that has the role admin")
        assert "this needs the role admin, and ana has viewer" in deck.text()
        for _ in range(3):
            deck.clock.seconds += 10
            deck.app.deck.tick()
            await deck.pilot.pause()
        await deck.press("A")
        await deck.shows("Only admins may see parked events: ctrl+r asks again")
        assert [path for path, _ in gateway.reads].count(PATH) == 1, "each refusal would be a row of the audit"
        gateway.answers[PATH] = page(letter(1))
        await deck.press("ctrl+r")
        await deck.shows("1 row waits")


@pytest.mark.parametrize(("is_cause", "subject"), [(True, None), (False, "letter-1")])
async def test_a_command_names_one_event_or_a_cause(is_cause: bool, subject: str | None) -> None:  # noqa: FBT001 - a case of the table
    model = ParkedModel(desk(letter(1)))
    await model.read()
    line = next(each for each in model.lines if (each.event is None) is is_cause)
    assert isinstance(line, ParkedLine)
    assert command(line, "retry", "r").subject_id == subject


async def test_an_answer_that_cannot_be_read_keeps_what_was_known() -> None:
    gateway = desk(letter(1))
    model = ParkedModel(gateway)
    await model.read()
    del gateway.answers[PATH]
    with pytest.raises(ServiceRefused):
        await gateway.read(PATH, dict)
    await model.read()
    assert len(model.lines) == 2
    assert model.error


async def test_of_ten_thousand_events_of_one_cause_some_are_listed_and_a_rare_cause_is_seen_beside_it() -> None:
    gateway = desk()
    gateway.answers[PATH] = page(letter(2), letter(1, "bbbb", error="ValueError: rare"), aaaa=9_990)
    async with opened(gateway, size=(140, 36)) as deck:
        await deck.press("6")
        await deck.shows("9,991 rows wait")
        await deck.shows("2 causes, 2 of them are shown")
        await deck.shows("9,990 × OrderDelivered")
        await deck.shows("ValueError: rare")
        await deck.press("enter")
        await deck.shows("choose one event: a cause has several")
        await deck.press("r")
        await deck.shows("Retry 9,990 × OrderDelivered of cause aaaa?")
    assert gateway.reads[-1] == (PATH, {"limit": "200", "each": "50"})


def test_a_retry_of_more_than_are_tried_at_once_says_how_many_are_left() -> None:
    answer = LetterReply([LetterReplyPart("done")] * 200, 200, 0, 0, fitting=9_990)
    accepted = letters_accepted(CommandToSend("retry", kind="dead-letter"), answer, replayed=False)
    assert accepted.status == "200 done, 9,790 more when it is sent again"
