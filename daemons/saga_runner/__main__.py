"""Run the saga runner."""

# ruff: noqa: PLC0415 - the imports are quick within `quick_imports` only
from daemons.process.quick_imports import quick_imports


def main() -> None:
    with quick_imports():
        from daemons.process.runtime import run_reader
        from daemons.saga_runner.work import work
    run_reader("saga-runner", "saga_runner_port", work)


if __name__ == "__main__":
    main()
