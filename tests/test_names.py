"""One name, one meaning: no class name and no file name of the programs stands for two things."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAME_SUBJECT = {  # file names that several folders may have, since each is about the same thing there
    "api_keys.py": "the keys of callers: how they are written, the port, the adapter, what is done with them",
    "app.py": "puts a service, or the deck, together",
    "audit.py": "who asked for what: the port, the adapter, the route, and the command that lists it",
    "bulk.py": "a command for many orders: its dialog, and what it does",
    "attention.py": "a view, and what it shows",
    "callers.py": "who asks: what the guard knows of it, and what routes do",
    "clock.py": "the port, and the adapter",
    "compare.py": "two moments: the route, and the view",
    "connection.py": "how an adapter connects to its server",
    "customer_keys.py": "the port, and the adapter",
    "daemons.py": "the programs of one home: what the deck may do to them, and the route",
    "daemon_runs.py": "the port, and the adapter",
    "daily_sales.py": "the fold, and its SQL",
    "dead_letters.py": "events that were set aside: the port, the adapter, what is done about them, routes, commands",
    "detail.py": "a view, and what it shows",
    "evidence.py": "the port, and the adapter",
    "faults.py": "the sandbox's faults, and the demo of them",
    "figures.py": "a view, and what it shows",
    "found_events.py": "events by any filter: the adapter, the route, and the words of the command",
    "generation_rows.py": "the port, and the adapter",
    "generations.py": "the port, and its adapters",
    "past_generations.py": "the port, and the adapter",
    "history.py": "what a service measured of late: where it is kept, and its route",
    "inspection.py": "the port, and the adapter",
    "inventory.py": "stock: its decisions, and its routes",
    "keys.py": "the keys of callers: the command, and the routes",
    "mailed_alarms.py": "the port, and the adapter",
    "log.py": "the log: the port, and the questions about it",
    "operations.py": "the routes' descriptions, of each service",
    "orders.py": "orders: routes, a view, and what it shows",
    "parked.py": "a view, and what it shows",
    "payments.py": "the provider: the port, and one in memory",
    "product_demand.py": "the fold, and its SQL",
    "pulse.py": "a view, and what it shows",
    "provider.py": "the payment provider: its answers, and the demo's way to it",
    "queries.py": "the port, and the adapter",
    "refunds.py": "refunds of an order: the rules, and the route",
    "saga.py": "a saga: its events, and its table",
    "saga_log.py": "the adapters of one port",
    "readers.py": "how far the readers of the log have come: the query, and its route",
    "rebuilds.py": "the acts, and their routes",
    "releases.py": "releases of the programs: what notes and reads them, and their route",
    "sagas.py": "sagas: the port, the questions about them, routes, commands",
    "set_aside.py": "what a fold sets aside, and how it is saved",
    "shares.py": "shares of a reader's work: the port, the adapter, and what keeps them",
    "shapes.py": "what a service takes and answers",
    "streams.py": "streams of the log: the route, and the command",
    "snapshots.py": "the port, the adapter, and who keeps them",
    "steer.py": "what a person decides about a saga: the record of it, and the question before it",
    "stock_turns.py": "the port, and the adapter",
    "webhooks.py": "webhooks: the port, the adapter, what is done with them, routes, commands",
    "stream.py": "the live stream: its route, a view, and what it shows",
    "work.py": "what is worked on, or what a daemon does all the time: sagas, the readers of the log",
}


def program_files() -> list[Path]:
    return sorted(path for top in ("core", "daemons", "tui") for path in (ROOT / top).rglob("*.py"))


def test_no_class_name_has_two_meanings() -> None:
    places: dict[str, list[str]] = {}
    for path in program_files():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}, "give each a name of its own"


def test_no_file_name_is_used_for_two_things() -> None:
    places: dict[str, list[str]] = {}
    for path in program_files():
        if not path.name.startswith("__"):
            places.setdefault(path.name, []).append(str(path.relative_to(ROOT)))
    several = {name: files for name, files in places.items() if len(files) > 1}
    assert {name: files for name, files in several.items() if name not in SAME_SUBJECT} == {}, (
        "rename one; or, when they are about the same thing, say in SAME_SUBJECT about what"
    )
