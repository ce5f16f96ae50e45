"""One pass over a data set in storage order, with reading, computing and writing at the same time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor

from stemcore.assemble import Parts
from stemcore.component.model import Model
from stemcore.data.source import Source
from stemcore.data.tensors import Batch
from stemcore.progress import Reporter
from stemcore.runs.writer import Begin, Copier, Writer
from stemcore.trainer.validate import evaluation, heeded_batches

T = TypeVar("T")


def stream(
    parts: Parts,
    model: Model,
    fabric: Fabric,
    source: Source,
    verb: Callable[..., Tensor],
    title: str,
    reporter: Reporter,
    dtype: torch.dtype,
    begin: Begin,
) -> None:
    """Applies ``verb`` to every batch and hands the rows over, in ``dtype``.

    Batches are read ahead by threads of the loader. Results are copied from the device and written by a thread of their
    own, so that the device waits for neither, until 256 MB of results wait to be written.

    Args:
        parts, model, fabric: a run, ready for data.
        source: all items of a data set.
        verb: the model's fields to a tensor (n, ...).
        title: of the progress.
        reporter: progress.
        dtype: cast to on the device.
        begin: what takes the rows.

    Raises:
        BaseException: what reading, computing or writing raised, as soon as it did.
    """
    copier = Copier(fabric.device)
    with Writer(begin) as writer:

        def put(stored: Batch, computed: Tensor) -> None:
            writer.put(copier(stored["index"], computed.to(dtype)))

        each(parts, model, fabric, source, verb, put, title, reporter)


def each(
    parts: Parts,
    model: Model,
    fabric: Fabric,
    source: Source,
    verb: Callable[..., T],
    take: Callable[[Batch, T], None],
    title: str,
    reporter: Reporter,
) -> None:
    """Hands ``take`` every batch as stored and what ``verb`` makes of the model's fields of it, all on the device,
    without gradients. Batches are read ahead by threads of the loader.

    Raises:
        KeyboardInterrupt: after SIGINT or SIGTERM, between two batches.
    """
    with evaluation(model, parts.recipe.seed), reporter.task(title, len(source)) as task:
        for stored in heeded_batches(parts, source, fabric):
            batch = parts.pipeline(stored)
            with fabric.autocast():
                computed = verb(**parts.given(batch))
            take(stored, computed)
            task.advance(len(stored["index"]))
