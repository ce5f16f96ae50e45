"""Progress on stderr: bars on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Clock = Callable[[], float]


class Task:
    """Something counted, such as the batches of an epoch."""

    def __init__(self, reporter: Reporter, description: str, total: int | None, done: int, now: float) -> None:
        self.description, self.total = description, total
        self.first, self.done, self.started, self.last = done, done, now, now
        self.figures: dict[str, float] = {}
        self._reporter = reporter

    def advance(self, n: int = 1, **figures: float) -> None:
        """Counts ``n`` more. ``figures`` (``loss=0.12``) are shown beside the count; they are converted to text only
        when it is drawn, so that a tensor on a device may be given without waiting for it here."""
        self.done += n
        if figures:
            self.figures.update(figures)
        self.last = self._reporter.clock()
        if self.last >= self._reporter.next_draw:
            self._reporter.draw()

    def count(self) -> str:
        """``12/50``, or ``12`` where the total is unknown."""
        return f"{self.done}" if self.total is None else f"{self.done}/{self.total}"

    def pace(self, now: float) -> str:
        """Items a second (or seconds each) up to the last one, and the time left where the total is known."""
        done, elapsed = self.done - self.first, self.last - self.started
        if done <= 0 or elapsed <= 0:
            return ""
        text = f"{done / elapsed:.3g}/s" if done >= elapsed else f"{elapsed / done:.3g} s each"
        if self.total is not None and self.done < self.total:
            left = (self.total - self.done) * elapsed / done - (now - self.last)
            text += f", {duration(max(0.0, left))} left"
        return text

    def shown(self) -> str:
        """The figures as text."""
        return " ".join(f"{name}={float(value):.4g}" for name, value in self.figures.items())


class Reporter:
    """Says nothing; the base of those that do.

    Tasks may be nested (the batches of an epoch within the epochs of a run). A stream that goes away (a pipe closed by
    its reader, a terminal that hangs up) ends the reports, not the work.

    Args:
        clock: seconds from any origin, never going back.
    """

    interval = math.inf
    """Least time between two redraws, in seconds."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.next_draw = math.inf
        self.tasks: list[Task] = []
        self._lost = False

    @contextmanager
    def task(self, description: str, total: int | None = None, done: int = 0) -> Iterator[Task]:
        """Counts up to ``total`` (``None``: unknown) for as long as the context lasts.

        Args:
            description: what is counted, such as ``epochs``.
            total: how many there will be.
            done: how many were done before, in a run that is resumed; they do not count for the pace.
        """
        task = Task(self, description, total, done, self.clock())
        self.tasks.append(task)
        self._attempt(self._begin, task)
        if not self._lost:
            self.next_draw = min(self.next_draw, self.clock() + self.interval)
        finished = False
        try:
            yield task
            finished = True
        finally:
            self._attempt(self._end, task, finished)
            self.tasks.remove(task)

    def say(self, text: str) -> None:
        """Writes a line."""
        self._attempt(self._say, text)

    def draw(self) -> None:
        """Shows where all tasks stand, and sets the time before which it need not be called again."""
        self.next_draw = self.clock() + self.interval
        if self.tasks:
            self._attempt(self._draw)

    def _attempt(self, act: Callable[..., None], *args: object) -> None:
        if self._lost:
            return
        try:
            act(*args)
        except OSError:
            self._lost, self.next_draw = True, math.inf

    def _begin(self, task: Task) -> None:
        """Shows a task that starts."""

    def _draw(self) -> None:
        """Shows where all tasks stand."""

    def _end(self, task: Task, finished: bool) -> None:
        """Shows a task that ends, or that an exception stopped."""

    def _say(self, text: str) -> None:
        """Writes a line."""


class Lines(Reporter):
    """Plain lines: where the outermost task starts, at every tenth of it or after 10 s, and where it ends.

    Args:
        stream: where to write.
        clock: seconds from any origin.
    """

    interval = 1.0
    silence = 10.0

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        super().__init__(clock)
        self._stream = stream
        self._spoke = -math.inf
        self._tenth = 0

    def _begin(self, task: Task) -> None:
        if task is self.tasks[0]:
            self._tenth = _tenths(task)
            self._say(f"{task.description}: {'' if task.total is None else f'{task.count()}, '}started")

    def _draw(self) -> None:
        outer, inner = self.tasks[0], self.tasks[-1]
        if _tenths(outer) > self._tenth:
            self._tenth = _tenths(outer)
            self._line(outer)
        elif self.clock() - self._spoke >= self.silence:
            self._line(inner)

    def _end(self, task: Task, finished: bool) -> None:
        if task is self.tasks[0]:
            now = self.clock()
            state = f"{'' if finished else 'stopped at '}{task.count()} in {duration(now - task.started)}"
            pace = task.pace(now).split(",")[0]
            self._say(f"{task.description}: " + ", ".join(filter(None, (state, pace, task.shown()))))

    def _line(self, task: Task) -> None:
        around = [f"{t.description} {t.count()}" for t in self.tasks[: self.tasks.index(task)]]
        place = " > ".join([*around, task.description])
        percent = f" ({100 * task.done // task.total} %)" if task.total else ""
        parts = (f"{task.count()}{percent}", task.pace(self.clock()), task.shown())
        self._say(f"{place}: " + ", ".join(filter(None, parts)))

    def _say(self, text: str) -> None:
        self._spoke = self.clock()
        self._stream.write(text + "\n")
        self._stream.flush()


class Bars(Reporter):
    """Bars on a terminal: one for each open task; that of the outermost stays when it is over.

    Args:
        stream: the terminal.
        clock: seconds from any origin.
    """

    interval = 0.1

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        super().__init__(clock)
        self._stream = stream
        self._bars: Progress | None = None
        self._ids: dict[Task, TaskID] = {}

    def _begin(self, task: Task) -> None:
        if self._bars is None:
            self._bars = _progress(self._stream)
            self._bars.start()
        self._ids[task] = self._bars.add_task(task.description, total=task.total, count="", beside="")
        self._draw()

    def _draw(self) -> None:
        assert self._bars is not None
        for task, bar in self._ids.items():
            beside = "  ".join(filter(None, (task.pace(self.clock()), task.shown())))
            self._bars.update(bar, completed=task.done, count=task.count(), beside=beside)
        self._bars.refresh()

    def _end(self, task: Task, finished: bool) -> None:
        assert self._bars is not None
        self._draw()
        bar = self._ids.pop(task)
        if self._ids:
            self._bars.remove_task(bar)
            self._bars.refresh()
        else:
            self._bars.stop()
            self._bars = None

    def _say(self, text: str) -> None:
        if self._bars is None:
            self._stream.write(text + "\n")
            self._stream.flush()
        else:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)


def _progress(stream: TextIO) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    def text(format: str) -> TextColumn:
        return TextColumn(format, markup=False)

    columns = (text("{task.description}"), BarColumn(), text("{task.fields[count]}"), text("{task.fields[beside]}"))
    # Rich would send what is printed on stdout to stderr while bars are up, which would spoil JSON on stdout.
    return Progress(*columns, console=Console(file=stream), auto_refresh=False, redirect_stdout=False)


def _tenths(task: Task) -> int:
    return 10 * task.done // task.total if task.total else 0


def duration(seconds: float) -> str:
    """``9.1 s``, ``2 min 05 s``, ``1 h 03 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def reporter(quiet: bool = False) -> Reporter:
    """The reporter for stderr as it is: bars on a terminal, lines in a file or pipe, none when ``quiet``."""
    stream: TextIO | None = sys.stderr
    if quiet or stream is None:
        return Reporter()
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        return Bars(stream)
    return Lines(stream)
