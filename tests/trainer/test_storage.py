"""Training on storage that hangs, breaks, or changes under the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

from stemcore import run
from stemcore.errors import TrainingFailed
from stemcore.progress import reporter
from stemcore.trainer import checkpoint
from stemcore.trainer.feed import Feed
from tests.conftest import bundled_patterns

QUIET = reporter(quiet=True)
HANGING = '''
import time
from pathlib import Path
from stemcore import Dataset, FieldSpec, hookimpl
import numpy as np

class Hanging(Dataset):
    """Patterns of a server that stops to answer for good after a while.

    Args:
        reads: that are answered.
    """

    def __init__(self, *, reads: int = 100000) -> None:
        self.reads = reads

    def __len__(self):
        return 640

    @property
    def fields(self):
        return {"input": FieldSpec("input", (1, 16, 16))}

    def read(self, indices):
        self.reads -= 1
        if self.reads < 0:
            Path(__file__).with_name("hanging").touch()
            time.sleep(600)
        rng = np.random.default_rng(int(indices[0]) if len(indices) else 0)
        return {"input": rng.random((len(indices), 1, 16, 16), dtype=np.float32)}

    def blocks(self):
        return np.array_split(np.arange(640), 40)

@hookimpl
def stem_datasets():
    return {"hanging": "hanging_server:Hanging"}
'''


@pytest.fixture
def hanging(tmp_path: Path) -> dict[str, str]:
    """The environment of a process in which the data set ``hanging`` is installed."""
    (tmp_path / "hanging_server.py").write_text(HANGING)
    information = tmp_path / "hanging-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: hanging\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[stemcore]\nhanging = hanging_server\n")
    return {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


@pytest.mark.parametrize("accumulate", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_ctrl_c_ends_a_run_that_waits_for_storage(accumulate: int, hanging: dict[str, str], tmp_path: Path) -> None:
    recipe = {
        "name": "hanging",
        "data": {"train": {"type": "hanging", "reads": 60}, "val": 0, "batch_size": 16, "cache": "none"},
        "model": {"type": "conv_autoencoder", "latent_dim": 2, "channels": [4, 4]},
        "losses": {"mse": {}},
        "loggers": ["csv"],
        "trainer": {"max_epochs": 5, "accumulate_grad_batches": accumulate},
        "backend": "cpu",
    }
    recipe["data"]["shuffle_buffer_mb"] = 0.2  # type: ignore[index]
    path = tmp_path / "hanging.yaml"
    path.write_text(yaml.safe_dump(recipe))
    program = [sys.executable, "-m", "stemcore.cli", "run", str(path), "--output", str(tmp_path / "run")]
    with subprocess.Popen(program, env=hanging, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while not (tmp_path / "hanging").exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(1.0)  # what was read before is trained on meanwhile
        process.send_signal(signal.SIGTERM)  # SIGINT is ignored by what a shell starts in its background
        try:
            _, errors = process.communicate(timeout=30)  # a hung run would wait for ten minutes
        finally:
            process.kill()
    assert process.returncode == 130, errors
    assert "interrupted in epoch" in errors
    saved = checkpoint.load(tmp_path / "run" / "checkpoints" / "last.ckpt")["training"]
    assert saved["batch"] % accumulate == 0
    assert (saved["epoch"], saved["batch"]) > (0, 0)


def test_a_file_that_is_replaced_between_epochs_ends_the_run_with_its_name(
    small: Callable[..., dict[str, Any]], scan_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = scan_file("scan.h5", bundled_patterns()[:200])

    document = small(data={"train": {"type": "hdf5", "path": str(path)}, "cache": "none"}, trainer={"max_epochs": 3})
    begun = Feed.batches
    epochs = []

    def batches(self: Feed, epoch: int, start: int = 0) -> Any:
        epochs.append(epoch)
        if epoch == 1:
            other = path.with_suffix(".new")
            with h5py.File(other, "w") as file:
                file.create_dataset("patterns", data=np.zeros((200, 16, 16), np.uint16))
            other.replace(path)
        return begun(self, epoch, start)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Feed, "batches", batches)
        with pytest.raises(TrainingFailed, match=r"scan\.h5: has changed since the run was started.*last\.ckpt"):
            run(document, output=tmp_path / "run", reporter=QUIET)
    assert epochs == [0, 1]
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()


def test_a_chunk_that_breaks_while_training_is_named_and_the_checkpoint_stays(
    small: Callable[..., dict[str, Any]], scan_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = scan_file("scan.h5", bundled_patterns()[:200], chunks=(16, 16, 16), compression="gzip")
    with h5py.File(path) as file:
        place = file["patterns"].id.get_chunk_info_by_coord((32, 0, 0))
    before = path.stat()
    with path.open("r+b") as raw:
        raw.seek(place.byte_offset)
        raw.write(b"\xff" * place.size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    document = small(data={"train": {"type": "hdf5", "path": str(path)}, "transforms": {}}, trainer={"max_epochs": 2})
    with pytest.raises(Exception, match=r"pattern 32 \(chunk 2\) of dataset 'patterns' cannot be read"):
        run(document, output=tmp_path / "run", reporter=QUIET)


def test_patterns_that_cannot_be_read_are_left_out_and_counted(
    small: Callable[..., dict[str, Any]], scan_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = scan_file("scan.h5", bundled_patterns()[:200], chunks=(16, 16, 16), compression="gzip")
    with h5py.File(path) as file:
        place = file["patterns"].id.get_chunk_info_by_coord((32, 0, 0))
    with path.open("r+b") as raw:
        raw.seek(place.byte_offset)
        raw.write(b"\xff" * place.size)
    train = {"type": "hdf5", "path": str(path), "skip_unreadable": True}
    done = run(small(data={"train": train}, trainer={"max_epochs": 1}), output=tmp_path / "run", reporter=QUIET)
    assert done.summary["status"] == "finished"
    assert "left out 16 of 200 patterns" in (tmp_path / "run" / "log.txt").read_text()
