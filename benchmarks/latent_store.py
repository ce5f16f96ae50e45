"""Training a diffusion model from a latent store, beside encoding every batch anew.

    python benchmarks/latent_store.py DIR [--preset S1] [--channels 32 64] [--batch-size 32] [--steps 10] [--rounds 5]
                                          [--device cuda] [--bf16]

DIR holds images of one size (``data/images/dsb2018_nuclei_128/images``: 664 of 128 x 128 pixels). An autoencoder of the
given preset is trained on them for one batch, which is enough to be timed, and ``stem embed`` writes its latents. Then
two ways of training the same ``diffusion_unet`` take turns, some steps each:

- ``store``: latents of a batch, times the scale factor; forward, backward and AdamW.
- ``on the fly``: images of a batch, the frozen encoder without gradients, and the same step.

Images and latents are in the memory of the device beforehand, so that what is compared is the encoder's work alone:
reading and decoding files would come on top of the second. Given are steps a second (medians over the rounds), and the
median over the rounds of their ratio.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from stem_diffusion.embedding import Wanted, embed
from stem_diffusion.latents import Latents
from stem_diffusion.unet import DiffusionUnet
from torch import Tensor

from stemcore import Dataset, DataSpec, Run, load_run, run

BATCHES = 2  # to warm up


def encoder(folder: Path, images: Path, preset: str, device: str) -> Run:
    """A run of one batch."""
    recipe = {
        "stem": 1,
        "name": "encoder",
        "data": {"train": {"type": "images", "path": str(images)}, "batch_size": 16, "eval_batch_size": 64},
        "model": {"type": "multihead_autoencoder", "preset": preset},
        "losses": {"mse": {}},
        "optimizer": {"type": "adamw", "lr": 1e-4},
        "trainer": {"max_epochs": 1},
        "backend": device,
        "loggers": [],
        "figures": {},
    }
    return run(recipe, output=folder / "encoder", fast_dev_run=True)


def everything(dataset: Dataset, device: torch.device) -> Tensor:
    """The field ``input`` of all items, as stored."""
    values = torch.from_numpy(dataset.read(np.arange(len(dataset)))["input"]).to(device)
    dataset.close()
    return values


class Training:
    """Steps of a diffusion model whose batches come from ``batch``."""

    def __init__(self, spec: DataSpec, batch: Callable[[], Tensor], arguments: argparse.Namespace) -> None:
        torch.manual_seed(0)
        device = torch.device(arguments.device)
        self.model = DiffusionUnet(spec, channels=arguments.channels, blocks_per_level=2).to(device).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, weight_decay=0.1)
        self.batch, self.device, self.bf16 = batch, device, arguments.bf16

    def steps(self, count: int) -> float:
        """Steps a second."""
        begun = time.perf_counter()
        for _ in range(count):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                outputs = self.model(input=self.batch())
            errors = (outputs["estimate"] - outputs["wanted"]).square().flatten(1).mean(dim=1)
            self.optimizer.zero_grad()
            (outputs["loss_weight"] * errors).mean().backward()
            self.optimizer.step()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return count / (time.perf_counter() - begun)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("images", type=Path)
    parser.add_argument("--preset", default="S1")
    parser.add_argument("--channels", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bf16", action="store_true")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = encoder(folder, arguments.images, arguments.preset, arguments.device)
        begun = time.perf_counter()
        embed(load_run(made.directory), folder / "latents.h5", Wanted())
        embedding = time.perf_counter() - begun
        store = Latents(path=folder / "latents.h5")
        latents, images = everything(store, device), everything(made.load()[1].dataset, device)
        frozen = made.frozen().to(device)
    spec = DataSpec(store.fields)

    def chosen(of: Tensor) -> Tensor:
        return of[torch.randint(len(of), (arguments.batch_size,), device=device)]

    def encoded() -> Tensor:
        with torch.no_grad():
            stored = frozen.to_model("input", chosen(images))
            return frozen.model.encode(input=stored).float() * store.scale_factor

    ways = {
        "store": Training(spec, lambda: chosen(latents) * store.scale_factor, arguments),
        "on the fly": Training(spec, encoded, arguments),
    }
    for way in ways.values():
        way.steps(BATCHES)
    rounds = [{name: way.steps(arguments.steps) for name, way in ways.items()} for _ in range(arguments.rounds)]
    parameters = sum(p.numel() for p in ways["store"].model.parameters())
    print(f"{len(images)} images {tuple(images.shape[1:])}, latents {tuple(latents.shape[1:])}, UNet {parameters:,}")
    print(f"stem embed: {len(images) / embedding:.1f} images a second")
    for name in ways:
        print(f"{name:<11} {statistics.median(r[name] for r in rounds):8.2f} steps a second")
    print(f"ratio       {statistics.median(r['store'] / r['on the fly'] for r in rounds):8.2f}")


if __name__ == "__main__":
    main()
