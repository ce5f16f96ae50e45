"""What a dataset promises to threads and processes, and over its life."""

from __future__ import annotations

import pickle

from stemcore.component.dataset import Dataset
from stemcore.plugins.discovery import cause_of
from stemcore.testing.building import built
from stemcore.testing.promises import Broken, NotApplicable, promise
from stemcore.testing.subject import Subject
from stemcore.testing.trial_dataset import (
    ensure_alike,
    in_another_thread,
    one_by_one,
    opened,
    pickled,
    read_by_both,
    read_by_several,
    some_items,
)


@promise("dataset")
def check_any_thread(subject: Subject) -> None:
    """It can be read by another thread than the one that built it or read it before: each epoch is read ahead by a
    thread of its own, one at a time."""
    with opened(subject) as dataset:
        items = some_items(dataset)
        expected = one_by_one(dataset, items)
        try:
            seen = in_another_thread(lambda: dataset.read(items))
        except Exception as error:
            raise Broken(f"read by another thread it raised {cause_of(error)}") from error
        ensure_alike(dataset, seen, items, expected, "items by another thread")


@promise("dataset")
def check_several_threads(subject: Subject) -> None:
    """Where it declares ``thread_safe``, several threads read it at once and each gets what it asked for: that is how
    blocks are decoded."""
    with opened(subject) as dataset:
        if not dataset.thread_safe:
            raise NotApplicable("it is read by one thread at a time")
        items = some_items(dataset)
        expected = one_by_one(dataset, items)
        for asked, seen in read_by_several(dataset, items):
            if isinstance(seen, str):
                raise Broken(f"read by several threads at once it raised {seen}")
            ensure_alike(dataset, seen, asked, expected, "items by several threads at once")


@promise("dataset")
def check_pickles_while_open(subject: Subject) -> None:
    """It can be pickled after it was read, without harm to itself, and what comes of it reads the same: processes are
    started at any time."""
    with opened(subject) as dataset:
        items = some_items(dataset)
        expected = one_by_one(dataset, items)
        data = pickled(dataset)
        again: Dataset = pickle.loads(data)
        try:
            ensure_alike(dataset, again.read(items), items, expected, "items from what was unpickled")
        except Broken:
            raise
        except Exception as error:
            raise Broken(f"unpickled it raised {cause_of(error)}") from error
        finally:
            again.close()
        ensure_alike(dataset, dataset.read(items), items, expected, "items after it was pickled")


@promise("dataset")
def check_two_processes(subject: Subject) -> None:
    """Two processes read it at once and get the same: that is how training on several devices reads."""
    with opened(subject) as dataset:
        items = some_items(dataset)
        expected = one_by_one(dataset, items)
        here, there = read_by_both(dataset, items)
        if isinstance(there, str):
            raise Broken(f"read by another process while this one reads: {there}")
        ensure_alike(dataset, there, items, expected, "items by another process")
        ensure_alike(dataset, here, items, expected, "items while another process read")


@promise("dataset")
def check_reads_again_after_close(subject: Subject) -> None:
    """``close`` can be called at any time and more than once, and ``read`` works again after it: training and
    validation items may be of one data set, which is closed for each."""
    dataset = built(subject)
    try:
        dataset.close()
        items = some_items(dataset)
        expected = one_by_one(dataset, items)
        dataset.close()
        dataset.close()
        ensure_alike(dataset, dataset.read(items), items, expected, "items after close")
        dataset.close()
    except (Broken, NotApplicable):
        raise
    except Exception as error:
        raise Broken(f"closed and read again it raised {cause_of(error)}") from error
