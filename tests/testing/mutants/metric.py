"""Metrics broken in one way each."""

from __future__ import annotations

import threading
from typing import ClassVar

import numpy as np
import torch
import torchmetrics
from torch import Tensor

from stemcore import Metric, UserError
from stemcore.testing import MetricExample
from tests.testing.mutation import Mutant


class Sound(Metric):
    """Mean over items of the mean squared error over the pixels that count, in any shape."""

    def __init__(self):
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def reports(self):
        """Mean and number of items."""
        return {"": "min", "count": None}

    def update(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Takes in items (n, ...)."""
        errors, counted = self.errors(prediction, target, mask)
        self.total += errors[counted].sum()
        self.count += counted.sum()

    def errors(self, prediction, target, mask):
        """Error (n,) of each item, and whether it has pixels that count."""
        valid = torch.ones_like(target, dtype=torch.bool) if mask is None else mask
        wrong = torch.where(valid, prediction, 0).double() - torch.where(valid, target, 0).double()
        number = valid.flatten(1).sum(1)
        return wrong.square().flatten(1).sum(1) / number.clamp(min=1), number > 0

    def compute(self):
        """What is reported."""
        return {"": self.total / self.count, "count": self.count}


def reference(prediction, target, mask):
    errors = [((p - t)[m] ** 2).mean() for p, t, m in zip(prediction, target, mask, strict=True)]
    return {"": float(np.mean(errors)), "count": len(errors)}


def spectra(items=10):
    axis = np.linspace(0, 1, 512, dtype=np.float32)
    return np.stack([np.exp(-((axis - 0.1 - 0.08 * i) ** 2) / 0.01)[None] for i in range(items)])


def examples(folder):
    spectrum = {"target": spectra(), "prediction": spectra() ** 2, "mask": spectra() > 0.01}
    return [MetricExample(reference=reference), MetricExample(label="spectra", tensors=spectrum)]


class Middle(Metric):
    """The median over items of their mean errors, of which there may be none."""

    def __init__(self):
        super().__init__()
        self.add_state("errors", [], dist_reduce_fx="cat")

    def update(self, prediction, target):
        """Takes in items (n, ...)."""
        self.errors.append((prediction - target).abs().flatten(1).mean(1))

    def compute(self):
        """Their median."""
        if isinstance(self.errors, list) and not self.errors:
            raise UserError("there is nothing of which to take the median")
        return torchmetrics.utilities.dim_zero_cat(self.errors).median()


class Borrowed(torchmetrics.MeanAbsoluteError, Metric):
    """One of torchmetrics'."""

    def __init__(self):
        super().__init__()

    def update(self, prediction, target):
        """Takes in items (n, ...)."""
        super().update(prediction.contiguous(), target.contiguous())


class Noisy(Sound):
    """Error of the prediction to the target with a little of another item."""

    def update(self, prediction, target):
        """Takes in items (n, ...)."""
        super().update(prediction, target + 0.01 * target[torch.randperm(len(target))])


class Correlation(Metric):
    """Of the means of latents, over all of them: its states are brought together in ``compute``."""

    inputs: ClassVar = {"rows": "latent@model"}

    def __init__(self):
        super().__init__()
        self.add_state("pairs", torch.zeros(5, dtype=torch.float64), dist_reduce_fx=None)

    def reports(self):
        """Neither way is better."""
        return {"": None}

    def update(self, rows):
        """Takes in latents (n, d)."""
        x, y = rows[:, 0].double(), rows[:, 1].double()
        self.pairs = self.pairs + torch.stack([x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()])

    def compute(self):
        """The cosine."""
        sums = self.pairs.reshape(-1, 5).sum(0)
        return sums[4] / (sums[2] * sums[3]).sqrt().clamp(min=1e-30)


class Undeclared(Sound):
    def reports(self):
        return {"": "min"}


class Higher(Sound):
    def reports(self):
        return {"": "lower", "count": None}


class PerItem(Middle):
    def compute(self):
        return torch.cat(self.errors)


class Afterwards(Sound):
    def reports(self):
        return {"": "min", "count": None if self.count else "max"}


class NotANumber(Sound):
    def compute(self):
        return {"": self.total / (self.count - self.count), "count": self.count}


class HalfAsMuch(Sound):
    def compute(self):
        return {"": self.total / self.count / 2, "count": self.count}


class MeanOfBatches(Sound):
    def update(self, prediction, target, mask=None):
        errors, counted = self.errors(prediction, target, mask)
        self.total += errors[counted].mean()
        self.count += 1


class LastBatch(Sound):
    def update(self, prediction, target, mask=None):
        self.total = self.total * 0
        self.count = self.count * 0
        super().update(prediction, target, mask)


class PlainCount(Sound):
    def __init__(self):
        super().__init__()
        self.seen = 0

    def reset(self):
        super().reset()
        self.seen = 0

    def update(self, prediction, target, mask=None):
        super().update(prediction, target, mask)
        self.seen += len(target)

    def compute(self):
        return {"": self.total / max(self.seen, 1), "count": self.count}


class MeanOfCounts(Sound):
    def __init__(self):
        super().__init__()
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="mean")


class OnePerBatch(Middle):
    def __init__(self):
        super().__init__()
        self.add_state("errors", [], dist_reduce_fx=None)


class Labels(Metric):
    """Cannot be gathered where a process has nothing: torchmetrics makes up one of float32 for it."""

    def __init__(self):
        super().__init__()
        self.add_state("labels", [], dist_reduce_fx="cat")

    def update(self, label):
        self.labels.append(label)

    def compute(self):
        if isinstance(self.labels, list) and not self.labels:
            raise UserError("there are no labels")
        return torchmetrics.utilities.dim_zero_cat(self.labels).double().mean()


class Remembers(PlainCount):
    def reset(self):
        Metric.reset(self)


class Decays(Sound):
    def compute(self):
        self.total = self.total / 2
        return super().compute()


class Tally:
    def __init__(self):
        self.total = 0.0

    def __deepcopy__(self, memo):
        return self


class Shared(Sound):
    def __init__(self):
        super().__init__()
        self.tally = Tally()

    def update(self, prediction, target, mask=None):
        super().update(prediction, target, mask)
        self.tally.total += float((prediction - target).square().sum())

    def compute(self):
        return {"": self.tally.total / self.count, "count": self.count}


class Locked(Sound):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class FirstBatch(Middle):
    def compute(self):
        return self.errors[0].median()


class Unbiased(Sound):
    def compute(self):
        return {"": self.total / (self.count - 1), "count": self.count}


class Relative(Sound):
    def errors(self, prediction, target, mask):
        errors, counted = super().errors(prediction, target, mask)
        return errors / target.double().square().flatten(1).mean(1), counted


class Decibel(Sound):
    def reports(self):
        return {"": "max", "count": None}

    def errors(self, prediction, target, mask):
        errors, counted = super().errors(prediction, target, mask)
        return -10 * errors.log10(), counted


class Pearson(Sound):
    def errors(self, prediction, target, mask):
        x, y = (t.flatten(1) - t.flatten(1).mean(1, keepdim=True) for t in (prediction, target))
        return 1 - (x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1)), torch.ones(len(x), dtype=torch.bool)


class Fragile(Sound):
    def errors(self, prediction, target, mask):
        if bool((target == target[0]).all()) and len(target) > 1:
            raise IndexError("no item differs")
        return super().errors(prediction, target, mask)


class EverythingCounts(Sound):
    def errors(self, prediction, target, mask):
        return super().errors(torch.nan_to_num(prediction), torch.nan_to_num(target), None)


class NothingLeft(Sound):
    def errors(self, prediction, target, mask):
        errors, counted = super().errors(prediction, target, mask)
        return errors / mask.flatten(1).any(1), torch.ones_like(counted)


class WrongWay(Sound):
    def reports(self):
        return {"": "max", "count": None}


class InPlace(Sound):
    def update(self, prediction, target, mask=None):
        super().update(prediction, target, mask)
        target.mul_(0.5)


class CancelsInBfloat16(Sound):
    def errors(self, prediction, target, mask):
        ones = torch.ones(target[0].numel(), 1)
        far = (prediction.flatten(1) + 1000) @ ones - (target.flatten(1) + 1000) @ ones
        return far.double().square()[:, 0], torch.ones(len(target), dtype=torch.bool)


class LeftBehind(Sound):
    def __init__(self):
        super().__init__()
        self.weights = torch.linspace(0, 1, 16)

    def errors(self, prediction, target, mask):
        return super().errors(prediction * self.weights, target * self.weights, mask)


class StateLeftBehind(Middle):
    def update(self, prediction, target):
        super().update(torch.ones(len(prediction), 1), torch.zeros(len(target), 1))


SOUND = [(Sound, examples), (Middle, lambda f: [MetricExample()]), (Borrowed, lambda f: [MetricExample()])]
SOUND += [(Noisy, lambda f: [MetricExample()]), (Correlation, lambda f: [MetricExample()])]
MUTANTS = [
    Mutant("check_reports", Undeclared, r"it reports \[''\], but computes \['', 'count'\]"),
    Mutant("check_reports", Higher, "the better direction is 'lower'"),
    Mutant("check_reports", PerItem, r"compute returned a tensor \(8,\), not a number"),
    Mutant("check_reports", Afterwards, "before an update"),
    Mutant("check_finite", NotANumber, "the score is inf"),
    Mutant("check_reference", HalfAsMuch, r"its score is \S+, not ", examples),
    Mutant("check_parts_equal_whole", MeanOfBatches, "the score of its 8 items in batches of one"),
    Mutant("check_parts_equal_whole", LastBatch, "the score of its 8 items in batches of one"),
    Mutant("check_several_processes", PlainCount, "the score of 2 and 6 items together is"),
    Mutant("check_several_processes", MeanOfCounts, "the score of 2 and 6 items together is"),
    Mutant("check_several_processes", OnePerBatch, r"processes send \[1, 6\] tensors to each other"),
    Mutant("check_idle_process", Labels, "torch.float32 with 1 axes here and torch.int64 with 1 axes there"),
    Mutant("check_idle_process", PlainCount, "where the first of two processes has seen nothing, the score is"),
    Mutant("check_reset", Remembers, "after a reset the score is"),
    Mutant("check_compute_changes_nothing", Decays, "computed once more in between, the score is"),
    Mutant("check_copies_are_independent", Shared, "after its copy took in other items the score is"),
    Mutant("check_copies_are_independent", Locked, "it cannot be copied: "),
    Mutant("check_nothing_seen", FirstBatch, "computing a score of nothing raised IndexError"),
    Mutant("check_one_item", Unbiased, "with one item alone the score is inf"),
    Mutant("check_edges", Relative, "with zeros in one of 8 items the score is (inf|nan)"),
    Mutant("check_edges", Decibel, "with (zeros|perfect predictions|constants).* the score is inf"),
    Mutant("check_edges", Pearson, "with zeros in one of 8 items the score is nan"),
    Mutant("check_edges", Fragile, "it raised IndexError: no item differs"),
    Mutant("check_masks", EverythingCounts, "with NaN where the mask is false, the score is"),
    Mutant("check_masks", NothingLeft, "a mask that is false all over one item the score is nan"),
    Mutant("check_better_is_better", WrongWay, "its better direction is 'max', but the score is 0 for a perfect"),
    Mutant("check_leaves_inputs_alone", InPlace, "it changed 'target' in place"),
    Mutant("check_autocast", CancelsInBfloat16, "under autocast"),
    Mutant("check_device_moves", LeftBehind, "moved to another device it raised RuntimeError"),
    Mutant("check_device_moves", StateLeftBehind, "its state 'errors' stays on cpu"),
]
