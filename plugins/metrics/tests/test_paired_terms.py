"""Losses and metrics of paired platforms in runs: wired by ``inputs``, and what they log."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr

import stemcore

SMALL = {"latent_dim": 4, "encoder": [16], "decoder": [16]}
ERRORS = {
    f"{part}_{p}": {
        "type": "mse",
        "inputs": {"prediction": f"{part}_{p}", "target": f"target_{p}", "mask": f"mask_{p}"},
    }
    for part in ("recon", "cross")
    for p in "ab"
}


def pearson(p: str) -> dict[str, Any]:
    spaces = {"prediction": f"cross_{p}@model", "target": f"target_{p}@model", "mask": f"mask_{p}"}
    return {"type": "pearson", "inputs": spaces}


def inputs(kind: str, names: str, **config: Any) -> dict[str, dict[str, Any]]:
    """A term for each platform, of outputs named after it."""
    return {f"{kind}_{p}": {"type": kind, **config, "inputs": {n: f"{n}_{p}" for n in names.split()}} for p in "ab"}


TERMS: dict[str, dict[str, Any]] = {
    "joint_vae": {
        **inputs("kl", "mu logvar", reduction="mean", weight=1e-3),
        "alignment_kl": {"weight": 0.01},
        "mmd": {"inputs": {"first": "latent_a", "second": "latent_b"}},
    },
    "joint_vae_plus": {
        **inputs("kl_monte_carlo", "log_posterior log_prior", weight=1e-3),
        **{
            f"total_correlation_{p}": {
                "type": "total_correlation",
                "weight": 1e-3,
                "inputs": {"latent": f"base_{p}", "mu": f"mu_{p}", "logvar": f"logvar_{p}"},
            }
            for p in "ab"
        },
        "mse": {"inputs": {"prediction": "mu_a", "target": "mu_b"}},
    },
    "joint_vae_vampprior": inputs("kl_monte_carlo", "log_posterior log_prior", free_bits=0.1),
    "joint_iwae": inputs("iwae", "log_weights"),
    "joint_vq": inputs("vq_commitment", "encoded quantized", weight=0.25) | inputs("vq_codebook", "encoded quantized"),
    "joint_mm": inputs("kl_monte_carlo", "log_posterior log_prior"),
    "generative_vae": inputs("adversarial_generator", "fake_score", weight=0.1)
    | inputs("adversarial_critic", "real_score fake_score_detached"),
}
CONFIG: dict[str, dict[str, Any]] = {
    "joint_vae_vampprior": {"pseudo_inputs": 5},
    "joint_vq": {"codes": 8, "groups": 2},
    "generative_vae": {"decoder_type": "gan"},
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two platforms of 60 samples that follow three factors, a tenth of the cells missing."""
    folder = tmp_path_factory.mktemp("platforms")
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(60, 3))
    for name, width in (("a", 12), ("b", 9)):
        values = hidden @ rng.normal(size=(3, width)) + 0.2 * rng.normal(size=(60, width)) + 5
        missing = rng.random(values.shape) < 0.1
        rows = [
            [f"s{i}", *("" if m else f"{v:.6f}" for v, m in zip(row, gone, strict=True))]
            for i, (row, gone) in enumerate(zip(values, missing, strict=True))
        ]
        lines = [["id", *(f"{name}{k}" for k in range(width))], *rows]
        (folder / f"{name}.csv").write_text("\n".join(",".join(line) for line in lines) + "\n", encoding="utf-8")
    return folder


def trained(tables: Path, output: Path, model: str, epochs: int, **trainer: Any) -> list[dict[str, float]]:
    """What each epoch of a run logged at its validation."""
    chain = [{"type": "impute"}, {"type": "zscore"}]
    codebooks = {f"codes_{p}": {"type": "perplexity", "size": 8, "inputs": {"codes": f"codes_{p}"}} for p in "ab"}
    by_feature = {
        f"r2_{p}": {
            "type": "r2",
            "by": "feature",
            "inputs": {"prediction": f"recon_{p}", "target": f"target_{p}", "mask": f"mask_{p}"},
        }
        for p in "ab"
    }
    recipe = {
        "stem": 1,
        "name": model,
        "seed": 0,
        "data": {
            "train": {"type": "paired_tables", "a": str(tables / "a.csv"), "b": str(tables / "b.csv")},
            "val": 0.3,
            "transforms": {"input_a": chain, "input_b": chain},
            "batch_size": 8,
        },
        "model": {"type": model, **SMALL, **CONFIG.get(model, {})},
        "losses": {**ERRORS, **TERMS[model]},
        "metrics": {
            "r_a": pearson("a"),
            "r_b": pearson("b"),
            **by_feature,
            **(codebooks if model == "joint_vq" else {}),
        },
        "optimizer": {"type": "adam", "lr": 1e-2},
        "trainer": {"max_epochs": epochs, **trainer},
        "backend": "cpu",
        "loggers": ["csv"],
        "figures": {},
    }
    stemcore.run(recipe, output=output)
    with open(output / "metrics.csv", encoding="utf-8") as file:
        rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    return [row for row in rows if "val/loss" in row]


def test_a_monitored_correlation_is_that_of_the_values_imputed(tables, tmp_path, monkeypatch):
    monkeypatch.setenv("STEM_CACHE_DIR", str(tmp_path / "cache"))
    monitor = {"monitor": "val/r_b_feature_median"}
    rows = trained(tables, tmp_path / "run", "joint_vae", 6, checkpoint=monitor)
    assert all(np.isfinite(rows[-1][f"val/{term}"]) for term in (*ERRORS, *TERMS["joint_vae"]))
    trained_run = stemcore.load_run(tmp_path / "run")
    values = trained_run.items()["val"].read()
    found = trained_run.impute({"input_a": values["input_a"]})["input_b"]
    truth = values["input_b"]
    measured = np.isfinite(truth)
    assert not measured.all()
    r = [pearsonr(p[m], t[m]).statistic for p, t, m in zip(found.T, truth.T, measured.T, strict=True)]
    best = max(row["val/r_b_feature_median"] for row in rows)
    assert best == pytest.approx(np.median(r), abs=1e-5)
    assert best > 0.3


@pytest.mark.parametrize("model", [model for model in TERMS if model != "joint_vae"])
def test_every_other_model_has_the_terms_it_needs(model, tables, tmp_path, monkeypatch):
    monkeypatch.setenv("STEM_CACHE_DIR", str(tmp_path / "cache"))
    (row,) = trained(tables, tmp_path / "run", model, 1)
    for term in (*ERRORS, *TERMS[model]):
        assert np.isfinite(row[f"val/{term}"]), term
    for name in ("r_a", "r_b"):
        for key in ("feature_mean", "feature_median", "sample_mean", "sample_median"):
            assert -1 <= row[f"val/{name}_{key}"] <= 1
    assert row["val/r2_a_feature_median"] <= 1
    if model == "joint_vq":
        assert 1 <= row["val/codes_a"] <= 8
