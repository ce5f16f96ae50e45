"""Where the time of a step goes."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import torch
from torch.profiler import ProfilerActivity, profile

WARM_UP, MEASURED = 3, 10


class Profile:
    """Profiles a few steps after a warm-up: ``profile/trace.json`` (for chrome://tracing or Perfetto) and
    ``profile/summary.txt`` in the run directory.

    Args:
        wanted: whether to do anything.
        directory: the run directory.
    """

    def __init__(self, wanted: bool, directory: Path) -> None:
        self.folder = directory / "profile"
        self.steps = 0
        self._profile: profile | None = None
        if wanted:
            gpu = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
            self._profile = profile(activities=[ProfilerActivity.CPU, *gpu], record_shapes=True)

    def __enter__(self) -> Profile:
        return self

    def step(self) -> None:
        """Called after every step."""
        if self._profile is None:
            return
        self.steps += 1
        if self.steps == WARM_UP:
            self._profile.start()
        elif self.steps == WARM_UP + MEASURED:
            self._write()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._profile is not None and self.steps >= WARM_UP:
            self._write()

    def _write(self) -> None:
        """Ends profiling; also for a run shorter than the steps to be measured."""
        if self._profile is None:
            return
        self._profile.stop()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._profile.export_chrome_trace(str(self.folder / "trace.json"))
        table = self._profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=30)
        (self.folder / "summary.txt").write_text(table, encoding="utf-8")
        self._profile = None
