"""How near samples of diffusion models come to what was held out, and how fast they are trained and drawn from.

    python benchmarks/diffusion.py images DIR/labels.csv [KEY=VALUE ...] [--run RUN] [--samples 256]
    python benchmarks/diffusion.py points
    python benchmarks/diffusion.py speed [--device cuda] [--precision bf16-mixed] [--compile] [KEY=VALUE ...]

``images`` trains ``pixel-diffusion`` on the images of a table with the columns id and split (files
``images/{id}.png``), or takes a run of it, and compares as many samples, training images and draws of simple models
with the images whose split is ``test``: a normal distribution with the mean and the full covariance of the training
images, and their mean with noise of each pixel's own deviation. Distances are the Frechet distance (that of FID) and
the squared kernel distance (that of KID, times 1000) in two fixed spaces: means over the image of the features of a
convolutional network with random weights, and the latents of an autoencoder that is trained for a minute on the
training images; each feature in units of its deviation over these. Neither has seen a sample. Training images stand for
what cannot be surpassed.

``points`` fits a mixture of three normal distributions with ``diffusion_mlp``; distances are energy distances to points
that were held out.

``speed`` gives training steps and samples a second of ``diffusion_unet``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import stemcore
from stemcore import DataSpec, FieldSpec, Run

FEW = (("ddim", 50), ("dpm++", 20))
SAMPLERS = (("ddpm", None), *FEW)


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """|ma - mb|^2 + tr(Ca + Cb - 2 (Ca Cb)^(1/2)) of features (n, d) (Heusel et al., NeurIPS 2017)."""
    ca, cb = np.cov(a.T), np.cov(b.T)
    roots = np.sqrt(np.clip(np.linalg.eigvals(ca @ cb).real, 0, None)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca) + np.trace(cb) - 2 * roots)


def kernel(a: np.ndarray, b: np.ndarray) -> float:
    """The unbiased squared MMD by the kernel (x y / d + 1)^3 of features (n, d) (Binkowski et al., ICLR 2018)."""
    (aa, bb), ab = ((x @ x.T / x.shape[1] + 1) ** 3 for x in (a, b)), (a @ b.T / a.shape[1] + 1) ** 3
    inner = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (aa, bb)]
    return float(sum(inner) - 2 * ab.mean())


def energy(a: np.ndarray, b: np.ndarray) -> float:
    """2 E|x - y| - E|x - x'| - E|y - y'|, without bias."""
    from scipy.spatial.distance import cdist, pdist

    return float(2 * cdist(a, b).mean() - pdist(a).mean() - pdist(b).mean())


# -------------------------------------------------------------------------------------------------------------- images


def random_features(images: np.ndarray) -> np.ndarray:
    """Of images (n, c, h, w): the means of 64 features of a network with random weights, the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        for here, there in ((images.shape[1], 32), (32, 64), (64, 64)):
            layers += [nn.Conv2d(here, there, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)]
        network = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        return network(torch.from_numpy(images).float()).mean(dim=(2, 3)).double().numpy()


def encoder_of(run: Run, folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Latents by an autoencoder of the run's training images."""
    recipe = run.recipe.document()
    data = {**recipe["data"], "augment": []}
    own = {
        "name": "features",
        "data": data,
        "model": {"type": "conv_autoencoder", "latent_dim": 32, "channels": [16, 32, 32]},
        "losses": {"mse": {}},
        "optimizer": {"type": "adam", "lr": 2e-3},
        "trainer": {"max_epochs": 15, "val_every_n_epochs": 15},
        "loggers": [],
        "figures": {},
    }
    frozen = stemcore.run(own, output=folder / "features").frozen()

    def encode(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return frozen.model.encode(input=torch.from_numpy(images).float()).double().numpy()

    return encode


def compare_images(run: Run, count: int) -> None:
    """Prints the table."""
    items, field = run.items(), run.fields["input"]
    train, held_out = (_physical(items[part].read()["input"], field) for part in ("train", "test"))
    rng = np.random.default_rng(0)
    flat = train.reshape(len(train), -1).astype(np.float64)
    mean, deviation = flat.mean(0), flat - flat.mean(0)
    normal = mean + rng.normal(size=(count, len(flat))) @ deviation / np.sqrt(len(flat) - 1)
    noisy = mean + rng.normal(size=(count, flat.shape[1])) * flat.std(0)
    rows: dict[str, tuple[np.ndarray, float]] = {
        "training images": (train[rng.permutation(len(train))[:count]], 0.0),
        "normal, full covariance": (_images(normal, train), 0.0),
        "mean and noise": (_images(noisy, train), 0.0),
    }
    for name, steps in FEW:
        sampled = stemcore.load_run(run.directory, [f"model.sampler={name}", f"model.steps={steps}"])
        began = time.perf_counter()
        drawn = sampled.sample(count, seed=1, batch_size=64)["input"]
        label = f"samples, {name} {steps}"
        rows[label] = (drawn, time.perf_counter() - began)
    with tempfile.TemporaryDirectory() as folder:
        spaces = (random_features, encoder_of(run, Path(folder)))
        known = [space(train) for space in spaces]  # in units of each feature's deviation over the training images
        units = [(features.mean(0), features.std(0) + 1e-9) for features in known]
        print(f"\n{len(train)} training images, {len(held_out)} held out, {count} of each other kind")
        print(f"{'':28}{'random features':>22}{'autoencoder':>22}{'s a sample':>12}")
        print(f"{'':28}{'Frechet':>11}{'kernel':>11}{'Frechet':>11}{'kernel':>11}")
        for label, (images, seconds) in rows.items():
            seen = [
                [(space(some) - mean) / deviation for some in (images, held_out)]
                for space, (mean, deviation) in zip(spaces, units, strict=True)
            ]
            cells = [f(*pair) for pair in seen for f in (frechet, kernel)]
            shown = "".join(f"{1000 * v if k % 2 else v:11.3g}" for k, v in enumerate(cells))
            print(f"{label:28}{shown}{f'{seconds / count:12.3f}' if seconds else ''}")


def _images(flat: np.ndarray, like: np.ndarray) -> np.ndarray:
    return flat.reshape(-1, *like.shape[1:]).clip(like.min(), like.max()).astype(np.float32)


def _physical(stored: np.ndarray, field: FieldSpec) -> np.ndarray:
    return (stored * field.scale + field.offset).astype(np.float32)


def images(table: Path, overrides: list[str], run: Path | None, count: int) -> None:
    """Trains, or takes a run, and compares."""
    if run is not None:
        compare_images(stemcore.load_run(run), count)
        return
    data = [f"data.train.path={table}", "data.train.image=images/{id}.png", "data.train.label=null"]
    with tempfile.TemporaryDirectory() as folder:
        recipe = stemcore.load_recipe("pixel-diffusion", [*data, "data.split=given", *overrides])
        compare_images(stemcore.run(recipe, output=Path(folder) / "run"), count)


# -------------------------------------------------------------------------------------------------------------- points


def points() -> None:
    """Fits the mixture and prints energy distances."""
    from stem_diffusion.denoising import Denoising
    from stem_diffusion.mlp import DiffusionMlp

    means, shares = np.array([[-2.0, 0.0], [1.0, 1.8], [1.5, -1.5]]), np.array([0.5, 0.3, 0.2])
    rng = np.random.default_rng(0)

    def drawn(n: int) -> np.ndarray:
        which = rng.choice(3, n, p=shares)
        return means[which] + np.array([0.3, 0.5, 0.2])[which, None] * rng.normal(size=(n, 2))

    train, held_out = drawn(4000), drawn(3000)
    torch.manual_seed(0)
    model = DiffusionMlp(
        DataSpec({"input": FieldSpec("input", (2,))}), hidden=64, layers=2, timesteps=200, prediction="v"
    )
    optimizer, loss, x = torch.optim.Adam(model.parameters(), lr=4e-3), Denoising(), torch.from_numpy(train).float()
    schedule, began = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 900), time.process_time()
    for _ in range(900):
        outputs = model(x[torch.randint(len(x), (512,))])
        optimizer.zero_grad()
        loss(outputs["estimate"], outputs["wanted"], outputs["loss_weight"]).backward()
        optimizer.step()
        schedule.step()
    print(f"trained for {time.process_time() - began:.1f} s of one core")
    rows = {"points of the mixture": drawn(3000)}
    rows["one normal distribution"] = rng.multivariate_normal(train.mean(0), np.cov(train.T), 3000)
    model.eval()
    for name, steps in SAMPLERS:
        model.sampler, model.steps = name, steps
        rows[f"samples, {name} {steps or 'all'}"] = model.sample(3000).double().numpy()
    for label, values in rows.items():
        nearest = np.linalg.norm(values[:, None] - means, axis=2).argmin(1)
        there = np.bincount(nearest, minlength=3) / len(values)
        print(f"{label:28}{energy(values, held_out):9.4f}   shares {there.round(3)} of {shares}")


# --------------------------------------------------------------------------------------------------------------- speed


def speed(device: str, precision: str, compiled: bool, overrides: list[str]) -> None:
    """Prints training steps and samples a second."""
    from stem_diffusion.unet import DiffusionUnet

    given: dict[str, Any] = {"channels": "[128,256,256]", "attention": "[3]", "shape": "[16,32,32]", "batch": "64"}
    given |= dict(text.split("=", 1) for text in overrides)
    channels, attention, shape = (
        [int(n) for n in given[k].strip("[]").split(",") if n] for k in ("channels", "attention", "shape")
    )
    batch = int(given["batch"])
    spec = DataSpec({"input": FieldSpec("input", tuple(shape))})
    model = DiffusionUnet(spec, channels=channels, attention=attention, prediction="v", steps=50).to(device)
    model = model.to(memory_format=torch.channels_last) if device == "cuda" else model
    optimizer = torch.optim.AdamW(model.parameters(), fused=device == "cuda")
    forward = torch.compile(model) if compiled else model
    half = torch.autocast(device, torch.bfloat16, enabled=precision.startswith("bf16"))
    x = torch.randn(batch, *shape, device=device)

    def step() -> Tensor:
        with half:
            outputs = forward(x)
        loss = (outputs["estimate"].float() - outputs["wanted"]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    def sample() -> Tensor:
        with half:
            return model.sample(batch)

    print(
        f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters, {batch} items of {shape}, "
        f"{device}, {precision}"
    )
    print(f"training: {1 / _seconds(step, device):.3g} steps/s")
    model.eval()
    if compiled:
        model.unet.compile()
    print(f"sampling: {batch / _seconds(sample, device):.3g} samples/s (ddim, 50 steps)")


def _seconds(work: Callable[[], Tensor], device: str) -> float:
    """Of a call, after two that warm up: the mean of as many as fit into 5 s."""
    for _ in range(2):
        work().sum().item()
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < 5 or done < 2:
        last = work()
        done += 1
        if device != "cuda" or done % 10 == 0:
            last.sum().item()
    last.sum().item()
    return (time.perf_counter() - began) / done


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("images", "points", "speed"))
    parser.add_argument("rest", nargs="*", help="the table of images, and KEY=VALUE")
    parser.add_argument("--run", type=Path, help="a run of pixel-diffusion, in place of a new one")
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("32", "bf16-mixed"), default="32")
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    if args.what == "points":
        points()
    elif args.what == "speed":
        speed(args.device, args.precision, args.compile, args.rest)
    elif args.run is not None:
        images(Path(), [], args.run, args.samples)
    else:
        images(Path(args.rest[0]), args.rest[1:], None, args.samples)


if __name__ == "__main__":
    main()
