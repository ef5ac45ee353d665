"""Structured logs: one event a line, as JSON, on standard error. No local variables and no secrets."""

import logging
import sys

import structlog


def configure_logging(level: str) -> None:
    """Send our events, and warnings of the libraries below us, to standard error."""
    number = getattr(logging, level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_Forward(max(number, logging.WARNING))]


class _Forward(logging.Handler):
    """Turns records of the libraries below us into events of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        event = structlog.get_logger(record.name)
        event.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)
