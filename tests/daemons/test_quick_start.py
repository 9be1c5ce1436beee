"""Daemons start quickly and stay small, since they load no library that they do not need."""

from __future__ import annotations

import subprocess
import sys

import pytest

NO_HTTP_SERVICE = ("litestar", "yaml", "pydantic.v1")
NEVER = (
    "aiokafka", "faker", "grpc", "hypothesis", "opentelemetry", "pygments", "redis", "rich.console", "rich.traceback",
    "textual", "typer", "watchfiles",
)  # fmt: skip


def loaded_by(code: str) -> set[str]:
    """The modules that a Python of its own has loaded after this code."""
    script = f"from daemons.process.quick_imports import quick_imports\n{code}\nimport sys\nprint(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


@pytest.mark.parametrize(
    ("programs", "without"),
    [
        ("daemons.command_api.app, daemons.query_api.app", NEVER),
        ("daemons.payment_sandbox.open_app", (*NEVER, "asyncpg", "aiohttp", "core.bootstrap", "core.adapters")),
        ("daemons.saga_runner.work, daemons.projector.work, daemons.notifier.lead", (*NEVER, *NO_HTTP_SERVICE)),
    ],
)
def test_a_daemon_loads_no_library_that_it_does_not_need(programs: str, without: tuple[str, ...]) -> None:
    loaded = loaded_by(f"with quick_imports():\n    import daemons.process.runtime, {programs}")
    assert not loaded & set(without)


def test_what_watches_the_embedded_server_loads_next_to_nothing() -> None:
    loaded = loaded_by("import daemons.postgres.__main__, daemons.postgres.watch_server")
    assert not loaded & {"asyncio", "asyncpg", "msgspec", "psutil", "pydantic", "ssl", "structlog", "subprocess"}


def test_after_quick_imports_everything_can_be_imported_and_the_garbage_collector_works_again() -> None:
    loaded = loaded_by(
        "with quick_imports():\n    import structlog\n"
        "import gc, rich.console, watchfiles\nassert gc.isenabled() and gc.get_freeze_count() > 1000"
    )
    assert {"rich.console", "watchfiles"} <= loaded
