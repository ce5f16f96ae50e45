"""What the contract checks need to know of the optimizers."""

from __future__ import annotations

from pathlib import Path

from stemcore.testing import OptimizerExample


def muon(folder: Path) -> OptimizerExample:
    """It takes matrices alone."""
    return OptimizerExample(shapes=[(3, 4), (5, 2)])


def rprop(folder: Path) -> OptimizerExample:
    """Each parameter has a step size of its own, of which ``lr`` is only the first."""
    return OptimizerExample(
        expected_failures={"check_learning_rate": "lr is only the first step size, then they adapt"}
    )


def sparse_adam(folder: Path) -> OptimizerExample:
    """It takes sparse gradients alone, as embeddings have them."""
    checks = ("check_goes_downhill", "check_state", "check_learning_rate", "check_without_gradient")
    return OptimizerExample(expected_failures=dict.fromkeys(checks, "it takes sparse gradients alone"))
