"""Runs the gRPC API; without ORDERDECK_GRPC it is not needed, and ends at once with 0."""

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
    # At INFO gRPC writes a line for each TLS handshake that fails, past all that keeps a log short.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    with quick_imports():
        from daemons.grpc_api.grpc_server import work  # noqa: PLC0415 - most homes have no gRPC and need none of this
        from daemons.process.runtime import run_reader  # noqa: PLC0415 - as above

    run_reader("grpc-api", "grpc_api_port", work)
    if "SUPERVISOR_ENABLED" in os.environ:
        sys.exit(exits.STOPPED)


def _needed() -> bool:
    try:
        return load_settings().grpc
    except ConfigurationError:
        return True  # the daemon says what is wrong


if __name__ == "__main__":
    main()
