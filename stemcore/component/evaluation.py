"""Using a model while it is being trained, without a trace in its training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluation(model: nn.Module, seed: int) -> Iterator[None]:
    """Evaluation mode, no gradients, and random numbers of its own: the training's are as before afterwards."""
    training = model.training
    model.eval()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield
    finally:
        model.train(training)
