"""A process of its own, started afresh as on platforms without fork, and kept for all checks."""

from __future__ import annotations

import atexit
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")


def in_spawned_process(function: Callable[..., T], *arguments: Any) -> T:
    """What a function of a module returns in the other process; raises what it raises there."""
    try:
        return _process().submit(function, *arguments).result()
    except BrokenProcessPool:
        _process.cache_clear()
        raise


def end_spawned_process() -> None:
    """Ends the other process, whatever it is doing: who waits for it gets ``BrokenProcessPool``, and the next function
    another process."""
    process = _process()
    _process.cache_clear()
    for worker in list((process._processes or {}).values()):
        worker.kill()


def unpickle(data: bytes) -> str:
    """What goes wrong when the other process unpickles ``data``; empty if nothing does."""
    try:
        return in_spawned_process(_loads, data)
    except BrokenProcessPool as error:
        return f"the process died: {error}"


def _loads(data: bytes) -> str:
    try:
        pickle.loads(data)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


@lru_cache(maxsize=1)
def _process() -> ProcessPoolExecutor:
    made = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    atexit.register(made.shutdown, wait=False, cancel_futures=True)
    return made
