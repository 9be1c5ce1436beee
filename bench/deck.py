"""The deck on a real pseudo-terminal: its start, keys, share of a core and memory, beside what was to be reached.

A server of the bench answers in place of both APIs, with a million orders and up to 20 000 events a second.
"""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator

from bench.deck_server import ORDERS
from bench.deck_terminal import ROOT, RunningDeck, running_deck
from bench.ground import Ground
from bench.http_load import percentile
from bench.report import Row
from core.processes import die_with_parent
from tests.support.ports import free_port

FLOOD = 20_000  # events a second
SOAK_RATE = 5_000
KEYS = 60  # keys of each measurement
WATCHED = 10.0  # seconds of each share of a core
# What the soak goes through: the key of a view, and what is pressed there one after the other, each after esc.
_STOPS = {
    "1": ("", "/status:confirmed\r", "/customer:customer-001\r", "/min:100\r", "\x06" * 30, "G", "\r", "n", "?"),
    "2": ("", "/PaymentFailed\r", "/-type:Saga order\r", " ", " " + "\x02" * 30),
    "3": ("", "\x06" * 10, "\r"),
    "4": ("",),
    "5": ("",),
    "!": ("",),
}


def measure(_: Ground, soak_minutes: float) -> list[Row]:
    """With `soak_minutes`, only the memory after so long at 5 000 events a second."""
    with _server() as port:
        if soak_minutes:
            return [_soak(port, soak_minutes)]
        return [*_start(port), *_quiet(port), *_flooded(port)]


@contextlib.contextmanager
def _server() -> Generator[int]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.deck_server", str(port)],
        cwd=ROOT,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock taken
    )
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                _ask(port, "/health")
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit("the server of the bench does not start") from None
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


def _ask(port: int, path: str) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5):
        pass


def _row(what: str, figures: str, reach: str, *, met: bool, **data: float) -> Row:
    return Row(f"deck: {what}", figures, reach=reach, met=met, data=dict(data))


def _start(port: int) -> list[Row]:
    first, shown, wall = list[float](), list[float](), list[float]()
    for _ in range(5):
        with running_deck(port) as deck:
            deck.until("▸ Orders")
            wall.append(time.perf_counter() - deck.started)
            first.append(deck.cpu)
            deck.until(f"row 1/{ORDERS:,}")
            shown.append(deck.cpu)
    best = min(first)
    figures = (
        f"{best:.2f} s of CPU to the first picture, {min(shown):.2f} s to the first orders; {min(wall):.2f} s passed"
    )
    return [_row("start, best of 5", figures, "<= 0.40 s of CPU", met=best <= 0.4, cpu=best, orders=min(shown))]


@contextlib.contextmanager
def _opened(port: int, rate: int) -> Generator[RunningDeck]:
    _ask(port, "/rate/0")
    with running_deck(port) as deck:
        deck.until(f"row 1/{ORDERS:,}")
        deck.press("j", "row 2/")
        _ask(port, f"/rate/{rate}")
        deck.watch(2)
        yield deck
    _ask(port, "/rate/0")


def _moves(deck: RunningDeck) -> list[float]:
    """Seconds from each cursor key to its picture; the keys come at every moment between two ticks of the deck."""
    times: list[float] = []
    rows = itertools.cycle((*range(3, 33), *range(31, 1, -1)))
    before = 2
    for number, row in zip(range(KEYS), rows, strict=False):
        times.append(deck.press("j" if row > before else "k", f"row {row}/"))
        deck.watch(0.02 + 0.013 * (number % 7))
        before = row
    return times


def _switches(deck: RunningDeck) -> list[float]:
    times: list[float] = []
    for _ in range(KEYS // 4):
        times.append(deck.press("2", "received"))
        deck.watch(0.1)
        times.append(deck.press("1", "row "))
        deck.watch(0.1)
    return times


def _keys_row(what: str, times: list[float], share: float, most: float) -> Row:
    reached = percentile(times, share)
    figures = (
        f"p50 {percentile(times, 0.5):.0f} ms, p95 {percentile(times, 0.95):.0f} ms, most {1000 * max(times):.0f} ms"
    )
    return _row(what, figures, f"p{100 * share:.0f} <= {most:.0f} ms", met=reached <= most, reached=reached)


def _share(deck: RunningDeck) -> tuple[float, float]:
    """Percent of a core, and kilobytes a second to the terminal."""
    cpu, bytes_before, begin = deck.cpu, deck.received, time.perf_counter()
    deck.watch(WATCHED)
    seconds = time.perf_counter() - begin
    return 100 * (deck.cpu - cpu) / seconds, (deck.received - bytes_before) / seconds / 1_000


def _quiet(port: int) -> list[Row]:
    with _opened(port, 0) as deck:
        rows = [
            _keys_row("key to paint, idle", _moves(deck), 0.95, 35),
            _keys_row("view switch, idle", _switches(deck), 0.5, 40),
            _keys_row(f"page and jump in {ORDERS:,} orders", _pages(deck), 0.95, 50),
        ]
        share, _ = _share(deck)
        return [*rows, _row("idle", f"{share:.1f} % of a core", "<= 2 %", met=share <= 2, share=share)]


def _pages(deck: RunningDeck) -> list[float]:
    times: list[float] = []
    deck.press("g", "row 1/")
    for _ in range(KEYS // 2):
        times.append(deck.press("\x06", "row "))
        deck.watch(0.05)
    for _ in range(KEYS // 12):
        times.append(deck.press("G", "ORD-0000000000"))
        deck.watch(0.1)
        times.append(deck.press("g", f"ORD-{ORDERS - 1:010}"))
        deck.watch(0.1)
    return times


def _flooded(port: int) -> list[Row]:
    rows: list[Row] = []
    with _opened(port, FLOOD) as deck:
        rows.append(_keys_row(f"key to paint at {FLOOD:,} events/s", _moves(deck), 0.95, 60))
        rows += _shares(deck, "orders")
        deck.press("2", "received")
        rows += _shares(deck, "stream")
        rows.append(_row("memory after the flood", f"{deck.memory:.0f} MB", "<= 120 MB", met=deck.memory <= 120))
    return rows


def _shares(deck: RunningDeck, view: str) -> list[Row]:
    share, rate = _share(deck)
    return [
        _row(f"{view} at {FLOOD:,} events/s", f"{share:.0f} % of a core", "<= 25 %", met=share <= 25, share=share),
        _row(f"{view}, bytes to the terminal", f"{rate:.0f} kB/s", "<= 300 kB/s", met=rate <= 300, rate=rate),
    ]


def _soak(port: int, minutes: float) -> Row:
    most, early, late = dict[str, float](), 0.0, 0.0
    with _opened(port, SOAK_RATE) as deck:
        begin, stay = time.monotonic(), max(1.0, minutes * 60 / 40)
        stops = itertools.cycle([(view, keys) for view, each in _STOPS.items() for keys in each])
        while (passed := time.monotonic() - begin) < minutes * 60:
            view, keys = next(stops)
            deck.send("\x1b\x1b\x1b")
            deck.watch(0.3)
            deck.send(view)
            deck.watch(0.3)
            deck.send(keys)
            deck.watch(stay)
            late = deck.memory
            most[view] = max(most.get(view, 0.0), late)
            early = late if passed < minutes * 15 else early
            print(f"{time.monotonic() - begin:6.0f} s  {view} {keys[:24]!r:28} {late:.0f} MB", flush=True)
    highest = max(most.values())
    views = ", ".join(f"{view} {reached:.0f}" for view, reached in most.items())
    figures = f"most {highest:.0f} MB ({views}); {early:.0f} MB after a quarter of it, {late:.0f} MB at its end"
    what = f"memory in {minutes:g} min at {SOAK_RATE:,} events/s, all views and filters"
    return _row(what, figures, "<= 120 MB", met=highest <= 120, most=highest, early=early, late=late)
