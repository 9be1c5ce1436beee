"""The fault board: one line when a fault begins and one when it is over, and a sentence for /ready in between."""

from __future__ import annotations

from structlog.testing import capture_logs

from core.errors import DatabaseFault
from core.fault_board import FaultBoard

COLUMN = DatabaseFault("undefined column", "42703", 'column "x" does not exist')
GRANT = DatabaseFault("insufficient privilege", "42501")


def test_the_board_shows_a_fault_until_it_is_cleared_and_logs_it_once_with_its_traceback() -> None:
    board = FaultBoard()
    assert board.reason is None
    with capture_logs() as logs:
        for _ in range(3):
            board.report("the clock", COLUMN)
        assert "the clock" in board
        assert board.reason == f"{COLUMN} (the clock)"
        board.clear("the clock")
        board.clear("the clock")
    assert board.reason is None
    assert [entry["event"] for entry in logs] == ["meets a fault", "works again"]
    assert logs[0]["exc_info"] is COLUMN


def test_the_board_logs_a_fault_of_a_second_part_without_a_traceback_and_a_new_fault_with_one() -> None:
    board = FaultBoard()
    with capture_logs() as logs:
        board.report("reading", COLUMN)
        board.report("writing", COLUMN)
        board.report("writing", GRANT)
    assert [entry["exc_info"] for entry in logs] == [COLUMN, None, GRANT]
    assert board.reason == f"{COLUMN} (reading, and 1 more)"


def test_the_board_forgets_a_fault_that_is_not_reported_again_in_time() -> None:
    time = [0.0]
    board = FaultBoard(lambda: time[0])
    assert board.note("GET /orders", COLUMN, seconds=60)
    time[0] = 59
    assert not board.note("GET /orders", COLUMN, seconds=60)
    time[0] = 118
    assert board.reason is not None
    time[0] = 120
    assert board.reason is None
    assert board.note("GET /orders", COLUMN, seconds=60), "it begins anew"
