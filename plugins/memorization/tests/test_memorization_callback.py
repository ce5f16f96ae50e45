"""Copies looked for while a model trains: points whose model learns them by heart, or does not."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from stem_memorization.callback import Memorization
from torch import nn

import stemcore
from stemcore import DataSpec, FieldSpec, Model, State, UserError

ITEMS, EDGE = 60, 6
UNET = {"type": "diffusion_unet", "channels": [8], "blocks_per_level": 1, "head_dim": 8, "timesteps": 4}


class Parrot(Model):
    """Draws the pictures that it was given, or others, by ``heart``."""

    def __init__(self, spec: DataSpec, pictures: np.ndarray) -> None:
        super().__init__(spec)
        self.gain = nn.Parameter(torch.ones(()))
        self.pictures = torch.from_numpy(pictures)

    def provides(self):
        return {"prediction": FieldSpec("prediction", self.spec["input"].shape, like="input")}

    def forward(self, input):
        return {"prediction": self.gain * input}

    def sample(self, n, **conditions):
        return self.gain * self.pictures[:n]


class Watched(State):
    """A run with pictures."""

    def items(self, part="train"):
        values = {"train": PICTURES, "val": OTHERS[:20]}[part]
        for first in range(0, len(values), 16):
            here = slice(first, first + 16)
            order = np.arange(len(values))[here][::-1].copy()
            yield {"input": torch.from_numpy(values[order]), "index": torch.from_numpy(order)}


RNG = np.random.default_rng(0)
PICTURES = RNG.standard_normal((ITEMS, 1, EDGE, EDGE)).astype(np.float32)
OTHERS = RNG.standard_normal((ITEMS, 1, EDGE, EDGE)).astype(np.float32)


@pytest.mark.parametrize("copies", [0, 5, 20])
def test_the_share_of_copies_is_reported(tmp_path, copies) -> None:
    drawn = np.concatenate([PICTURES[30 : 30 + copies] + np.float32(1e-3), OTHERS[20 : 40 - copies]])
    model = Parrot(DataSpec({"input": FieldSpec("input", (1, EDGE, EDGE))}), drawn)
    state = Watched(model, tmp_path, max_epochs=3, steps_per_epoch=1, epoch=2, metrics={"epoch": 2.0})
    state.history.append(dict(state.metrics))
    callback = Memorization(n=20, every_n_epochs=2)
    callback.on_fit_start(state)
    callback.on_epoch_end(state)
    assert state.metrics["memorization/share"] == copies / 20
    assert state.metrics["memorization/cosine_share"] == copies / 20
    assert state.metrics["memorization/expected"] == 0
    assert state.history[-1] == state.metrics
    assert (tmp_path / "figures" / "memorization_epoch002.png").stat().st_size > 1000


def test_samples_that_are_not_finite_are_left_out(tmp_path) -> None:
    drawn = np.concatenate([PICTURES[30:35] + np.float32(1e-3), OTHERS[20:25], np.full((10, 1, EDGE, EDGE), np.nan)])
    spec = DataSpec({"input": FieldSpec("input", (1, EDGE, EDGE))})
    for pictures, share in ((drawn.astype(np.float32), 0.5), (drawn[10:].astype(np.float32), None)):
        state = Watched(Parrot(spec, pictures), tmp_path, max_epochs=3, steps_per_epoch=1, epoch=2)
        Memorization(n=len(pictures), every_n_epochs=2).on_epoch_end(state)
        assert state.metrics.get("memorization/share") == share


def test_few_held_out_items_are_no_measure(tmp_path) -> None:
    class Few(Watched):
        def items(self, part="train"):
            for batch in super().items(part):
                yield {name: values[:2] for name, values in batch.items()} if part == "val" else batch
                if part == "val":
                    return

    model = Parrot(DataSpec({"input": FieldSpec("input", (1, EDGE, EDGE))}), PICTURES)
    state = Few(model, tmp_path, max_epochs=3, steps_per_epoch=1, epoch=2)
    Memorization(n=20, every_n_epochs=2, top=0).on_epoch_end(state)
    assert state.metrics["memorization/share"] == 1


def test_it_looks_when_it_is_due_and_after_the_last_epoch(tmp_path) -> None:
    model = Parrot(DataSpec({"input": FieldSpec("input", (1, EDGE, EDGE))}), PICTURES)
    callback, seen = Memorization(n=8, every_n_epochs=2, max_items=30, top=0), []
    state = Watched(model, tmp_path, max_epochs=5, steps_per_epoch=1)
    for state.epoch in range(1, 6):
        state.metrics = {}
        callback.on_epoch_end(state)
        seen.append("memorization/share" in state.metrics)
    assert seen == [False, True, False, True, True]
    assert not (tmp_path / "figures").exists()


@pytest.fixture(scope="module")
def codes(tmp_path_factory):
    from stem_diffusion.store_examples import latents

    return latents(tmp_path_factory.mktemp("codes")).config["path"]


def recipe(path: str, model: dict) -> dict:
    return {
        "name": "watched",
        "data": {"train": {"type": "latents", "path": path}, "split": "given", "batch_size": 50},
        "model": model,
        "losses": {"denoising": {}} if model["type"] == "diffusion_unet" else {"mse": {}},
        "optimizer": {"type": "adam", "lr": 1e-3},
        "trainer": {"max_epochs": 2},
        "callbacks": {"memorization": {"n": 6, "every_n_epochs": 2, "top": 2}},
        "backend": "cpu",
        "loggers": ["csv"],
        "figures": {},
    }


def test_a_run_has_columns_for_it_and_a_figure(codes, tmp_path) -> None:
    run = stemcore.run(recipe(codes, UNET), output=tmp_path / "run")
    with (run.directory / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[-1]["memorization/share"] == "0.0"
    assert rows[0]["memorization/share"] == ""
    assert run.summary["final"]["memorization/expected"] == 0.0
    assert [f.name for f in run.figures] == ["memorization_epoch002.png"]


def test_a_model_that_does_not_sample_is_refused(codes, tmp_path) -> None:
    model = {"type": "conv_autoencoder", "latent_dim": 2, "channels": [2]}
    with pytest.raises(UserError, match="callback 'memorization' needs a model that samples, not ConvAutoencoder"):
        stemcore.run(recipe(codes, model), output=tmp_path / "run")


def test_a_scalar_that_is_reported_twice_is_refused(codes) -> None:
    from stemcore.assemble import assemble

    given = recipe(codes, UNET)
    given["callbacks"]["again"] = {"type": "memorization"}
    with pytest.raises(UserError, match="callback 'again' reports 'memorization/share', which is there without it"):
        assemble(stemcore.load_recipe(given))
