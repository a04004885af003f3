"""What holds for all tests."""

from __future__ import annotations

import signal

# A shell's background job has SIGINT ignored, and what it starts inherits that: then no claim about interrupts holds.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
