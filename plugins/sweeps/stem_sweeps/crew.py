"""Several processes on this machine that work on one study."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from stem_sweeps.plan import Plan
from stem_sweeps.work import stopped_by_signals
from stemcore import Interrupted, TrainingFailed, reporter

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def work_together(plan: Plan, arguments: Sequence[str], count: int) -> None:
    """Starts ``count`` processes, each with its share of the cores, and relays what they say.

    Args:
        plan: the sweep.
        arguments: of ``stem sweep``, for one of them.
        count: how many.

    Raises:
        Interrupted: after SIGINT or SIGTERM, once every process has saved its trial.
        TrainingFailed: if processes ended before the study did.
    """
    report, study = reporter(), plan.study
    crew: list[_Worker] = []
    with stopped_by_signals(), report.task("trials", study.trials, done=len(study.finished())) as task:
        try:
            crew += [_Worker(number + 1, arguments, count, report) for number in range(count)]
            while any(worker.process.poll() is None for worker in crew):
                task.advance(max(0, min(len(study.finished()), study.trials) - task.done))
                time.sleep(0.2)
        except KeyboardInterrupt:
            raise Interrupted("interrupted; the same command goes on with the trials that were begun") from None
        finally:
            for worker in crew:
                worker.stop()
            for worker in crew:
                worker.join()
        task.advance(max(0, min(len(study.finished()), study.trials) - task.done))
    if len(study.finished()) < study.trials:
        worker = next((w for w in crew if w.process.returncode), crew[0])
        if any(w.process.returncode == 130 for w in crew):
            raise Interrupted("a worker was interrupted; the same command goes on")
        said = worker.last[-1] if worker.last else ""
        raise TrainingFailed(f"worker {worker.number} ended with {worker.process.returncode}: {said}")


class _Worker:
    """A process, in a session of its own: Ctrl-C reaches it through :meth:`stop` alone, once."""

    def __init__(self, number: int, arguments: Sequence[str], count: int, report: Any) -> None:
        self.number = number
        self.last: deque[str] = deque(maxlen=1)
        command = [sys.executable, "-m", "stemcore.cli", "sweep", *arguments]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **dict.fromkeys(THREADS, str(threads_of_each(count)))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self._relay, args=(report,), daemon=True)
        self.reader.start()

    def _relay(self, report: Any) -> None:
        for line in self.process.stderr or ():
            self.last.append(line.rstrip())
            report.say(f"worker {self.number}: {line.rstrip()}")

    def stop(self) -> None:
        """Lets it save its trial and end, if it has not ended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def join(self) -> None:
        """Waits for its end."""
        self.process.wait()
        self.reader.join()


def threads_of_each(count: int) -> int:
    """The cores for each of so many processes; no more than ``OMP_NUM_THREADS`` says already."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores // count, int(allowed) if allowed.isdecimal() else cores))
