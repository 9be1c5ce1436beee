"""`orderdeck backup` and `orderdeck restore`: all that a home remembers, in a folder, and a home made from it."""

# ruff: noqa: PLC0415 - `orderdeck --help` stays quick
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.settings import load_settings
from daemons.cli.output import say, tell

KEYS = "The keys of sealed customers: without them nobody can read their names after a restore."


def backup(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    *,
    customer_keys: Annotated[bool, typer.Option(help=KEYS)] = True,
) -> None:
    """Write the log, the ledger of the payment sandbox and all keys into a folder, also while orders come in."""
    from daemons.host import stack
    from daemons.host.backups import back_up
    from daemons.host.own_audit import record_act

    settings = load_settings()
    manifest = back_up(settings, folder, customer_keys=customer_keys)
    size = sum(file.stat().st_size for file in folder.iterdir())
    say(f"{folder} has everything up to position {manifest.position:,} ({size / 1e6:,.1f} MB)")
    if "home.key" in manifest.files or customer_keys:
        say("keep it as private as the database: it has secrets in it")
    with stack.database(settings):
        if (why := record_act(settings, "orderdeck backup", str(folder))) is not None:
            tell(f"orderdeck: {why}")


def restore(folder: Annotated[Path, typer.Argument(help="What `orderdeck backup` has written.")]) -> None:
    """Make a new home from a backup, or with DATABASE_URL fill an empty database, and verify it."""
    from daemons.cli.verify import run
    from daemons.host import backups, stack
    from daemons.host.own_audit import record_act

    settings = load_settings()
    manifest = backups.restore(settings, folder)
    say(f"restored up to position {manifest.position:,}, as of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC")
    with stack.database(settings):
        if (why := record_act(settings, "orderdeck restore", str(folder))) is not None:
            tell(f"orderdeck: {why}")
    code = run(settings, as_json=False, wait=0)
    say("`orderdeck up` starts the daemons")
    raise typer.Exit(code)
