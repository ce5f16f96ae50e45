"""Which checkpoints a run keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from stemcore import State
from stemcore.trainer.callbacks import keeper as module
from stemcore.trainer.callbacks.keeper import Keeper


def run(folder: Path, values: list[float], direction: str = "max", *, keeper: Keeper | None = None, **config: int):
    """Epochs that end with these values; each epoch's checkpoint is its number."""
    keeper = keeper or Keeper(folder, "val/r", direction, config.get("every", 0), config.get("top", 1))
    state = State(None, folder, 100, 1)
    start = config.get("start", 0)
    for epoch, value in enumerate(values, start + 1):
        state.epoch, state.metrics = epoch, {"val/r": value}
        keeper.on_epoch_end(state)
        (folder / "new").write_text(str(epoch))
        (folder / "new").replace(folder / "last.ckpt")
        keeper.keep()
    return keeper


def kept(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def test_the_best_of_equal_epochs_is_the_first_and_nan_is_never_best(tmp_path: Path) -> None:
    keeper = run(tmp_path, [float("nan"), 0.1, 0.3, 0.3, 0.2])
    assert kept(tmp_path) == {"best.ckpt": "3", "last.ckpt": "5"}
    assert (keeper.best, keeper.best_epoch) == (0.3, 3)


@pytest.mark.parametrize(("direction", "sign"), [("max", 1), ("min", -1)])
def test_the_top_k_are_kept_and_the_outdone_let_go(tmp_path: Path, direction: str, sign: int) -> None:
    run(tmp_path, [sign * v for v in (1, 5, 3, 2, 4, 0)], direction, top=3)
    best = {f"best-epoch{epoch:03d}.ckpt": str(epoch) for epoch in (2, 3, 5)}
    assert kept(tmp_path) == {**best, "best.ckpt": "2", "last.ckpt": "6"}


def test_every_n_epochs_one_is_kept_besides(tmp_path: Path) -> None:
    run(tmp_path, [1, 2, 3, 4, 5], every=2)
    assert kept(tmp_path) == {"best.ckpt": "5", "epoch002.ckpt": "2", "epoch004.ckpt": "4", "last.ckpt": "5"}


def test_a_resumed_run_goes_on_with_its_ranking(tmp_path: Path) -> None:
    values = [1, 5, 3, 2, 4, 0]
    first = run(tmp_path, values[:3], top=2)
    second = Keeper(tmp_path, "val/r", "max", 0, 2)
    second.load_state_dict(first.state_dict())
    run(tmp_path, values[3:], keeper=second, start=3)
    assert set(kept(tmp_path)) == {"best-epoch002.ckpt", "best-epoch005.ckpt", "best.ckpt", "last.ckpt"}


def test_where_files_have_one_name_only_they_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(module.os, "link", refuse)
    run(tmp_path, [1, 2], top=2)
    assert kept(tmp_path)["best-epoch001.ckpt"] == "1"
    assert not (tmp_path / "best.ckpt").samefile(tmp_path / "last.ckpt")
