"""Training learns: noise-free patterns from noisy ones alone, and from every regularizer what it is there for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA

from stemcore import Run, load_recipe, load_run, run
from stemcore.progress import reporter

QUIET = reporter(quiet=True)
FIGURELESS = ["figures=null", "loggers=[csv]"]


def sample() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The bundled scan: counts (1280, 64, 64), noise-free patterns (64, 64, 64) in counts, and their items."""
    from importlib.resources import files

    with h5py.File(str(files("stem_datasets") / "samples" / "ws2_wse2_32.h5")) as file:
        return file["patterns"][:].astype(np.float64), file["expected"][:].astype(np.float64), file["expected_index"][:]


def binned(patterns: np.ndarray, factor: int) -> np.ndarray:
    n, h, w = patterns.shape
    return patterns.reshape(n, h // factor, factor, w // factor, factor).sum(axis=(2, 4))


def error(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean squared error of the square roots, in which Poisson noise is equally strong everywhere."""
    return float(np.mean((np.sqrt(np.maximum(found, 0)) - np.sqrt(truth)) ** 2))


def errors_on_expected(trained: Run, components: int, factor: int = 1) -> dict[str, float]:
    """Of the model, of PCA and of the mean, on every item whose noise-free pattern is known."""
    counts, truth, items = sample()
    counts, truth = binned(counts, factor), binned(truth, factor)
    path = trained.reconstruct(trained.directory / "denoised.h5", reporter=QUIET)
    with h5py.File(path) as file:
        found = file["patterns"][:].reshape(counts.shape)
    roots = np.sqrt(counts).reshape(len(counts), -1)
    pca = PCA(components, random_state=0).fit(roots)
    projected = pca.inverse_transform(pca.transform(roots[items])).clip(0) ** 2
    return {
        "model": error(found[items], truth),
        "pca": error(projected.reshape(truth.shape), truth),
        "mean": error(counts.mean(axis=0)[None], truth),
        "counts": error(counts[items], truth),
    }


def test_noisy_counts_alone_teach_it_the_noise_free_patterns(
    small: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """Small patterns, so that it takes seconds. Nothing noise-free is ever shown to the model."""
    document = small(
        data={"transforms": {"input": [{"type": "bin", "factor": 4}, "sqrt", "standardize"]}, "batch_size": 16},
        model={"latent_dim": 8, "channels": [16, 32]},
        optimizer={"lr": 3e-3},
        scheduler="warmup_cosine",
        trainer={"max_epochs": 8},
    )
    recipe = load_recipe({**document, "losses": {"poisson_nll": {}}, "metrics": {}})
    errors = errors_on_expected(run(recipe, output=tmp_path / "run", reporter=QUIET), 8, factor=4)
    assert errors["model"] < 0.75 * errors["pca"] < errors["mean"], errors
    assert errors["model"] < 0.3 * errors["counts"], errors


@pytest.mark.slow
def test_the_quick_recipe_at_most_half_the_error_of_principal_components(tmp_path: Path) -> None:
    trained = run("stem4d-quick", overrides=FIGURELESS, output=tmp_path / "run", reporter=QUIET)
    latents = trained.recipe.model.arguments["latent_dim"]
    errors = errors_on_expected(trained, latents)
    assert errors["model"] <= 0.5 * errors["pca"], errors
    assert errors["model"] < 0.5 * errors["mean"], errors


# ------------------------------------------------------------------ regularizers


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """Trains a small autoencoder of the bundled scan on mse and what is given besides; each once."""
    made: dict[str, Run] = {}

    def train(small: Callable[..., dict[str, Any]], model: dict[str, Any] | None = None, **losses: Any) -> Run:
        key = repr((model, losses))
        if key not in made:
            document = small(model=model or {}, trainer={"max_epochs": 2})
            document["losses"] = {"mse": {}, **losses}
            document["metrics"] = {}
            made[key] = run(document, output=tmp_path_factory.mktemp("runs") / "run", reporter=QUIET)
        return made[key]

    return train


Fitted = Callable[..., Run]
Small = Callable[..., dict[str, Any]]


def latents(trained: Run) -> np.ndarray:
    found = trained.encode(reporter=QUIET)
    assert isinstance(found, np.ndarray)
    return found.reshape(-1, found.shape[-1]).astype(np.float64)


def activity(trained: Run) -> float:
    return float(np.abs(latents(trained)).mean())


def distance(trained: Run) -> float:
    return float(pdist(latents(trained)).mean())


def least_spread(trained: Run) -> float:
    return float(latents(trained).var(axis=0).min())


def cosine(trained: Run) -> float:
    return float((1 - pdist(latents(trained), "cosine")).mean())


def weight_norm(trained: Run) -> float:
    kept = torch.load(trained.directory / "checkpoints" / "last.ckpt", weights_only=True)["weights"]
    return sum(float(t.double().square().sum()) for n, t in kept.items() if n.startswith("model.") and t.dim() > 1)


def size(trained: Run) -> float:
    return float(np.square(latents(trained)).mean())


@pytest.mark.parametrize(
    ("name", "settings", "measure", "factor"),
    [
        ("lp", {"weight": 0.1}, activity, 0.5),
        ("lp", {"weight": 0.1, "p": 2.0}, activity, 0.5),
        ("divergence", {"weight": 0.1, "mode": "pairwise"}, distance, 1.5),
        ("divergence", {"weight": 0.1, "mode": "inverse_variance"}, least_spread, 1.5),
        ("contrastive", {"weight": 1.0, "mode": "cosine"}, cosine, 0.8),
        ("contrastive", {"weight": 1.0, "mode": "infonce"}, cosine, 0.8),
        ("contrastive", {"weight": 1.0, "mode": "margin", "margin": 0.1}, cosine, 0.8),
        ("l2", {"weight": 0.1}, weight_norm, 0.9),
        ("l2", {"weight": 1.0, "target": "latent"}, size, 0.5),
        ("kl", {"weight": 0.1}, size, 0.5),
    ],
)
def test_a_regularizer_changes_what_it_should(
    fitted: Fitted, small: Small, name: str, settings: dict[str, Any], measure: Callable[[Run], float], factor: float
) -> None:
    """Against the run from the same seed without it; a factor above 1 is a rise."""
    before, after = measure(fitted(small)), measure(fitted(small, **{name: settings}))
    assert after > factor * before if factor > 1 else after < factor * before, (before, after)


def posterior(trained: Run) -> tuple[np.ndarray, np.ndarray]:
    """mu and sigma of every item, from the network itself."""
    loaded, source = load_run(trained.directory).load()
    stored = torch.from_numpy(source.dataset.read(np.arange(len(source)))["input"])
    loaded.model.eval()
    with torch.no_grad():
        batch = loaded.parts.pipeline({"input": stored, "index": torch.arange(len(stored))})
        outputs = loaded.model(input=batch["input"])
    return outputs["mu"].double().numpy(), np.exp(0.5 * outputs["logvar"].double().numpy())


def test_a_variational_autoencoder_is_drawn_to_the_unit_normal(fitted: Fitted, small: Small) -> None:
    free, drawn = (fitted(small, {"variational": True}, kl={"weight": weight}) for weight in (1e-6, 0.3))

    def divergence(trained: Run) -> float:
        mu, sigma = posterior(trained)
        return float(0.5 * (mu**2 + sigma**2 - 1 - 2 * np.log(sigma)).sum(axis=1).mean())

    assert divergence(drawn) < 0.2 * divergence(free), (divergence(drawn), divergence(free))
    np.testing.assert_allclose(latents(drawn), posterior(drawn)[0], rtol=1e-4, atol=1e-5)  # encoded to the mean


def test_the_variational_recipe(tmp_path: Path, scan_file: Callable[..., Path]) -> None:
    settings = [f"data.train.path={scan_file()}", "data.batch_size=32", "model.channels=[8]", "trainer.max_epochs=2"]
    trained = run("stem4d-vae", overrides=[*settings, *FIGURELESS], output=tmp_path / "run", reporter=QUIET)
    final = trained.summary["final"]
    assert final["val/kl"] > 0
    weight = 1e-3 * 2 / 10  # let in over ten epochs
    assert final["val/loss"] == pytest.approx(final["val/mse"] + weight * final["val/kl"], rel=1e-5)


@pytest.mark.slow
def test_the_original_network_takes_a_step_on_a_tiny_crop(tmp_path: Path, scan_file: Callable[..., Path]) -> None:
    settings = [
        f"data.train.path={scan_file()}",
        "model.type=resnet_autoencoder",
        "model.latent_dim=32",
        "data.transforms.input=[{type: crop, size: 8}, log1p, standardize]",
        "data.batch_size=2",
        "data.val=0",
        "metrics=null",
    ]
    trained = run(
        "stem4d", overrides=[*settings, *FIGURELESS], output=tmp_path / "run", fast_dev_run=True, reporter=QUIET
    )
    assert trained.summary["steps"] == 2
    assert trained.summary["parameters"] == 3_914_404
    assert np.isfinite(trained.summary["final"]["train/loss"])
