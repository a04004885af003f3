from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def plain_log() -> Iterator[None]:
    """Tracebacks as text: structlog's own format draws each with rich, which takes a second."""
    steps = [structlog.processors.TimeStamper(), structlog.processors.format_exc_info]
    structlog.configure(processors=[*steps, structlog.processors.KeyValueRenderer()])
    yield
    structlog.reset_defaults()
