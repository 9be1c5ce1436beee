"""Run query-api."""

# ruff: noqa: PLC0415 - the imports are quick within `quick_imports` only
from daemons.process.quick_imports import quick_imports


def main() -> None:
    with quick_imports():
        from daemons.process.runtime import run_service
        from daemons.query_api.app import open_app
    run_service("query-api", "query_port", open_app)


if __name__ == "__main__":
    main()
