"""One run: a real stack under a plan's customers and strikes, then quiet, then everything is held against the log."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from core.failpoints import deaths
from tests.chaos.audit import Evidence, gather, violations
from tests.chaos.books import Books
from tests.chaos.customers import Crowd
from tests.chaos.mutants import Mutant
from tests.chaos.nemesis import Nemesis
from tests.chaos.plan import RARE, Plan
from tests.support.customers import customers_of
from tests.support.stack import Stack

LINE = {"event", "level", "daemon", "timestamp"}  # what every line of a log has
STAYS = 3  # looks in a row, a second apart

UNFINISHED = """
SELECT (SELECT count(*) FROM sagas WHERE status IN ('RUNNING', 'COMPENSATING')) AS sagas,
       (SELECT coalesce(max(position), 0) FROM events) - min(position) AS behind
  FROM checkpoints WHERE reader IN ('projector.orders', 'projector.stock', 'saga-runner')
"""


@dataclass
class Report:
    plan: Plan
    books: Books
    struck: Counter[str]
    died: Counter[str]
    evidence: Evidence
    seconds: float
    quiet_after: float | None
    violations: Sequence[str]
    verified: str

    def __str__(self) -> str:
        def told(counts: Counter[str]) -> str:
            return ", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "none"

        quiet = "never" if self.quiet_after is None else f"after {self.quiet_after:.0f} s"
        ends = Counter(self.evidence.statuses.values())
        money = Counter(charge["state"] for charge in self.evidence.charges)
        lines = [
            f"orders      {told(ends)}; {len(self.evidence.log)} events",
            f"provider    {told(money)}",
            f"answers     {told(self.books.answers)}",
            f"killed      {told(self.struck)}",
            f"failpoints  {told(self.died)}",
            f"quiet       {quiet}, {self.seconds:.0f} s in all",
            f"verify      {self.verified}",
            f"violations  {len(self.violations) or 'none'}",
        ]
        return "\n".join(lines + [f"  - {what}" for what in self.violations[:20]])


def run(plan: Plan, *, mutant: Mutant | None = None, logs: Path | None = None) -> Report:
    with tempfile.TemporaryDirectory(prefix="od-chaos-") as folder:
        settings = {"ORDERDECK_FAILPOINTS": plan.failpoints, "LOG_LEVEL": "WARNING"}
        with Stack(Path(folder) / "home", **settings, **(mutant.environment if mutant else {})) as stack:
            stack.up()
            try:
                return asyncio.run(_run(plan, stack, mutant))
            finally:
                if logs is not None:
                    shutil.copytree(stack.home.logs, logs, dirs_exist_ok=True)


async def _run(plan: Plan, stack: Stack, mutant: Mutant | None) -> Report:
    if mutant is not None:
        await mutant.switch_off(stack.home.dsn())
    began = time.monotonic()
    async with customers_of(stack) as customers:
        await _stock(stack, plan)
        books, nemesis = Books(), Nemesis(stack, customers)
        crowd = Crowd(customers, books, began + plan.wanted.seconds + plan.wanted.patience)
        async with asyncio.TaskGroup() as group:
            group.create_task(crowd.live(plan))
            group.create_task(nemesis.strike(plan))
        await nemesis.calm()
        calm = time.monotonic()
        wrong: list[str] = []
        quiet = await _quiet(stack.home.dsn(), calm + plan.wanted.patience)
        if quiet is not None:
            wrong.append(quiet)
        quiet_after = None if quiet else time.monotonic() - calm
        evidence = await gather(stack.home.dsn(), await customers.ledger())
        wrong += [*violations(books, evidence), *_errors(stack.home.logs)]
        verified, found = await asyncio.to_thread(_verify, stack)
    struck, died = nemesis.done, Counter(deaths(stack.home.path))
    return Report(plan, books, struck, died, evidence, time.monotonic() - began, quiet_after, wrong + found, verified)


async def _stock(stack: Stack, plan: Plan) -> None:
    async with customers_of(stack) as customers:
        path = f"/api/v1/inventory/{RARE}/receipts"
        headers = {"Idempotency-Key": "rare"}
        while True:
            answer = await customers.commands.post(path, json={"quantity": plan.rare}, headers=headers)
            if answer.status_code == 201:
                return


async def _quiet(dsn: str, until: float) -> str | None:
    """None once every saga has ended and both readers are at the head, and that stays so; else what is unfinished."""
    stays, seen = 0, "the database is away"
    while stays < STAYS:
        if time.monotonic() > until:
            return f"not quiet in time: {seen}"
        try:
            connection = await asyncpg.connect(dsn)
            row = await connection.fetchrow(UNFINISHED)
            await connection.close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            stays, seen = 0, repr(error)
        else:
            stays = stays + 1 if row["sagas"] == row["behind"] == 0 else 0
            seen = f"{row['sagas']} sagas unfinished, a reader is {row['behind']} events behind"
        await asyncio.sleep(1)
    return None


def _errors(logs: Path) -> list[str]:
    """What the daemons themselves call their fault, one of each kind; the provider's are those that were asked for."""
    found: dict[str, list[str]] = {}
    for path in sorted(logs.glob("*.log")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if '"level": "error"' in line and path.stem != "payment-sandbox":
                said = json.loads(line) if line.endswith("}") else {"event": line}  # cut off by a kill
                found.setdefault(f"{path.stem} says: {said['event']}", []).append(_cause(said))
    return [f"{what} ({len(causes)} times, such as {causes[0]})" for what, causes in found.items()]


def _cause(said: dict[str, str]) -> str:
    """The last line of the exception, or all that was said beside the event."""
    lines = str(said.get("exception", "")).strip().splitlines()
    return lines[-1] if lines else str({name: value for name, value in said.items() if name not in LINE})


def _verify(stack: Stack) -> tuple[str, list[str]]:
    """What `orderdeck verify` says, in a word, and every violation it found."""
    done = stack.orderdeck("verify", "--json")
    try:
        said = json.loads(done.stdout)
    except ValueError:
        return "said nothing", [f"verify: {done.stdout}{done.stderr}".strip()]
    found = [f"{one['invariant']} {one['stream'] or ''} {one['what']}" for one in said["violations"]]
    if (done.returncode == 0) is bool(found):
        found.append(f"verify found {len(found)}, and its exit code is {done.returncode}")
    return f"{said['events']} events, {said['sagas']} sagas, the ledger by {said['ledger']}", found


def announce(plan: Plan, what: str = "") -> None:
    wanted = plan.wanted
    sys.stdout.write(
        f"chaos: seed {plan.seed}, plan {plan.hash}: {wanted.orders} orders in {wanted.seconds:.0f} s,"
        f" each daemon killed {wanted.kills} times{what}\n"
    )
    sys.stdout.flush()
