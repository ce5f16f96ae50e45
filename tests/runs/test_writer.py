"""Writing in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from stemcore.runs.writer import Copied, Copier, Writer


class Kept:
    """Keeps what is written, and can be slow or fail."""

    def __init__(self, fail_at: int | None = None, gate: threading.Event | None = None) -> None:
        self.rows: list[np.ndarray] = []
        self.fail_at, self.gate = fail_at, gate
        self.finished = self.closed = 0
        self.threads: set[str] = set()

    def __call__(self, row: tuple[int, ...]) -> Kept:
        assert row == (2, 3)
        return self

    def write(self, items: np.ndarray, rows: np.ndarray) -> None:
        self.threads.add(threading.current_thread().name)
        if self.gate is not None:
            self.gate.wait()
        if len(self.rows) == self.fail_at:
            raise OSError(28, "No space left on device")
        assert (rows == items[:, None, None]).all()
        self.rows.append(rows)

    def finish(self) -> None:
        self.finished += 1

    def close(self) -> None:
        self.closed += 1


def batch(number: int) -> Copied:
    """Four rows of 24 bytes."""
    index = torch.arange(4 * number, 4 * number + 4)
    return Copier(torch.device("cpu"))(index, index[:, None, None].expand(4, 2, 3).float())


def hand_over(writer: Writer, batches: int, then: type[BaseException] | None = None) -> None:
    """Has batches written, or is stopped."""
    with writer:
        for number in range(batches):
            writer.put(batch(number))
        if then is not None:
            raise then


def test_all_is_written_in_order_by_one_thread() -> None:
    kept = Kept()
    hand_over(Writer(kept, most_bytes=200), 50)
    assert np.array_equal(np.concatenate(kept.rows)[:, 0, 0], np.arange(200))
    assert kept.threads == {"stemcore-writer"}
    assert (kept.finished, kept.closed) == (1, 1)


def test_who_is_ahead_waits() -> None:
    gate = threading.Event()
    kept = Kept(gate=gate)
    handed = []

    def run_ahead() -> None:
        with Writer(kept, most_bytes=3 * 96) as writer:
            for number in range(10):
                writer.put(batch(number))
                handed.append(number)

    thread = threading.Thread(target=run_ahead)
    thread.start()
    deadline = time.monotonic() + 20
    while len(handed) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    assert len(handed) == 3
    gate.set()
    thread.join(20)
    assert len(kept.rows) == 10


def test_rows_larger_than_the_queue_pass() -> None:
    kept = Kept()
    hand_over(Writer(kept, most_bytes=1), 2)
    assert len(kept.rows) == 2


@pytest.mark.parametrize("batches", [3, 500])
def test_errors_of_writing_reach_the_caller(batches: int) -> None:
    kept = Kept(fail_at=2)
    with pytest.raises(OSError, match="No space left"):
        hand_over(Writer(kept, most_bytes=300), batches)
    assert len(kept.rows) == 2
    assert (kept.finished, kept.closed) == (0, 1)


def test_an_interrupted_caller_leaves_the_rest_unwritten() -> None:
    gate = threading.Event()
    kept = Kept(gate=gate)
    writer = Writer(kept)
    threading.Thread(target=_when, args=(lambda: writer._dropped, gate), daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        hand_over(writer, 5, KeyboardInterrupt)
    assert len(kept.rows) <= 1
    assert (kept.finished, kept.closed) == (0, len(kept.rows))


def _when(true: Callable[[], bool], gate: threading.Event) -> None:
    while not true():
        time.sleep(0.01)
    gate.set()


def test_a_writer_that_ends_without_a_word_is_noticed() -> None:
    class Ended(Writer):
        def _work(self) -> None:
            pass

    with pytest.raises(RuntimeError, match="ended before the last rows"):
        hand_over(Ended(Kept()), 10)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_copies_from_a_device_are_those_of_their_batch() -> None:
    device = torch.device("cuda")
    copier, found = Copier(device), []
    rows = torch.zeros(4_000_000, device=device)
    for number in range(20):
        rows.fill_(number)  # in the memory that is still being copied
        found.append(copier(torch.tensor([number], device=device), rows.clone()))
    for number, copied in enumerate(found):
        assert copied.ready is not None
        copied.ready.synchronize()
        assert copied.rows.is_pinned()
        assert copied.index.item() == number
        assert (copied.rows == number).all()
