"""Runs in a database beside them: what is trained again is not recorded twice."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from matplotlib.figure import Figure as Drawing
from stem_tracking.mlflow_logger import MlflowLogger
from stem_tracking.store import connect

from stemcore import UserError, run
from stemcore.cli.main import execute


def recorded(directory: Path) -> tuple[Any, dict[str, Any]]:
    """The store's client and what the run directory says of its run."""
    about = json.loads((directory / "mlflow.json").read_text())
    return connect(about["tracking_uri"]), about


def values(directory: Path, key: str) -> list[tuple[int, float]]:
    client, about = recorded(directory)
    return [(m.step, m.value) for m in client.get_metric_history(about["run_id"], key)]


def drawing() -> Drawing:
    made = Drawing(figsize=(2, 1))
    made.subplots().plot([1, 2])
    return made


@pytest.fixture
def directory(tmp_path: Path, database: Callable[[Path], Path]) -> Path:
    database(tmp_path / "runs" / "mlflow")
    made = tmp_path / "runs" / "small" / "one"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def begin(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., MlflowLogger]:
    """A logger that has started from a step, with some steps logged."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def make(step: int, *logged: int, recipe: dict[str, Any] | None = None, **options: Any) -> MlflowLogger:
        logger = MlflowLogger(directory, **options)
        logger.start(recipe or {"name": "small", "seed": 1}, ["val/loss"], step)
        for at in logged:
            logger.log({"val/loss": 1 / at}, step=at, epoch=at)
            logger.figure("loss", drawing(), step=at)
        return logger

    return make


def test_a_run_goes_on_in_its_run_of_mlflow(begin: Callable[..., MlflowLogger], directory: Path) -> None:
    begin(0, 1, 2).finish("interrupted")
    client, before = recorded(directory)
    assert client.get_run(before["run_id"]).info.status == "KILLED"
    logger = begin(2, 3)
    assert client.get_run(before["run_id"]).info.status == "RUNNING"
    logger.finish("finished")
    assert recorded(directory)[1] == before
    assert values(directory, "val/loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert client.get_run(before["run_id"]).info.status == "FINISHED"


def test_what_is_trained_again_is_recorded_once(begin: Callable[..., MlflowLogger], directory: Path) -> None:
    begin(0, 1, 2, 3).finish("failed")
    client, before = recorded(directory)
    begin(2, 4).finish("finished")
    _, after = recorded(directory)
    assert values(directory, "val/loss") == [(1, 1.0), (2, 0.5), (4, 0.25)]
    paths = [found.path for found in client.list_artifacts(after["run_id"], "figures/loss")]
    assert paths == [f"figures/loss/step_0000000{step}.png" for step in (1, 2, 4)]
    old, new = client.get_run(before["run_id"]), client.get_run(after["run_id"])
    assert old.info.lifecycle_stage == "deleted"
    assert (old.data.tags["stemcore.superseded_by"], new.data.tags["stemcore.resumed_from"]) == (
        after["run_id"],
        before["run_id"],
    )


def test_another_length_is_a_new_parameter(begin: Callable[..., MlflowLogger], directory: Path) -> None:
    begin(0, 1, recipe={"name": "small", "epochs": 1}).finish("finished")
    begin(1, 2, recipe={"name": "small", "epochs": 2}).finish("finished")
    client, about = recorded(directory)
    assert client.get_run(about["run_id"]).data.params == {"name": "small", "epochs": "2"}
    assert values(directory, "val/loss") == [(1, 1.0), (2, 0.5)]
    assert len(client.search_runs([about["experiment_id"]])) == 1


def test_options(begin: Callable[..., MlflowLogger], directory: Path) -> None:
    options = {"experiment": "ours", "run_name": "first", "tags": {"version": "v1.0"}, "figures": False}
    (directory / "checkpoints").mkdir()
    for name in ("best", "last"):
        (directory / "checkpoints" / f"{name}.ckpt").write_bytes(b"weights")
    begin(0, 1, checkpoints="best", **options).finish("finished")
    client, about = recorded(directory)
    found = client.get_run(about["run_id"])
    assert (found.info.run_name, found.data.tags["version"]) == ("first", "v1.0")
    assert client.get_experiment(found.info.experiment_id).name == "ours"
    assert [a.path for a in client.list_artifacts(about["run_id"])] == ["checkpoints"]
    assert [a.path for a in client.list_artifacts(about["run_id"], "checkpoints")] == ["checkpoints/best.ckpt"]


def test_a_deleted_experiment_is_not_written_to(begin: Callable[..., MlflowLogger], directory: Path) -> None:
    begin(0).finish("finished")
    client, about = recorded(directory)
    client.delete_experiment(about["experiment_id"])
    with pytest.raises(UserError, match="the experiment 'small' was deleted; restore it"):
        begin(0)


def test_names_that_mlflow_does_not_take(begin: Callable[..., MlflowLogger], directory: Path) -> None:
    logger = begin(0)
    logger.log({"val/psnr@510nm": 1.0}, step=1, epoch=1)
    logger.finish("finished")
    assert values(directory, "val/psnr_510nm") == [(1, 1.0)]


def test_training_is_recorded_beside_the_runs(
    folder: Path, recipe: Callable[..., dict[str, Any]], database: Callable[[Path], Path]
) -> None:
    logged = recipe(loggers=["csv", {"type": "mlflow", "tags": {"version": "v1"}}], figures={"loss": {}})
    root = Path("runs/mlflow").absolute()
    client = connect(f"sqlite:///{database(root)}")
    trained = run(logged, overrides=["data.folds=2", "data.val=0", "trainer.max_epochs=1"])
    experiment = client.get_experiment_by_name("small")
    found = sorted(client.search_runs([experiment.experiment_id]), key=lambda r: r.info.run_name)
    assert [r.info.run_name for r in found] == [f"{trained.directory.name}/fold{k}" for k in (0, 1)]
    assert {r.info.status for r in found} == {"FINISHED"}
    for one, fold in zip(found, trained.runs, strict=True):
        final = fold.summary["final"]
        assert one.data.metrics["val/loss"] == final["val/loss"]
        assert one.data.params["model.latent_dim"] == "2"
        kept = {a.path for a in client.list_artifacts(one.info.run_id)}
        assert kept == {"checkpoints", "figures", "recipe.yaml", "environment.json", "summary.json"}
        summary = root / "artifacts" / "small" / one.info.run_id / "artifacts" / "summary.json"
        assert json.loads(summary.read_text())["status"] == "finished"


def test_a_server_that_is_not_there_ends_the_command(
    folder: Path, recipe: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
    Path("r.yaml").write_text(yaml.safe_dump({"stem": 1, **recipe(loggers=[{"type": "mlflow", "tracking_uri": uri}])}))
    assert execute(["run", "r.yaml", "-q"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"error: {uri}: the tracking server cannot be reached: ")
    assert not Path("runs").exists()
