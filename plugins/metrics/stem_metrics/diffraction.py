"""What diffraction patterns are read for: peaks, contrast, and weak intensities."""

from __future__ import annotations

from torch import Tensor

from stem_metrics.pattern import PatternMetric, Pixels


def smaller_ratio(found: Tensor, true: Tensor) -> Tensor:
    """``min(found / true, true / found)`` of non-negative values: 1 where they agree, 0 where one of them is 0."""
    larger = found.maximum(true)
    return found.minimum(true).clamp(min=0) / larger.where(larger > 0, 1)


class PeakPreservation(PatternMetric):
    """Ratio of the maxima of prediction and target, the smaller to the larger: 1 is best, 0 where the prediction
    is nowhere positive. Patterns whose target is nowhere positive are left out.
    """

    direction = "max"
    partial = True

    def scores(self, batch: Pixels) -> tuple[Tensor, Tensor]:
        """The ratio of each pattern (n,), defined where its target has a positive maximum."""
        found, true = batch.maximum(batch.prediction), batch.maximum(batch.target)
        return smaller_ratio(found, true), true > 0


class RangePreservation(PatternMetric):
    """Ratio of the ranges (maximum less minimum) of prediction and target, the smaller to the larger: 1 is best.
    Patterns whose target is constant are left out.
    """

    direction = "max"
    partial = True

    def scores(self, batch: Pixels) -> tuple[Tensor, Tensor]:
        """The ratio of each pattern (n,), defined where its target is not constant."""
        true = batch.target_range()
        found = batch.maximum(batch.prediction) - batch.minimum(batch.prediction)
        return smaller_ratio(found, true), true > 0


class LogCorrelation(PatternMetric):
    """Pearson correlation of ``log(1 + x)`` of prediction and target over the pixels of a pattern; negative values
    count as 0. A constant prediction scores 0; patterns whose target is constant are left out.
    """

    direction = "max"
    partial = True

    def scores(self, batch: Pixels) -> tuple[Tensor, Tensor]:
        """The correlation of each pattern (n,), defined where its target is not constant."""
        found, found_square = self._centred(batch, batch.prediction)
        true, true_square = self._centred(batch, batch.target)
        norm = (found_square * true_square).sqrt()
        return (found * true).sum(1) / norm.where(norm != 0, 1), true_square > 0

    @staticmethod
    def _centred(batch: Pixels, x: Tensor) -> tuple[Tensor, Tensor]:
        logs = x.clamp(min=0).log1p()
        # The range is exactly 0 for a constant pattern, where the rounded mean leaves a residue.
        varies = batch.maximum(logs) != batch.minimum(logs)
        centred = (logs - batch.mean(logs)[:, None]).where(batch.valid & varies[:, None], 0)
        return centred, centred.square().sum(1)
