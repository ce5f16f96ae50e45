"""Stopping in order: a signal is noted, the loop ends at the next step."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


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
    """Catches SIGINT and SIGTERM; only the main thread of a process can. A signal that the process was
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


def heeding(read: Callable[[Callable[[], bool]], Iterable[T]]) -> Iterator[T]:
    """What is read, until somebody asks to stop.

    Python drops an exception that a signal raises while it runs a finalizer, and batches have one each: so a signal is
    noted, and heeded between two batches.

    Args:
        read: given what to ask whether to end early, the batches.

    Raises:
        KeyboardInterrupt: after SIGINT or SIGTERM.
    """
    with interruptible() as interrupt:
        for batch in read(lambda: interrupt.requested):
            if interrupt.requested:
                raise KeyboardInterrupt
            yield batch
        if interrupt.requested:  # storage kept waiting, and the batches ended early
            raise KeyboardInterrupt
