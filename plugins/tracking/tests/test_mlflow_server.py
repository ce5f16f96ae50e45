"""A real ``mlflow server``: what a training leaves there, and a server that is lost while it goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stem_tracking.mlflow_logger import MlflowLogger
from stem_tracking.store import connect

from stemcore import Callback, State, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="ends a group of processes")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def server(tmp_path: Path, database: Callable[[Path], Path]) -> Iterator[str]:
    """The URI of a server with a database and artifacts of its own."""
    port, place = free_port(), tmp_path / "server"
    database(place)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{place}/mlflow.db", "--artifacts-destination", str(place / "kept")]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=place, env={**os.environ, **quiet}, start_new_session=True
        )
    try:
        wait_until(lambda: process.poll() is not None or answers(port), 120)
        assert process.poll() is None, (place / "log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, how)
                process.wait(5)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


class Wire:
    """A way to a server that can be cut and mended."""

    def __init__(self, port: int) -> None:
        self.to, self.port = port, free_port()
        self.mend()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def mend(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.open: list[socket.socket] = []
        threading.Thread(target=self._serve, args=(self.listener,), daemon=True).start()

    def cut(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for end in self.open:
            end.close()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.to))
            self.open += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(a, b), daemon=True).start()

    def _pass_on(self, a: socket.socket, b: socket.socket) -> None:
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            b.close()


class CutAfterFirstEpoch(Callback):
    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self.wire = wire

    def on_epoch_end(self, state: State) -> None:
        if state.epoch == 1:
            self.wire.cut()


def test_trainings_on_a_server(
    server: str, folder: Path, recipe: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    wire = Wire(int(server.rpartition(":")[2]))
    recorded(server, recipe)
    a_server_that_comes_back_gets_what_it_has_missed(wire, folder)
    a_training_outlives_its_server(wire, recipe)


def recorded(server: str, recipe: Callable[..., dict[str, Any]]) -> None:
    """By MLflow's client, and by plain HTTP as the browser asks."""
    loggers = ["csv", {"type": "mlflow", "experiment": "cubes", "tags": {"version": "v1.0"}}]
    trained = run(recipe(loggers=loggers, figures={"loss": {}}), output="one")
    run_id = json.loads((trained.directory / "mlflow.json").read_text())["run_id"]
    client = connect(server)
    found = client.get_run(run_id)
    assert (found.info.status, found.info.run_name) == ("FINISHED", "one")
    tags = found.data.tags
    assert (tags["version"], tags["stemcore.directory"]) == ("v1.0", str(Path("one").absolute()))
    assert tags["stemcore.plugins"].startswith("stemcore ")
    history = client.get_metric_history(run_id, "val/psnr")
    assert [m.step for m in history] == [3, 6]
    assert history[-1].value == trained.summary["final"]["val/psnr"]

    answer = asked(server, f"runs/get?run_id={run_id}")["run"]["data"]
    params = {p["key"]: p["value"] for p in answer["params"]}
    assert params["model.type"] == "conv_autoencoder"
    assert params["losses.mse.weight"] == "1.0"
    steps = asked(server, f"metrics/get-history?run_id={run_id}&metric_key=train/loss")["metrics"]
    assert [int(m["step"]) for m in steps] == [3, 6]
    files = [f["path"] for f in asked(server, f"artifacts/list?run_id={run_id}&path=checkpoints")["files"]]
    assert files == ["checkpoints/best.ckpt", "checkpoints/last.ckpt"]
    figure = contents(server, f"get-artifact?run_id={run_id}&path=figures/loss/step_00000006.png")
    assert figure.startswith(b"\x89PNG")
    text = contents(server, f"get-artifact?run_id={run_id}&path=recipe.yaml")
    assert text == (trained.directory / "recipe.yaml").read_bytes()


def a_server_that_comes_back_gets_what_it_has_missed(wire: Wire, folder: Path) -> None:
    (folder / "two").mkdir()
    logger = MlflowLogger(folder / "two", tracking_uri=wire.uri)
    logger.start({"name": "lost"}, ["val/loss"], 0)
    run_id = json.loads((folder / "two" / "mlflow.json").read_text())["run_id"]
    client = connect(f"http://127.0.0.1:{wire.to}")
    logger.log({"val/loss": 1.0}, step=1, epoch=1)
    wait_until(lambda: len(client.get_metric_history(run_id, "val/loss")) == 1, 20)
    wire.cut()
    logger.log({"val/loss": 2.0}, step=2, epoch=2)
    logger.log({"val/loss": 3.0}, step=3, epoch=3)
    assert len(client.get_metric_history(run_id, "val/loss")) == 1
    wire.mend()
    logger.finish("finished")
    assert [(m.step, m.value) for m in client.get_metric_history(run_id, "val/loss")] == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert client.get_run(run_id).info.status == "FINISHED"


def a_training_outlives_its_server(wire: Wire, recipe: Callable[..., dict[str, Any]]) -> None:
    loggers = ["csv", {"type": "mlflow", "tracking_uri": wire.uri}]
    trained = run(recipe(loggers=loggers), output="three", callbacks=[CutAfterFirstEpoch(wire)])
    assert (trained.summary["status"], trained.summary["epochs"]) == ("finished", 2)
    told = (trained.directory / "log.txt").read_text()
    assert "did not reach MLflow" in told
    assert "MLflow could not be told how the run ended" in told


def asked(server: str, what: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(contents(server, f"api/2.0/mlflow/{what}"))
    return found


def contents(server: str, what: str) -> bytes:
    with urllib.request.urlopen(f"{server}/{what}", timeout=20) as answer:
        return bytes(answer.read())
