"""The recipe: it trains, and denoises better than what the field uses."""

from __future__ import annotations

import h5py
import pytest

from stemcore import load_recipe, run


def test_it_trains(tmp_path):
    trained = run(load_recipe("spectra-denoise", ["figures.latent_maps=null"]), output=tmp_path, fast_dev_run=True)
    assert {"val/line_counts", "val/line_counts_Fe_Ka", "train/beyond_resolution"} <= set(trained.summary["final"])
    assert [figure for figure in trained.figures if "line_maps" in figure.name]


@pytest.mark.slow
def test_it_denoises_better_than_weighted_principal_components(tmp_path):
    from baselines import errors, sample, simple

    trained = run(load_recipe("spectra-denoise", ["figures=null"]), output=tmp_path / "run")
    trained.reconstruct(tmp_path / "denoised.h5")
    with h5py.File(tmp_path / "denoised.h5") as file:
        (name,) = (key for key, value in file.items() if value.ndim == 3)
        found = file[name][:]
    counts, truth = sample()
    mine = errors({"this": found.reshape(truth.shape)}, counts, truth)["this"]
    best = min(simple(counts, truth).values())
    print(f"mean square error over that of the counts: {mine:.4f}, best baseline {best:.4f}")
    assert mine < 0.75 * best
