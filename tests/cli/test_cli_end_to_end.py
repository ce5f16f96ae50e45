"""The verbs on a real, small scan, one after the other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import h5py
import numpy as np
import pytest

from stemcore.cli.main import execute

RECIPE = """
stem: 1
name: small
data:
  train: {type: hdf5, path: scan.h5}
  val: 0.25
  batch_size: 16
  transforms: {input: [{type: log1p}, {type: standardize}]}
model: {type: conv_autoencoder, latent_dim: 4}
losses: {mse: {}}
metrics: {mse: {}}
figures: {loss: {}}
trainer: {max_epochs: 2}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    patterns = np.random.default_rng(0).poisson(3.0, (8, 8, 16, 16)).astype(np.uint16)
    with h5py.File("scan.h5", "w") as file:
        file["patterns"] = patterns
    (tmp_path / "small.yaml").write_text(RECIPE)
    return tmp_path


def test_from_recipe_to_scores(folder, capsys):
    assert execute(["validate", "small.yaml"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("small.yaml is valid\n")
    assert "model conv_autoencoder" in captured.out

    assert execute(["run", "small.yaml", "model.latent_dim=3", "--output", "a", "--fast-dev-run"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "a"
    assert any(line.split()[0] == "val/mse" for line in lines)
    assert lines[-1] == "a/figures/loss.png"
    assert "epochs: 1/1" in captured.err

    assert execute(["encode", "a", "--out", "latents.h5", "-q"]) == 0
    assert capsys.readouterr() == ("latents.h5\n", "")
    with h5py.File("latents.h5") as file:
        assert file["latents"].shape == (8, 8, 3)

    assert execute(["reconstruct", "a", "--data", "scan.h5", "--out", "denoised.h5", "-q"]) == 0
    assert capsys.readouterr().out == "denoised.h5\n"
    with h5py.File("denoised.h5") as file:
        assert file["patterns"].shape == (8, 8, 16, 16)

    given = ["--out", "small.h5", "--dtype", "float16", "--compression", "bitshuffle-lz4", "-q"]
    assert execute(["reconstruct", "a", *given]) == 0
    assert capsys.readouterr() == ("small.h5\n", "")
    with h5py.File("denoised.h5") as whole, h5py.File("small.h5") as small:
        assert small["patterns"].dtype == np.float16
        assert np.array_equal(small["patterns"][:], whole["patterns"][:].astype(np.float16))

    assert execute(["encode", "a", "model.activation=relu", "--out", "other.h5", "-q"]) == 0
    assert execute(["reconstruct", "a", "model.output=softplus", "--out", "positive.h5", "-q"]) == 0
    assert capsys.readouterr() == ("other.h5\npositive.h5\n", "")
    with h5py.File("latents.h5") as own, h5py.File("other.h5") as other, h5py.File("positive.h5") as positive:
        assert not np.allclose(own["latents"][:], other["latents"][:], atol=1e-3)
        assert positive["patterns"].shape == (8, 8, 16, 16)
    assert execute(["evaluate", "a", "optimizer.lr=1", "data.eval_batch_size=5"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: optimizer.lr: ")
    assert len(captured.err.splitlines()) == 1

    assert execute(["evaluate", "a", "data.eval_batch_size=5", "--json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["items"] == 16
    assert set(document["scores"]["model"]) >= {"mse"}
    assert document["scores"]["mean"]["mse"] < document["scores"]["zeros"]["mse"]
    assert captured.err


def test_every_mistake_at_once(folder, capsys):
    assert execute(["validate", "small.yaml", "model.latent_dim=0", "trainer.max_epoch=3"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 2
    assert all(line.startswith("error: ") for line in captured.err.splitlines())
    assert "did you mean 'max_epochs'?" in captured.err


def test_resolved_recipe_is_valid_again(folder, capsys):
    assert execute(["validate", "small.yaml", "model.latent_dim=3", "--resolved"]) == 0
    resolved = capsys.readouterr().out
    (folder / "again.yaml").write_text(resolved)
    assert execute(["validate", "again.yaml", "--resolved"]) == 0
    assert capsys.readouterr().out == resolved


def test_schema_is_one_json_document(capsys):
    assert execute(["schema"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"model", "losses", "trainer"} <= set(document["properties"])


def test_refused_in_one_line(folder, capsys):
    for args in (
        ["encode", "nowhere", "--out", "z.h5"],
        ["run", "small.yam"],
        ["run", "small.yaml", "--resume", "nowhere"],
        ["reconstruct", "nowhere", "--out", "z.h5", "--dtype", "int8"],
        ["reconstruct", "nowhere", "--out", "z.h5", "--compression", "zip"],
    ):
        assert execute(args) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_interrupted_while_writing_leaves_nothing(folder):
    with h5py.File("large.h5", "w") as file:  # 2 million patterns that take no place: minutes of work
        file.create_dataset("patterns", (1024, 2048, 16, 16), np.uint16, chunks=(1, 256, 16, 16))
    assert execute(["run", "small.yaml", "--output", "a", "--fast-dev-run", "-q"]) == 0
    before = set(folder.iterdir())
    command = [sys.executable, "-m", "stemcore.cli", "reconstruct", "a", "--data", "large.h5", "--out", "out.h5", "-q"]
    # What runs in the background of a shell ignores SIGINT, and so would its children.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    working = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    try:
        while set(folder.iterdir()) == before:
            assert working.poll() is None
            time.sleep(0.05)
        assert [p.name for p in set(folder.iterdir()) - before] == [f".{working.pid}.out.h5"]
        working.send_signal(signal.SIGINT)
        assert working.communicate(timeout=60)[1] == "stem: interrupted\n"
    finally:
        working.kill()
    assert working.returncode == 130
    assert set(folder.iterdir()) == before
