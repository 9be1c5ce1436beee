"""`orderdeck config`: shows and checks the file that the deck is configured with."""

# ruff: noqa: PLC0415 - `orderdeck --help` stays quick
from __future__ import annotations

import os
from typing import Annotated

import typer

from daemons.cli.output import fail, say, say_json

config = typer.Typer(no_args_is_help=True, help="The deck's configuration file.")


@config.command()
def show(*, json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show what the deck takes from the file, and what it has without one."""
    import msgspec

    from tui.config import config_path
    from tui.config_file import read_config

    path = config_path(os.environ)
    values, text = read_config(path)
    if json:
        say_json(msgspec.json.encode({"path": str(path), **msgspec.to_builtins(values)}).decode())
        return
    say(f"{path}{'' if text else ': there is no such file, these are the defaults'}")
    for name, value in msgspec.to_builtins(values).items():
        say(f"  {name:<10} {value}")


@config.command()
def validate() -> None:
    """Say every mistake of the file, each with its line; exit code 0 when there is none."""
    from tui.config import config_path
    from tui.config_check import check_config

    path = config_path(os.environ)
    mistakes = check_config(path)
    for mistake in mistakes:
        say(f"{path}: {mistake}")
    if mistakes:
        fail(f"{len(mistakes)} {'mistake' if len(mistakes) == 1 else 'mistakes'}")
    say(f"{path} is right" if path.exists() else f"{path}: there is no such file, so the defaults hold")
