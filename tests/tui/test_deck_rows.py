from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tui.viewmodels.rows import RowPage, RowWindow
from tui.viewmodels.viewport import Viewport

SIZE, PAGES = 3, 4


class RowWindowMachine(RuleBasedStateMachine):
    """A window over a list that grows at its newest end, paged by keyset as the server does it."""

    def __init__(self) -> None:
        super().__init__()
        self.newest = 20
        self.window: RowWindow[str] = RowWindow(key=lambda row: row.lower(), max_pages=PAGES)
        self.load()

    def older_than(self, n: int) -> RowPage[str]:
        rows = [f"R{i}" for i in range(n - 1, max(-1, n - 1 - SIZE), -1)]
        last = max(0, n - SIZE)
        return RowPage(rows, older=str(last) if last else None, newer=str(n - 1) if n <= self.newest else None)

    def newer_than(self, n: int) -> RowPage[str]:
        top = min(self.newest, n + SIZE)
        rows = [f"R{i}" for i in range(top, n, -1)]
        return RowPage(rows, older=str(n + 1), newer=str(top) if top < self.newest else None)

    @rule()
    def load(self) -> None:
        self.window.reset(self.older_than(self.newest + 1))

    @rule()
    def arrive(self) -> None:
        self.newest += 1

    @precondition(lambda self: self.window.older is not None)
    @rule()
    def down(self) -> None:
        before = {row: self.window.rank(row.lower()) for row in self.window}
        self.window.append(self.older_than(int(self.window.older or 0)))
        self.ranks_kept(before)

    @precondition(lambda self: self.window.newer is not None)
    @rule()
    def up(self) -> None:
        before = {row: self.window.rank(row.lower()) for row in self.window}
        self.window.prepend(self.newer_than(int(self.window.newer or 0)))
        self.ranks_kept(before)

    @rule(n=st.integers(0, 30))
    def change(self, n: int) -> None:
        held = self.window.rank(f"r{n}") is not None
        assert self.window.replace(f"R{n}") is held
        assert (self.window.find(f"r{n}") == f"R{n}") is held

    def ranks_kept(self, before: dict[str, int | None]) -> None:
        assert all(self.window.rank(row.lower()) in (rank, None) for row, rank in before.items())

    @invariant()
    def contiguous_bounded_and_indexed(self) -> None:
        numbers = [int(row[1:]) for row in self.window]
        assert numbers == list(range(numbers[0], numbers[-1] - 1, -1))
        assert len(self.window) <= SIZE * PAGES
        for rank in range(self.window.start, self.window.end):
            row = self.window.get(rank)
            assert row is not None
            assert self.window.rank(row.lower()) == rank


TestRowWindow = RowWindowMachine.TestCase
TestRowWindow.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("move"), st.integers(-50, 50)),
            st.tuples(st.just("resize"), st.integers(-1, 30)),
            st.tuples(st.just("bound"), st.integers(0, 100)),
            st.tuples(st.just("tail"), st.just(0)),
        ),
    ),
)
def test_the_chosen_row_is_always_a_row_and_visible(steps: list[tuple[str, int]]) -> None:
    view = Viewport()
    view.bound(0, 10)
    for step, n in steps:
        match step:
            case "move":
                view.move(n)
            case "resize":
                view.resize(n)
            case "bound":
                view.bound(n // 2, n)
                view.go(view.cursor)
            case _:
                view.tail()
        if view.end > view.first:
            assert view.first <= view.cursor < view.end
            assert view.cursor in view.visible
            assert view.first <= view.top


def test_nothing_scrolls_while_the_next_row_is_visible() -> None:
    view = Viewport(height=5)
    view.bound(0, 100)
    view.go(10)
    assert view.top == 6
    view.move(-4)
    assert view.top == 6
    view.move(-1)
    assert view.top == 5
