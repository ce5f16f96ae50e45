"""Stopping in order: a signal is noted, the loop ends at the next step."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether somebody asked to stop. A second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.requested = False
        self._since = 0.0

    def waited(self, seconds: float) -> bool:
        """Whether somebody asked to stop that long ago."""
        return self.requested and time.monotonic() - self._since >= seconds

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Notes a signal."""
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.requested:
            self._since = time.monotonic()
        self.requested = True


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Catches SIGINT and SIGTERM while training; only the main thread of a process can. A signal that the process was
    started to ignore (SIGINT, in the background of a shell) stays ignored."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    heard = [s for s in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(s) is not signal.SIG_IGN]
    before = {s: signal.signal(s, interrupt.handle) for s in heard}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
