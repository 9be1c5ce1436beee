"""Run projector."""

# ruff: noqa: PLC0415 - the imports are quick within `quick_imports` only
from daemons.process.quick_imports import quick_imports


def main() -> None:
    with quick_imports():
        from daemons.process.runtime import run_reader
        from daemons.projector.work import ProjectorProgram
    projector = ProjectorProgram()
    run_reader("projector", "projector_port", projector.work, before=projector.begin)


if __name__ == "__main__":
    main()
