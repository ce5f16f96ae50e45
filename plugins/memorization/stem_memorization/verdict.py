"""When a sample is a copy, and what the share of copies says of a model.

By the cosine alone a sample is memorised where that with a training item is above 0.99. Dark images with a few bright
cells are all that alike, held-out ones too: so a copy is also more than twice as near to one training item as to any
other, the criterion of Carlini et al. (USENIX Security 2023) with the nearest other item in place of a mean. What
held-out items, which no model has seen, show by the same rule is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stem_memorization.neighbours import Nearest

THRESHOLD = 0.99
RATIO = 0.5
SAME = 0.1
"""Training items count as one where they are nearer to each other than this part of the usual distance to the nearest
training item."""
MINIMAL, SIGNIFICANT = 0.01, 0.05
CHANCE = 0.05


@dataclass(frozen=True)
class Rule:
    """When a sample is a copy.

    Attributes:
        usual: distance of an item that was not trained on to its nearest training item.
        threshold: of the cosine, above which it is one.
        ratio: of the distances to the nearest training item and to the next one, below which it is one.
    """

    usual: float
    threshold: float = THRESHOLD
    ratio: float = RATIO

    @staticmethod
    def of(reference: Nearest, threshold: float = THRESHOLD, ratio: float = RATIO) -> Rule:
        """The rule for data whose reference items (held out) are as near to the training items as given."""
        return Rule(float(np.median(reference.distance)), threshold, ratio)

    @property
    def same(self) -> float:
        """Distance at which two items are one."""
        return SAME * self.usual

    def ratios(self, found: Nearest) -> np.ndarray:
        """(n,) the ratio of distances of each sample."""
        return found.ratio(self.same, self.usual)

    def alike(self, found: Nearest) -> np.ndarray:
        """(n,) bool, which are memorised by the cosine alone."""
        above: np.ndarray = found.cosine > self.threshold
        return above

    def copies(self, found: Nearest) -> np.ndarray:
        """(n,) bool, which are copies."""
        return self.alike(found) & (self.ratios(found) < self.ratio)


def grade(share: float) -> str:
    """``none`` below 1 %, ``minimal`` to 5 %, ``significant`` above."""
    if share < MINIMAL:
        return "none"
    return "minimal" if share <= SIGNIFICANT else "significant"


def judged(copies: int, samples: int, expected: int, reference: int) -> dict[str, Any]:
    """The verdict on a model.

    Args:
        copies, samples: so many of so many samples are copies.
        expected, reference: so many of so many items that no model has seen are, by the same rule.

    Returns:
        ``share`` of copies; ``expected``, the share among the reference; ``memorised``, what is left of the share
        without what is expected; ``chance``, the probability of a difference like that where there is none (one-sided,
        Fisher's exact test); ``verdict``. Nothing is left where some are expected and chance is above 5 %.
    """
    from scipy.stats import fisher_exact

    share, base = copies / max(1, samples), expected / max(1, reference)
    table = [[copies, samples - copies], [expected, reference - expected]]
    chance = float(fisher_exact(table, alternative="greater").pvalue)
    left = 0.0 if base >= 1 or (expected and chance > CHANCE) else max(0.0, (share - base) / (1 - base))
    return {
        "copies": copies,
        "share": share,
        "expected": base,
        "chance": chance,
        "memorised": left,
        "verdict": grade(left),
    }
