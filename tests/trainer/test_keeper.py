"""Which checkpoints a run keeps, and when they are written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from stemcore import State
from stemcore.trainer import checkpoint, saver
from stemcore.trainer.callbacks.keeper import LAST, Keeper
from stemcore.trainer.saver import Saver


class Training:
    """Epochs that end with the values given; the weights are the number of the epoch, changed in place."""

    def __init__(self, folder: Path, keeper: Keeper, seconds: float = 0.0) -> None:
        self.saver, self.keeper = Saver(folder, seconds), keeper
        self.weight = torch.zeros(1)
        self.state = State(None, folder, 100, 1)

    def epochs(self, values: list[float]) -> Training:
        for value in values:
            self.weight += 1
            self.state.epoch += 1
            self.state.metrics = {"val/r": value}
            self.keeper.on_epoch_end(self.state)
            self.saver.put(lambda: {"weights": {"w": self.weight}}, [LAST, *self.keeper.names], now=False)
            for name in self.keeper.outdone:
                self.saver.drop(name)
        return self


def kept(folder: Path) -> dict[str, int]:
    return {path.name: int(checkpoint.load(path)["weights"]["w"]) for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("seconds", [0.0, 1000.0])
def test_the_best_of_equal_epochs_is_the_first_and_nan_is_never_best(tmp_path: Path, seconds: float) -> None:
    training = Training(tmp_path, Keeper("val/r", "max", 0), seconds).epochs([float("nan"), 0.1, 0.3, 0.3, 0.2])
    training.saver.flush()
    assert kept(tmp_path) == {"best.ckpt": 3, "last.ckpt": 5}
    assert (training.keeper.best, training.keeper.best_epoch) == (0.3, 3)


@pytest.mark.parametrize("seconds", [0.0, 1000.0])
@pytest.mark.parametrize(("direction", "sign"), [("max", 1), ("min", -1)])
def test_the_top_k_are_kept_and_the_outdone_let_go(tmp_path: Path, direction: str, sign: int, seconds: float) -> None:
    keeper = Keeper("val/r", direction, 0, top=3)
    Training(tmp_path, keeper, seconds).epochs([sign * v for v in (1, 5, 3, 2, 4, 0)]).saver.flush()
    best = {f"best-epoch{epoch:03d}.ckpt": epoch for epoch in (2, 3, 5)}
    assert kept(tmp_path) == {**best, "best.ckpt": 2, "last.ckpt": 6}


def test_every_n_epochs_one_is_kept_besides(tmp_path: Path) -> None:
    Training(tmp_path, Keeper("val/r", "max", 2)).epochs([1, 2, 3, 4, 5])
    assert kept(tmp_path) == {"best.ckpt": 5, "epoch002.ckpt": 2, "epoch004.ckpt": 4, "last.ckpt": 5}


def test_a_resumed_run_goes_on_with_its_ranking(tmp_path: Path) -> None:
    first = Training(tmp_path, Keeper("val/r", "max", 0, top=2)).epochs([1, 5, 3])
    second = Training(tmp_path, Keeper("val/r", "max", 0, top=2))
    second.keeper.load_state_dict(first.keeper.state_dict())
    second.state.epoch, second.weight = 3, first.weight
    second.epochs([2, 4, 0])
    assert kept(tmp_path) == {"best-epoch002.ckpt": 2, "best-epoch005.ckpt": 5, "best.ckpt": 2, "last.ckpt": 6}


def test_short_epochs_wait_and_one_that_may_not_takes_them_along(tmp_path: Path) -> None:
    training = Training(tmp_path, Keeper("val/r", "max", 0), 1000.0).epochs([3])
    assert kept(tmp_path) == {"best.ckpt": 1, "last.ckpt": 1}
    training.epochs([4, 2])
    assert kept(tmp_path) == {"best.ckpt": 1, "last.ckpt": 1}
    training.weight += 5
    training.saver.put(lambda: {"weights": {"w": training.weight}}, [LAST], now=True)
    assert kept(tmp_path) == {"best.ckpt": 2, "last.ckpt": 8}


def test_one_checkpoint_under_two_names_is_one_file(tmp_path: Path) -> None:
    Training(tmp_path, Keeper("val/r", "max", 0)).epochs([1])
    assert (tmp_path / "best.ckpt").samefile(tmp_path / "last.ckpt")


def test_where_files_have_one_name_only_they_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(saver.os, "link", refuse)
    Training(tmp_path, Keeper("val/r", "max", 0)).epochs([1])
    assert kept(tmp_path) == {"best.ckpt": 1, "last.ckpt": 1}
    assert os.stat(tmp_path / "best.ckpt").st_ino != os.stat(tmp_path / "last.ckpt").st_ino
