"""Runs the relay; without KAFKA_BROKERS it is not needed, and ends at once with 0."""

from __future__ import annotations

import os
import sys

from core.errors import ConfigurationError
from core.settings import load_settings
from daemons.process import exits
from daemons.process.quick_imports import quick_imports


def main() -> None:
    if not _needed():
        return
    with quick_imports():
        from daemons.process.runtime import run_reader  # noqa: PLC0415 - most homes have no Kafka and need none of this
        from daemons.relay.leader import work  # noqa: PLC0415 - as above

    run_reader("relay", "relay_port", work)
    if "SUPERVISOR_ENABLED" in os.environ:
        sys.exit(exits.STOPPED)


def _needed() -> bool:
    try:
        return bool(load_settings().kafka_brokers)
    except ConfigurationError:
        return True  # the daemon says what is wrong


if __name__ == "__main__":
    main()
