"""Run command-api."""

from daemons.command_api.app import open_app
from daemons.process.runtime import run_service


def main() -> None:
    run_service("command-api", "command_port", open_app)


if __name__ == "__main__":
    main()
