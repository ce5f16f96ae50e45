"""Where records are kept."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from stem_tracking.parameters import parameters
from stem_tracking.store import connect, default_folder, locate, public, refuse_unreachable, refused, said

from stemcore import UserError


@pytest.mark.parametrize(
    ("directory", "store"),
    [
        ("runs/small/20260101-000000", "runs/mlflow"),
        ("runs/small/20260101-000000/fold3", "runs/mlflow"),
        ("runs/best", "runs/mlflow"),
        ("sweeps/small/trials/0003", "sweeps/mlflow"),
        ("elsewhere/one", "elsewhere/mlflow"),
        ("elsewhere/sweep/trials/0003", "elsewhere/sweep/mlflow"),
        ("project/runs/old/runs/a/b", "project/runs/old/runs/mlflow"),
    ],
)
def test_all_runs_of_a_root_share_a_store(directory: str, store: str, tmp_path: Path) -> None:
    assert default_folder(tmp_path / directory) == tmp_path / store


def test_folds_elsewhere_share_the_store_beside_their_cross_validation(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "recipe.yaml").touch()
    assert default_folder(tmp_path / "all" / "fold0") == tmp_path / "mlflow"


def test_the_recipe_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    store = tmp_path / "runs" / "mlflow"
    run = tmp_path / "runs" / "a" / "b"
    assert locate(run, None) == (f"sqlite:///{store}/mlflow.db", (store / "artifacts").as_uri())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000")
    assert locate(run, None) == ("http://tracker:5000", None)
    mine = tmp_path / "mine.db"
    assert locate(run, f"sqlite:///{mine}") == (f"sqlite:///{mine}", (tmp_path / "artifacts").as_uri())


def test_passwords_are_not_shown() -> None:
    assert public("http://me:secret@tracker:5000/x") == "http://me@tracker:5000/x"
    assert public("sqlite:////a/b.db") == "sqlite:////a/b.db"
    error = ValueError("http://me:secret@tracker:5000/api and https://tracker/a@b:c failed")
    assert said(error) == "http://me@tracker:5000/api and https://tracker/a@b:c failed"
    assert "secret" not in str(refused("http://me:secret@tracker:5000", error))


def test_what_is_no_store_is_told_what_would_be_one() -> None:
    for uri in ("htp://tracker", "mlruns", "sqlite://mine.db"):
        assert str(refused(uri, ValueError("no"))).endswith("; a tracking_uri is http://HOST:PORT, or sqlite:///PATH")
    assert str(refused("http://tracker:5000", ValueError("no"))).endswith(": no")


def test_nothing_listens(free_port: int) -> None:
    with pytest.raises(UserError) as raised:
        refuse_unreachable(f"http://me:secret@127.0.0.1:{free_port}")
    text = str(raised.value)
    assert text.startswith(f"http://me@127.0.0.1:{free_port}: the tracking server cannot be reached: ")
    with socket.create_server(("127.0.0.1", free_port)):
        refuse_unreachable(f"http://127.0.0.1:{free_port}")


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_database_is_made_by_one_at_a_time(tmp_path: Path, database: Callable[[Path], Path]) -> None:
    fcntl = pytest.importorskip("fcntl")
    path, done = database(tmp_path), threading.Event()

    def open_it() -> None:
        connect(f"sqlite:///{path}")
        done.set()

    with (tmp_path / ".mlflow.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        other = threading.Thread(target=open_it)
        other.start()
        assert not done.wait(0.3)
    other.join(30)
    assert done.is_set()


def test_a_recipe_as_a_flat_table() -> None:
    found = parameters(
        {
            "name": "x",
            "data": {"train": {"path": "a.h5"}, "transforms": {"input": [{"type": "log1p"}]}, "augment": []},
            "model": {"channels": [8, 16], "lr": 1e-3, "bias": True, "norm": None, "note": "", "b@d": "é"},
            "long": "z" * 501,
            "whole": "z" * 500,
        }
    )
    assert found == {
        "name": "x",
        "data.train.path": "a.h5",
        "data.transforms.input.0.type": "log1p",
        "data.augment": "[]",
        "model.channels": "[8, 16]",
        "model.lr": "0.001",
        "model.bias": "true",
        "model.norm": "null",
        "model.note": '""',
        "model.b_d": "é",
        "long": "z" * 497 + "...",
        "whole": "z" * 500,
    }
