"""Run query-api."""

from daemons.query_api.app import open_app
from daemons.runtime import run_service


def main() -> None:
    run_service("query-api", "query_port", open_app)


if __name__ == "__main__":
    main()
