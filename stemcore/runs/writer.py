"""Results on their way to a file: copied to the host and written while the device computes on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

QUEUE_BYTES = 256e6
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Copied:
    """Rows and the numbers of their items in host memory, once ``ready``."""

    index: Tensor
    rows: Tensor
    ready: torch.cuda.Event | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the rows."""
        return self.rows.numel() * self.rows.element_size()


class Copier:
    """Starts copies from a device to page-locked memory, beside what the device computes next.

    Args:
        device: where the tensors are.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def __call__(self, index: Tensor, rows: Tensor) -> Copied:
        """The rows on the host; no one waits for them here."""
        if self._stream is None:
            return Copied(index.cpu(), rows.cpu())
        self._stream.wait_stream(torch.cuda.current_stream(rows.device))
        with torch.cuda.stream(self._stream):
            copies = _started(index, self._stream), _started(rows, self._stream)
            ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
            ready.record(self._stream)
        return Copied(*copies, ready)


def _started(tensor: Tensor, stream: torch.cuda.Stream) -> Tensor:
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    tensor.record_stream(stream)  # else its memory might be used again before it is copied
    return host


class Rows(Protocol):
    """Takes one row per item."""

    def write(self, items: np.ndarray, rows: np.ndarray) -> None:
        """Takes the rows (n, ...) of the items ``items`` (n,)."""

    def finish(self) -> None:
        """Is told that all have come."""

    def close(self) -> None:
        """Lets go of files; called in any case, also after ``finish``."""


Begin = Callable[[tuple[int, ...]], Rows]
"""Makes what takes the rows, once their shape is known."""


class Writer:
    """A thread that writes what it is given, in order. As a context it ends when all is written, or, after an
    exception, when the piece at hand is.

    All of the writing, from the opening of a file to its end, is done by that thread: no Ctrl-C comes in between.

    Args:
        begin: makes what takes the rows.
        most_bytes: of rows that may wait; whoever hands over more waits as well.
    """

    def __init__(self, begin: Begin, most_bytes: float = QUEUE_BYTES) -> None:
        self._begin, self._most = begin, most_bytes
        self._changed = threading.Condition()
        self._waiting: deque[Copied] = deque()
        self._bytes = 0
        self._over = self._dropped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="stemcore-writer", daemon=True)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._changed:
            self._over, self._dropped = True, error is not None
            self._changed.notify_all()
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error

    def put(self, copied: Copied) -> None:
        """Hands over rows, as soon as there is room for them.

        Raises:
            BaseException: what writing raised, now or before.
        """
        with self._changed:
            while self._bytes and self._bytes + copied.nbytes > self._most and self._alive():
                self._changed.wait(POLL_SECONDS)
            self._alive()
            self._waiting.append(copied)
            self._bytes += copied.nbytes
            self._changed.notify_all()

    def _alive(self) -> bool:
        if self._error is not None:
            raise self._error
        if not self._thread.is_alive():
            raise RuntimeError("the writing thread has ended before the last rows")
        return True

    def _work(self) -> None:
        rows: Rows | None = None
        try:
            while (copied := self._next()) is not None:
                if copied.ready is not None:
                    copied.ready.synchronize()
                rows = self._begin(tuple(copied.rows.shape[1:])) if rows is None else rows
                rows.write(copied.index.numpy(), copied.rows.numpy())
                self._done(copied)
            if rows is not None and not self._dropped:
                rows.finish()
        except BaseException as error:  # whatever it is, whoever waits has to hear of it
            self._fail(error)
        finally:
            if rows is not None:
                rows.close()

    def _done(self, copied: Copied) -> None:
        with self._changed:
            self._bytes -= copied.nbytes
            self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._error = error
            self._waiting.clear()
            self._changed.notify_all()

    def _next(self) -> Copied | None:
        with self._changed:
            while not self._waiting and not self._over:
                self._changed.wait()
            return self._waiting.popleft() if self._waiting and not self._dropped else None
