"""The API's log: log records in; one JSON object a line out."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path
from typing import Any

import msgspec

LOG_BYTES = 5 * 1024 * 1024
LOG_FILES = 3


class JsonLines(logging.Formatter):
    """Time, level, logger, message, and whatever ``extra={"fields": {...}}`` adds; tracebacks as text."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Any] = {
            "at_ms": int(record.created * 1000),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def logging_config(path: Path) -> dict[str, Any]:
    """Logging of the API, as `logging.config.dictConfig` takes it: one file, bounded, warnings and our own words."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonLines}},
        "handlers": {
            "file": {
                "class": "logging.handlers.RotatingFileHandler",
                "formatter": "json",
                "filename": str(path),
                "maxBytes": LOG_BYTES,
                "backupCount": LOG_FILES,
            }
        },
        "root": {"level": "WARNING", "handlers": ["file"]},
        "loggers": {"streams": {"level": "INFO"}, "kafka.net": {"level": "ERROR"}},
    }
