"""Puts into a line what grpcio logs with a traceback although nothing is wrong here."""

from __future__ import annotations

import logging

import grpc

LIBRARY = "grpc._cython.cygrpc"  # the name under which it logs


def keep_readable() -> None:
    """Have a call that ended before its answer was sent take one line of the log.

    grpcio is silent about callers who go, and about deadlines that pass, but not while the answer is already on its
    way and it has not yet heard of the end: about one call in a thousand of those whose deadline passes.
    """
    logging.getLogger(LIBRARY).addFilter(_in_a_line)  # which adds the same one only once


def _in_a_line(record: logging.LogRecord) -> bool:
    if record.exc_info and isinstance(record.exc_info[1], grpc.aio.InternalError):
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg, record.args = "an answer was not sent, since its call had ended: %s", (record.getMessage(),)
        record.exc_info = None
    return True
