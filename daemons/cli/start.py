"""The orderdeck program: it opens the deck as quickly as can be, and leaves every other command to typer."""

# ruff: noqa: PLC0415 - the deck is opened without importing typer and what is behind it
from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - said here, before an import fails with a traceback
    sys.exit("orderdeck needs Python 3.11 or newer: make the environment again with a newer python3")

from daemons.cli.interrupted import end_interrupted


def main() -> None:
    """Run the command; an expected error is printed as one sentence on stderr, with exit code 1."""
    try:
        _run()
    except KeyboardInterrupt:  # while something is imported
        end_interrupted()


def _run() -> None:
    from daemons.cli.output import one_sentence

    with one_sentence():
        if sys.argv[1:2] == ["tui"]:
            from daemons.cli.deck import open_deck, plain_options

            options = plain_options(sys.argv[2:])
            if options is not None:
                sys.exit(open_deck(options))
        from daemons.cli.main import app

        app()
