"""What a masked autoencoder of cubes saves by looking only at what is shown.

    python benchmarks/masked_encoder.py [--size base] [--device cuda] [--precision bf16] [--compile] [--batch 8]
        [--peak-tflops 989]

Cubes of random numbers, 30 bands of 500 x 500 pixels unless --extent says otherwise, in patches of 5 x 25 x 25. For a
mask ratio of 0.8 and for none: the time of the encoder alone (forward and backward), and of a whole step (forward, mean
squared error of the hidden voxels, backward, AdamW), the medians of --steps after one or, compiled, three to warm up;
samples per second; and floating-point operations of the step's forward and backward passes, as
torch.utils.flop_counter counts them (products of matrices alone). With --peak-tflops, what the device can do at best,
the share of it that was used. Memory is the peak of what PyTorch allocated on a GPU, and that of the whole process on
the CPU, both of the masked step alone (which is measured first).
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from stem_spectral.mae_spectral import SIZES, MaeSpectral
from stem_spectral.masking import hidden_count
from stem_spectral.patches import Extent, to_patches
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from stemcore import DataSpec, FieldSpec

PATCH: Extent = (5, 25, 25)


def built(options: argparse.Namespace, ratio: float, device: str) -> MaeSpectral:
    """A model in training on a device; "meta" for one that only has shapes."""
    spec = DataSpec({"input": FieldSpec("input", tuple(options.extent))})
    torch.manual_seed(0)
    with torch.device(device):
        return MaeSpectral(
            spec, patch=list(PATCH), size=options.size, mask_ratio=ratio, checkpoint_blocks=options.checkpoint_blocks
        )


def loss_of(model: MaeSpectral, cubes: Tensor) -> Tensor:
    """Mean squared error of the hidden voxels, or of all where none is hidden."""
    outputs = model(cubes)
    errors = (outputs["prediction"].float() - cubes).square()
    counted = outputs["hidden"] if model.mask_ratio else torch.ones_like(outputs["hidden"])
    return (errors * counted).sum() / counted.sum()


def operations(options: argparse.Namespace, ratio: float) -> float:
    """Floating-point operations of the forward and backward passes of a batch."""
    model = built(options, ratio, "meta")
    with FlopCounterMode(display=False) as counter:
        loss_of(model, torch.empty(options.batch, *options.extent, device="meta")).backward()
    return float(counter.get_total_flops())


def seconds(call: Callable[[], None], options: argparse.Namespace) -> float:
    """Median time of a call."""
    wait = torch.cuda.synchronize if options.device.startswith("cuda") else lambda: None
    times = []
    warm_up = 3 if options.compile else 1
    for number in range(warm_up + options.steps):
        wait()
        started = time.perf_counter()
        call()
        wait()
        if number >= warm_up:
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def measured(options: argparse.Namespace, ratio: float) -> dict[str, Any]:
    """Times, memory and work at a mask ratio."""
    model = built(options, ratio, options.device)
    cubes = torch.randn(options.batch, *options.extent, device=options.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    kind = torch.device(options.device).type
    lower = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(options.precision)
    grid = model.grid
    kept = grid.tokens - hidden_count("random", grid, ratio)
    loss: Callable[[MaeSpectral, Tensor], Tensor] = (
        torch.compile(loss_of, dynamic=False) if options.compile else loss_of
    )
    encoder = torch.compile(model.encoder, dynamic=False) if options.compile else model.encoder

    def precision() -> Any:
        return torch.autocast(kind, lower) if lower is not None else nullcontext()

    def step() -> None:
        with precision():
            value = loss(model, cubes)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    def encode() -> None:
        shown = torch.rand(options.batch, grid.tokens, device=options.device).argsort(1)[:, :kept]
        with precision():
            features = encoder(to_patches(cubes, PATCH), grid, shown if ratio else None)
        optimizer.zero_grad()
        features.float().square().mean().backward()

    if kind == "cuda":
        torch.cuda.reset_peak_memory_stats()
    whole = seconds(step, options)
    peak = (
        torch.cuda.max_memory_allocated()
        if kind == "cuda"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    work = operations(options, ratio)
    result = {
        "tokens_shown": kept,
        "encoder_seconds": seconds(encode, options),
        "step_seconds": whole,
        "samples_per_second": options.batch / whole,
        "peak_memory_gb": peak / 1e9,
        "step_tflop": work / 1e12,
        "achieved_tflops": work / whole / 1e12,
    }
    if options.peak_tflops:
        result["model_flops_utilisation"] = work / whole / 1e12 / options.peak_tflops
    return result


def parameters(options: argparse.Namespace) -> dict[str, int]:
    """How many there are."""
    model = built(options, 0.8, "meta")
    counts = {part: sum(p.numel() for p in getattr(model, part).parameters()) for part in ("encoder", "decoder")}
    return {**counts, "all": sum(counts.values())}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=list(SIZES), default="base")
    parser.add_argument("--extent", type=int, nargs=3, default=[30, 500, 500], help="bands, height, width")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["32", "bf16", "fp16"], default="32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--checkpoint-blocks", action="store_true", help="compute blocks again in the backward pass")
    parser.add_argument("--peak-tflops", type=float, help="what the device can do at best in that precision")
    parser.add_argument("--masked-only", action="store_true", help="leave out the unmasked step")
    options = parser.parse_args()
    result: dict[str, Any] = {
        "size": options.size,
        "batch": options.batch,
        "device": torch.cuda.get_device_name() if options.device.startswith("cuda") else options.device,
        "threads": torch.get_num_threads(),
        "precision": options.precision,
        "compiled": options.compile,
        "parameters": parameters(options),
        "mask_0.8": measured(options, 0.8),
    }
    if not options.masked_only:
        result["mask_0"] = measured(options, 0.0)
        for part in ("encoder", "step"):
            result[f"{part}_ratio"] = result["mask_0.8"][f"{part}_seconds"] / result["mask_0"][f"{part}_seconds"]
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
