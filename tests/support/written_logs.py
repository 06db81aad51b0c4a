"""The log entries that the functions write."""

from __future__ import annotations

import io
import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dicom_export import logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def written_entries() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Log as the functions do, and yield a function that returns the entries so far."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter("log-project"))
    logger = logging.getLogger("dicom_export")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
