"""Run command-api."""

# ruff: noqa: PLC0415 - the imports are quick within `quick_imports` only
from daemons.process.quick_imports import quick_imports


def main() -> None:
    with quick_imports():
        from daemons.command_api.app import open_app
        from daemons.process.runtime import run_service
    run_service("command-api", "command_port", open_app)


if __name__ == "__main__":
    main()
