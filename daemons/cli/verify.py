"""`orderdeck verify`: prints whether the log and all that was made of it add up; the stack may run or be down."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import sqlite3
import sys
import time
from collections.abc import Callable
from uuid import UUID

import msgspec
import typer

from core import codec
from core.audit.verification import Ledger, Report, Tell, Verification
from core.bootstrap import freeze_evidence
from core.credentials import Show, show_nothing
from core.domain.provider import Charge
from core.errors import Unavailable
from core.home import Home
from core.sagas import SAGAS
from core.settings import Settings
from daemons.cli.output import say, say_json
from daemons.host import stack
from daemons.host.bounded_http import BROKEN, ask, shown
from daemons.payment_sandbox import charges, ledger

PAGE = 1_000  # charges that are read from the provider's ledger at once
MOST_PRINTED = 50  # violations
INVARIANTS = {
    "I1": "acknowledged commands are in the log, once",
    "I2": "positions and versions without gaps, in one order",
    "I3": "every reader has applied every event once",
    "I4": "each order's money, also by the provider's own ledger",
    "I5": "each SKU's stock: what came in is there, or was shipped",
    "I6": "every saga has come to an end that is allowed",
    "I7": "the read models and the sagas' rows are the log's folds",
    "I8": "no lease wrote after a later one",
    "I9": "the audit is as it was recorded, and none of it is missing",
}


MOST_CHARGES = 5_000_000  # with more, what answers is hardly our provider, and memory has an end


class _LedgerPage(msgspec.Struct):
    charges: list[charges.SandboxCharge]
    next_cursor: int | None = None


_page = msgspec.json.Decoder(_LedgerPage).decode


def run(settings: Settings, *, as_json: bool, wait: float) -> int:
    """Print the report; return the exit code, 0 when nothing is wrong, else 1."""
    began = time.monotonic()
    with stack.database(settings) as alone, _bar(shown=sys.stderr.isatty() and not as_json) as tell:
        report = asyncio.run(_verify(settings, wait, tell, alone=alone))
    report.seconds = round(time.monotonic() - began, 2)
    if as_json:
        say_json(codec.json(report).decode())
    else:
        say("\n".join(_lines(report)))
    return 1 if report.violated else 0


async def _verify(settings: Settings, wait: float, tell: Tell, *, alone: bool) -> Report:
    async with freeze_evidence(settings, wait=wait) as evidence:
        source, charges_of_provider = await _ledger(settings, alone=alone)  # read after our evidence was frozen
        report = await Verification(evidence, SAGAS, charges_of_provider, tell).run()
        report.ledger = source
        rows, last, hash_ = await evidence.audit_end()
        report.notes.append(f"the audit has {rows:,} rows; the last is row {last}, with the hash {hash_}")
        return report


async def _ledger(settings: Settings, *, alone: bool) -> tuple[str, Ledger | None]:
    """Where the provider's charges were read, and the charges: "http", "file" of a sandbox that is down, or "absent".

    `alone`: no other program of this home runs, so a sandbox that answers on our port belongs to another home.
    """
    if settings.payment_url or not alone:
        with contextlib.suppress(OSError, http.client.HTTPException, *BROKEN, msgspec.DecodeError):
            return "http", await asyncio.to_thread(_ledger_over_http, settings.payments_at, settings.shows_provider)
    path = Home(settings.home).ledger
    if settings.payment_url or not path.exists():
        return "absent", None
    try:
        return "file", {charge.payment_id: _charge(charge) for charge in ledger.charges_in(path)}
    except sqlite3.Error as error:
        raise Unavailable(f"the payment sandbox's ledger {path} cannot be read: {error}") from error


def _ledger_over_http(base_url: str, show: Show = show_nothing) -> Ledger:
    by_payment: dict[UUID, Charge] = {}
    after: int | None = 0
    while after is not None:
        url = f"{base_url}/ledger"
        page_asked = {"after": str(after), "limit": str(PAGE)}
        answer = ask(url, within=15, parameters=page_asked, headers=shown(show(url)))
        page = _page(answer.body)
        by_payment |= {charge.payment_id: _charge(charge) for charge in page.charges}
        if page.next_cursor is not None and (page.next_cursor <= after or len(by_payment) > MOST_CHARGES):
            raise ValueError("the ledger has no end")
        after = page.next_cursor
    return by_payment


def _charge(c: charges.SandboxCharge) -> Charge:
    return Charge(c.order_id, c.state.value, c.authorised, c.captured, c.refunded)


class _bar:  # noqa: N801 - callers use it as a function
    """Shows a progress bar on stderr within its block, when `shown`; yields the function that moves it."""

    def __init__(self, *, shown: bool) -> None:
        self._bar = typer.progressbar(length=100, file=sys.stderr) if shown else None
        self._at = 0

    def __enter__(self) -> Callable[[int, int], None]:
        if self._bar is not None:
            self._bar.__enter__()
            self._bar.render_progress()
        return self._tell

    def _tell(self, done: int, of: int) -> None:
        at = 100 * done // max(1, of)
        if self._bar is not None and at > self._at:
            self._bar.update(at - self._at)
            self._at = at

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.render_finish()


def _lines(report: Report) -> list[str]:
    counted = f"{report.events:,} events of {report.orders:,} orders, {report.skus:,} SKUs and {report.sagas:,} sagas"
    lines = [f"verified {counted} in {report.seconds:.1f} s, up to position {report.head}"]
    for name, what in INVARIANTS.items():
        lines.append(f"  {name}  {what:<58} {f'{report.broken[name]:,} WRONG' if name in report.broken else 'ok'}")
    if report.ledger == "absent":
        lines.append("the payment provider's ledger was not to be had: it is not compared")
    lines += report.notes
    if report.unfinished:
        lines.append(f"{_orders(report.unfinished)} not judged: their sagas are under way")
    amounts = "".join(f", {amount} {currency}" for currency, amount in sorted(report.unpaid_amounts.items()))
    count = "1 order" if report.unpaid == 1 else f"{report.unpaid:,} orders"
    lines.append(f"shipped and not paid: {count}{amounts}")
    lines += [
        f"  {each.order_number}  {each.amount} {each.currency}  order {each.order_id}: {each.why}"
        for each in report.unpaid_orders[:MOST_PRINTED]
    ]
    if report.unpaid > MOST_PRINTED:
        lines.append(f"  … and {report.unpaid - MOST_PRINTED:,} more; --json lists {len(report.unpaid_orders):,}")
    lines += [f"vouched for: {each}" for each in report.vouched]
    for finding in report.violations[:MOST_PRINTED]:
        where = [f"stream {finding.stream}"] if finding.stream else []
        where += [f"position {finding.position}"] if finding.position else []
        lines.append(f"WRONG  {finding.invariant}  {', '.join(where) or 'everywhere'}: {finding.what}")
    if report.violated > MOST_PRINTED:
        lines.append(f"… and {report.violated - MOST_PRINTED:,} more; --json lists {len(report.violations):,}")
    ends = {0: "nothing is wrong", 1: "one thing is wrong"}
    lines.append(ends.get(report.violated, f"{report.violated:,} things are wrong"))
    return lines


def _orders(count: int) -> str:
    return "1 order was" if count == 1 else f"{count:,} orders were"
