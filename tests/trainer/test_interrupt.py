from __future__ import annotations

import os
import signal
import weakref

import pytest

from stemcore.trainer.interrupt import heeding

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


class Row:
    pass


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def number(request):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    yield request.param
    signal.signal(signal.SIGINT, before)


def test_a_signal_in_a_finalizer_is_heeded_at_the_next_batch(number):
    seen = []

    def rows(stop):
        for place in range(5):
            row = Row()
            if place == 1:
                weakref.finalize(row, os.kill, os.getpid(), number)
            yield place
            del row

    with pytest.raises(KeyboardInterrupt):
        seen.extend(heeding(rows))
    assert seen == [0, 1]


def test_batches_that_ended_early_are_not_taken_for_all(number):
    def rows(stop):
        yield 0
        os.kill(os.getpid(), number)
        assert stop()

    with pytest.raises(KeyboardInterrupt):
        list(heeding(rows))


def test_all_batches_and_handlers_as_before(number):
    before = signal.getsignal(number)
    assert list(heeding(lambda stop: iter(range(3)))) == [0, 1, 2]
    assert signal.getsignal(number) is before
