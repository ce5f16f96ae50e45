"""Storage that fails: what passes is tried again, what does not is said, and nobody waits for ever."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from stemcore import UserError
from stemcore.data import retry
from stemcore.data.loader import Loader
from stemcore.data.order import plan_epoch
from stemcore.data.source import whole
from stemcore.data.tensors import Batch
from tests.data.squares import Squares


class Failing(Squares):
    """Fails at the block that starts with item 500, ``times`` times."""

    def __init__(self, error: BaseException, times: int = 10**9) -> None:
        super().__init__(items=1000, blocks=50)
        self.error, self.times = error, times

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        if 500 in indices and self.times > 0:
            self.times -= 1
            raise self.error
        return super().read(indices)


def epoch(data: Squares, workers: int) -> Iterator[Batch]:
    plan = plan_epoch(data.blocks(), seed=1, epoch=0, item_bytes=32, buffer_bytes=32 * 400)
    return Loader(workers=workers, buffer_bytes=32 * 400).epoch(whole(data), plan, 32)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSES", (0.01, 0.02, 0.03))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_error_that_passes_is_tried_again(workers: int, caplog: pytest.LogCaptureFixture) -> None:
    data = Failing(OSError(errno.EIO, "Input/output error"), times=2)
    seen = np.concatenate([b["index"].numpy() for b in epoch(data, workers)])
    assert np.array_equal(np.sort(seen), np.arange(1000))
    assert caplog.text.count("reading again in") == 2


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_error_that_does_not_pass_is_told_with_the_files(workers: int) -> None:
    data = Failing(OSError(errno.ESTALE, "Stale file handle"))
    with pytest.raises(UserError, match=r"cannot be read: Stale file handle, 4 times in a row"):
        list(epoch(data, workers))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOENT, "No such file"), UserError("pattern 500 is damaged"), ValueError("7"), SystemExit(3)],
)
def test_any_other_error_ends_the_epoch_at_once(workers: int, error: BaseException) -> None:
    before = threading.active_count()
    with pytest.raises(type(error), match=str(error.args[-1]) if error.args else None):
        list(epoch(Failing(error), workers))
    assert threading.active_count() == before


def test_a_reader_that_vanishes_does_not_hang_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from stemcore.data.assembly import Assembly

    monkeypatch.setattr(Assembly, "_work", lambda self: None)
    with pytest.raises(RuntimeError, match="the reading threads have ended before the last batch"):
        list(epoch(Squares(items=1000, blocks=50), 2))


@pytest.mark.parametrize("workers", [1, 3])
def test_storage_that_does_not_answer_holds_nobody_up_who_is_asked_to_stop(workers: int) -> None:
    asked, answers = threading.Event(), threading.Event()

    class Hung(Squares):
        def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
            answers.wait(60)
            return super().read(indices)

    data = Hung(items=1000, blocks=50)
    plan = plan_epoch(data.blocks(), seed=1, epoch=0, item_bytes=32, buffer_bytes=32 * 400)
    loader = Loader(workers=workers, buffer_bytes=32 * 400, stop=asked.is_set)
    received: list[Batch] = []
    consumer = threading.Thread(target=lambda: received.extend(loader.epoch(whole(data), plan, 32)))
    consumer.start()
    asked.set()
    consumer.join(20)
    assert not consumer.is_alive()
    assert not received
    answers.set()


def test_closing_ends_a_pause_before_the_next_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSES", (60.0,))
    data = Failing(OSError(errno.EIO, "Input/output error"))
    data.read(np.arange(10))
    batches = epoch(data, 3)
    next(batches)
    time.sleep(0.2)
    closed = threading.Thread(target=batches.close)  # type: ignore[attr-defined]
    closed.start()
    closed.join(10)
    assert not closed.is_alive()
