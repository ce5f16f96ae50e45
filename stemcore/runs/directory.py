"""The files of a run directory."""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any, TextIO

from stemcore.assemble import Parts, inner_runs
from stemcore.component.callback import State
from stemcore.component.command import is_first_process
from stemcore.component.run_reference import RunReference
from stemcore.errors import TrainingFailed, UserError
from stemcore.files import write_text
from stemcore.plugins import catalogue

RECIPE, ENVIRONMENT, SUMMARY, LOG, CHECKPOINTS = (
    "recipe.yaml",
    "environment.json",
    "summary.json",
    "log.txt",
    "checkpoints",
)
JOB = "job"
"""Folder of a run directory for what starts the run from outside, such as the script of a cluster's job. It may be
there before the run begins, and it stays whatever becomes of it."""
PACKAGES = ("stemcore", "torch", "lightning-fabric", "torchmetrics", "numpy", "h5py", "hdf5plugin")


def default_output(name: str) -> Path:
    """``runs/<recipe name>/<time>``, a folder that is not there yet."""
    folder = Path("runs") / name
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    names = [stamp, *(f"{stamp}-{n}" for n in range(2, 1000))]
    return next(folder / name for name in names if not (folder / name).exists())


def refuse_occupied(output: Path) -> None:
    """Raises ``UserError`` if a new run must not go to ``output``."""
    if output.is_dir() and not _contents(output):
        return
    if (output / RECIPE).exists():
        hint = f"choose another --output, or go on with it: --resume {output}"
        raise UserError("the output directory holds another run", where=str(output), hint=hint)
    if output.exists():
        raise UserError(
            "the output exists and is not an empty directory", where=str(output), hint="choose another --output"
        )
    above = next(folder for folder in output.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        message = f"the output cannot be made: {above} is {'not writable' if above.is_dir() else 'a file'}"
        raise UserError(message, where=str(output), hint="choose another --output")


def _contents(directory: Path) -> list[Path]:
    """What there is in a run directory besides its job."""
    return [path for path in directory.iterdir() if path.name != JOB]


@contextmanager
def undone_if_wrong(directory: Path, is_kept: Callable[[Path], bool] | None = None) -> Iterator[None]:
    """Removes what a new run has written if its input turns out to be wrong before its first epoch has ended: what
    cannot be trained on leaves nothing behind. Of several processes the first does, which writes.

    Args:
        directory: of the run.
        is_kept: whether what is there is worth something, if that is not to end an epoch.
    """
    missing = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    try:
        yield
    except UserError:
        if is_first_process() and not (is_kept or _ended_an_epoch)(directory):
            for content in _contents(directory) if directory.is_dir() else ():
                shutil.rmtree(content) if content.is_dir() else content.unlink()
            with suppress(OSError):  # a folder above in which another run has begun meanwhile stays
                for folder in missing:
                    folder.rmdir()
        raise


def _ended_an_epoch(directory: Path) -> bool:
    summaries = [path for path in (directory / SUMMARY, *directory.glob(f"*/{SUMMARY}")) if path.is_file()]
    return any(json.loads(path.read_text(encoding="utf-8"))["final"] for path in summaries)


def claim(directory: Path) -> None:
    """Makes the directory of a new run.

    Raises:
        UserError: if the directory cannot be made.
        TrainingFailed: if another run has begun there since it was found to be free.
    """
    try:
        if directory.exists() and _contents(directory):
            raise FileExistsError
        directory.mkdir(parents=True, exist_ok=directory.exists())
    except FileExistsError:
        raise TrainingFailed(f"{directory}: another run has just begun there; choose another --output") from None
    except OSError as error:
        message = f"the output cannot be made: {error.strerror}"
        raise UserError(message, where=str(directory), hint="choose another --output") from error


def begin(directory: Path, parts: Parts, device: str) -> None:
    """Claims the directory and writes what is known before training.

    Raises:
        UserError, TrainingFailed: as :func:`claim` does.
    """
    claim(directory)
    write_text(directory / ENVIRONMENT, _json(environment(parts, device, directory)))
    write_text(directory / RECIPE, parts.recipe.to_yaml())


def environment(parts: Parts, device: str, directory: Path) -> dict[str, Any]:
    """Versions, device, revision, the data's fingerprint, and the runs that components use."""
    train = parts.sources.train.dataset
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: v for name in PACKAGES if (v := _version(name))},
        "plugins": {p.name: f"{p.distribution} {p.version}" for p in catalogue().plugins},
        "device": device,
        "git": _git(),
        "data": {"fingerprint": train.fingerprint(), "items": len(train), "files": [str(f) for f in train.files]},
        "runs": {place: _address(reference, directory) for place, reference in inner_runs(parts.recipe).items()},
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _address(reference: RunReference, directory: Path) -> dict[str, str]:
    """Where a run that another one uses is, from that one's directory, too."""
    return {**reference.document(), "relative": os.path.relpath(reference.given, directory.absolute())}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git() -> str | None:
    """The revision of the folder in which the run was started, ``+`` behind it where files were changed."""
    try:
        options = {"capture_output": True, "text": True, "timeout": 5, "check": True}
        revision = subprocess.run(["git", "rev-parse", "HEAD"], **options).stdout.strip()  # type: ignore[call-overload]
        changed = subprocess.run(["git", "status", "--porcelain", "-uno"], **options).stdout.strip()  # type: ignore[call-overload]
        return f"{revision}+" if changed else revision
    except (OSError, subprocess.SubprocessError):
        return None


def summarize(
    directory: Path,
    parts: Parts,
    state: State,
    *,
    status: str,
    seconds: float,
    items: int,
    reason: str | None,
    evaluation: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes ``summary.json``: the final and the best value of every metric, wall time, items per second."""
    best: dict[str, Any] = {}
    for name, way in parts.directions.items():
        seen = [(h[name], int(h["epoch"])) for h in state.history if name in h and math.isfinite(h[name])]
        if seen and way is not None:
            value, epoch = (min if way == "min" else max)(seen, key=lambda pair: pair[0])
            best[name] = {"value": value, "epoch": epoch, "direction": way}
    summary = {
        "name": parts.recipe.name,
        "monitor": parts.recipe.trainer.checkpoint.monitor,
        "status": status,
        "reason": reason,
        "epochs": state.epoch,
        "steps": state.step,
        "final": state.history[-1] if state.history else {},
        "best": best,
        "parameters": sum(p.numel() for p in state.model.parameters()),
        "wall_seconds": round(seconds, 3),
        "items_per_second": round(items / seconds, 3) if seconds > 0 else None,
    }
    write_text(directory / SUMMARY, _json(summary))
    return summary


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str) + "\n"


@contextmanager
def remembering() -> Iterator[MemoryHandler]:
    """Keeps what is logged before there is a run directory, for :func:`logging_to`."""
    handler = MemoryHandler(capacity=10_000, flushLevel=logging.CRITICAL + 1, flushOnClose=False)
    with _heard_by(handler):
        yield handler


@contextmanager
def logging_to(directory: Path, earlier: MemoryHandler) -> Iterator[None]:
    """Appends what is logged, and what was ``earlier``, to ``log.txt`` of a run directory; it is locked meanwhile."""
    handler = logging.FileHandler(directory / LOG, encoding="utf-8")
    assert handler.stream is not None, "it is opened at once"
    _lock(handler.stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    earlier.setTarget(handler)
    earlier.flush()
    logging.getLogger("stemcore").removeHandler(earlier)
    with _heard_by(handler):
        yield


def _lock(file: TextIO) -> None:
    """Locks a file until it is closed, which the end of a process does however it ends: whoever finds the log locked
    knows that the run is being trained. Some systems and network disks have no such locks."""
    with suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


@contextmanager
def _heard_by(handler: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger("stemcore")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()
