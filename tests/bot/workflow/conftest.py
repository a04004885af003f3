from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def plain_log() -> Iterator[None]:
    """Tracebacks as text: structlog's own format draws each with rich, which takes a second."""
    lines = structlog.processors.KeyValueRenderer()
    structlog.configure(processors=[structlog.processors.format_exc_info, lines])
    yield
    structlog.reset_defaults()
