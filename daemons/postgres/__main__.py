"""Run postgres. Once the server runs, this program begins anew with little memory, and only watches it."""

# ruff: noqa: PLC0415 - who watches a server needs nothing of what starts one
import sys

from daemons.process.quick_imports import quick_imports


def main() -> None:
    """Without arguments start the server. They are what `watch` gets, which this program then calls itself with."""
    if len(sys.argv) > 1:
        from daemons.postgres.watch_server import watch

        watch(*sys.argv[1:])
    else:
        with quick_imports():
            from daemons.postgres.start_server import start
        start()


if __name__ == "__main__":
    main()
