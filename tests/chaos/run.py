"""One run: customers and strikes on a real stack until every saga has ended, then the comparison with the log."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from core.failpoints import deaths
from tests.chaos.answers import Answers
from tests.chaos.audit import Evidence, gather, violations
from tests.chaos.customers import Crowd
from tests.chaos.engine_audit import cache_violations, kafka_violations
from tests.chaos.engines import RunningEngines, running_engines
from tests.chaos.mutants import Mutant
from tests.chaos.nemesis import Nemesis
from tests.chaos.onlookers import look_on
from tests.chaos.plan import RARE, Plan
from tests.chaos.quiet import wait_until_quiet
from tests.chaos.refills import Refills
from tests.support.customers import open_customers
from tests.support.memory_folder import open_folder
from tests.support.stack import Stack

OLDER_LOG = "an older log was put in place"
LINE = {"event", "level", "daemon", "timestamp"}  # what every line of a log has
OF_A_KIND = 5  # violations that the report shows
COMPARED = 1_000  # orders, of which the answers from the cache are compared with those from the database


@dataclass
class Report:
    plan: Plan
    answers: Answers
    struck: Counter[str]
    died: Counter[str]
    evidence: Evidence
    seconds: float
    quiet_after: float | None
    violations: Sequence[str]
    verified: str

    def __str__(self) -> str:
        def listed(counts: Counter[str]) -> str:
            return ", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "none"

        quiet = "never" if self.quiet_after is None else f"after {self.quiet_after:.0f} s"
        ends = Counter(self.evidence.statuses.values())
        money = Counter(charge["state"] for charge in self.evidence.charges)
        lines = [
            f"orders      {listed(ends)}; {len(self.evidence.log)} events",
            f"provider    {listed(money)}",
            f"answers     {listed(self.answers.counts)}",
            f"killed      {listed(self.struck)}",
            f"failpoints  {listed(self.died)}",
            f"quiet       {quiet}, {self.seconds:.0f} s in all",
            f"verify      {self.verified}",
            f"violations  {len(self.violations) or 'none'}",
        ]
        kinds: dict[str, list[str]] = {}
        for what in self.violations:
            kinds.setdefault(re.sub(r"[0-9a-f-]{8,}|\d+", "…", what)[:40], []).append(what)
        for of_kind in kinds.values():
            lines += [f"  - {what}" for what in of_kind[:OF_A_KIND]]
            if (more := len(of_kind) - OF_A_KIND) > 0:
                lines.append(f"    and {more} more like that")
        return "\n".join(lines)


def run(plan: Plan, *, mutant: Mutant | None = None, logs: Path | None = None) -> Report:
    with open_folder("od-chaos-") as folder, ExitStack() as opened:
        settings = {"ORDERDECK_FAILPOINTS": plan.failpoints, "LOG_LEVEL": "WARNING"}
        settings |= mutant.environment if mutant else {}
        engines = None
        if plan.workload.engines is not None:
            engines = opened.enter_context(running_engines(plan.workload.engines, folder, plan.seed))
            settings |= engines.settings
        stack = opened.enter_context(Stack(folder / "home", **settings))
        _start(stack, engines)
        try:
            return asyncio.run(_run(plan, stack, mutant, engines))
        finally:
            if logs is not None:
                shutil.copytree(stack.home.logs, logs, dirs_exist_ok=True)


def _start(stack: Stack, engines: RunningEngines | None) -> None:
    """`up` waits in a thread, since the brokers that come later end with the thread that starts them."""
    if engines is None:
        stack.up()
        return
    with ThreadPoolExecutor(1) as pool:
        with engines.away_at_start():
            up = pool.submit(stack.orderdeck, "up")
            wait([up], engines.plan.away_at_start)
        up.result()
    stack.up()  # the first one may have waited for Kafka for too long


async def _run(plan: Plan, stack: Stack, mutant: Mutant | None, engines: RunningEngines | None) -> Report:
    if mutant is not None:
        await mutant.switch_off(stack.home.dsn())
    began = time.monotonic()
    async with open_customers(stack) as customers:
        await _stock(stack, plan)
        answers, refills = Answers(), Refills(stack.home.dsn())
        nemesis = Nemesis(stack, customers, refills, engines)
        crowd = Crowd(customers, answers, lambda: nemesis.calm_at, plan.workload.patience)
        looking = asyncio.create_task(look_on(customers, answers, refills, plan, lambda: nemesis.calm_at))
        async with asyncio.TaskGroup() as group:
            group.create_task(crowd.play(plan))
            group.create_task(nemesis.strike(plan))
        calm = time.monotonic()
        wrong: list[str] = []
        quiet = await wait_until_quiet(stack.home.dsn(), calm + plan.workload.patience, wrong, engines is not None)
        if quiet is not None:
            wrong.append(quiet)
        if looking.done():
            looking.result()  # it has failed
        looking.cancel()
        quiet_after = None if quiet else time.monotonic() - calm
        evidence = await gather(stack.home.dsn(), await customers.ledger())
        wrong += [*violations(answers, evidence), *_errors(stack.home.logs)]
        if engines is not None:
            wrong += await _engine_violations(stack, nemesis, engines, evidence)
        verified, found = await asyncio.to_thread(_verify, stack)
    struck, died = (
        nemesis.done + (engines.done if engines else Counter()),
        Counter(deaths(stack.home.written_by_daemons)),
    )
    return Report(plan, answers, struck, died, evidence, time.monotonic() - began, quiet_after, wrong + found, verified)


async def _stock(stack: Stack, plan: Plan) -> None:
    async with open_customers(stack) as customers:
        path = f"/api/v1/inventory/{RARE}/receipts"
        headers = {"Idempotency-Key": "rare"}
        while True:
            answer = await customers.commands.post(path, json={"quantity": plan.rare}, headers=headers)
            if answer.status_code == 201:
                return


async def _engine_violations(stack: Stack, nemesis: Nemesis, engines: RunningEngines, evidence: Evidence) -> list[str]:
    wrong = await asyncio.to_thread(kafka_violations, evidence, engines.kafka.brokers)
    async with nemesis.second("query-api", REDIS_URL="") as plain:
        orders = sorted(evidence.statuses)[-COMPARED:]
        return wrong + await cache_violations(orders, f"http://127.0.0.1:{stack.port('query')}", plain)


def _errors(logs: Path) -> list[str]:
    """The errors in the daemons' logs, one of each kind; those of the provider are wanted and left out.

    No run puts an older log in place, so whoever takes the log for one is at fault, although it is a warning.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(logs.glob("*.log")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if ('"level": "error"' in line or OLDER_LOG in line) and path.stem != "payment-sandbox":
                entry = json.loads(line) if line.endswith("}") else {"event": line}  # cut off by a kill
                found.setdefault(f"{path.stem} says: {entry['event']}", []).append(_cause(entry))
    return [f"{what} ({len(causes)} times, such as {causes[0]})" for what, causes in found.items()]


def _cause(entry: dict[str, str]) -> str:
    """The last line of the exception, or else the other fields of the log line."""
    lines = str(entry.get("exception", "")).strip().splitlines()
    return lines[-1] if lines else str({name: value for name, value in entry.items() if name not in LINE})


def _verify(stack: Stack) -> tuple[str, list[str]]:
    """What `orderdeck verify` says, in a word, and every violation it found."""
    done = stack.orderdeck("verify", "--json")
    try:
        report = json.loads(done.stdout)
    except ValueError:
        return "said nothing", [f"verify: {done.stdout}{done.stderr}".strip()]
    found = [f"{one['invariant']} {one['stream'] or ''} {one['what']}" for one in report["violations"]]
    if (done.returncode == 0) is bool(found):
        found.append(f"verify found {len(found)}, and its exit code is {done.returncode}")
    return f"{report['events']} events, {report['sagas']} sagas, the ledger by {report['ledger']}", found


def announce(plan: Plan, what: str = "") -> None:
    workload = plan.workload
    sys.stdout.write(
        f"chaos: seed {plan.seed}, plan {plan.hash}: {workload.orders} orders in {workload.seconds:.0f} s,"
        f" each daemon killed {workload.kills} times{what}\n"
    )
    sys.stdout.flush()
