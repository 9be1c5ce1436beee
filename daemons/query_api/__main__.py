"""Run query-api."""

from daemons.process.runtime import run_service
from daemons.query_api.app import open_app


def main() -> None:
    run_service("query-api", "query_port", open_app)


if __name__ == "__main__":
    main()
