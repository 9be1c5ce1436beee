"""Logs: JSON lines in files, readable lines in a terminal; what libraries log has the same form as what we log."""

from __future__ import annotations

import io
import logging
import sys
from typing import cast

import structlog
from structlog.typing import EventDict

from core import tracing
from daemons.process.log_limits import LogLimits, shortened


def configure_logs(name: str, level: str) -> None:
    """Send everything that is logged, by us or by a library, to stdout with the daemon's name."""
    numeric = logging.getLevelNamesMapping()[level]
    # A line must not be lost because the locale has no code for one of its letters.
    cast("io.TextIOWrapper", sys.stdout).reconfigure(errors="backslashreplace")
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    terminal = sys.stdout.isatty()
    last: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if terminal
        else [structlog.processors.format_exc_info, shortened, structlog.processors.JSONRenderer(default=str)]
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(LogLimits())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            # The place comes after LogLimits, for which lines are the same that come from different requests.
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, with_place, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # These libraries log each start and each connection, which we log ourselves: only their warnings are kept.
    for library in ("uvicorn.error", "asyncio", "httpx", "httpcore", "asyncpg"):
        logging.getLogger(library).setLevel(max(logging.WARNING, numeric))
    # aiokafka calls every try to reach a broker that is away an error. Its users say in words what does not work.
    logging.getLogger("aiokafka").setLevel(numeric if numeric <= logging.DEBUG else logging.CRITICAL)
    logging.getLogger("asyncio").addFilter(_not_left_by_aiokafka)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(daemon=name)


def _not_left_by_aiokafka(record: logging.LogRecord) -> bool:
    """When one of its calls is cancelled, aiokafka may forget a connection, which then says so and closes itself."""
    return not record.getMessage().startswith("Unclosed AIOKafka")


def with_place(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Name in a line the trace, the span and the request that it was logged in, so that one finds the other."""
    here = tracing.place()
    if here.traceparent:
        line["trace_id"], line["span_id"] = here.trace_id, here.span_id
    if here.request_id:
        line.setdefault("request_id", here.request_id)
    return line
