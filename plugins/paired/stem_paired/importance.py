"""How much each feature of one platform matters for the other, by the attribution methods of captum."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stem_paired.libraries import imported
from stemcore import Model, UserError

STEPS = 32
"""Points on the path from the baseline, or random ones of gradient_shap."""
ROWS = 64
SEED = 0


class Explained(nn.Module):
    """One platform from the other in the model's space, (n, features) to (n, features).

    Args:
        model: of the run.
        given, wanted: names of the fields.
    """

    def __init__(self, model: Model, given: str, wanted: str) -> None:
        super().__init__()
        self.model = model
        self._given, self._wanted = given, wanted

    def forward(self, x: Tensor) -> Tensor:
        """The imputed platform, the same every time."""
        return self.model.impute(False, **{self._given: x})[self._wanted]


def importance_of(
    predictor: Any,
    given: str,
    wanted: str,
    values: np.ndarray,
    *,
    method: str,
    outputs: Sequence[int],
    reporter: Any,
) -> np.ndarray:
    """The mean over samples of the absolute attribution of every input feature to every output feature.

    An attribution is the part of (output - output of the baseline) that is due to an input feature, both in the model's
    space: of standardised outputs in standard deviations. The baseline is a sample of which nothing was measured, as
    the run's transforms fill it in (the mean of the training samples), and zero where they fill nothing in.

    Integrated gradients (Sundararajan, Taly, Yan 2017) go along the straight line from the baseline in 32 steps,
    gradient_shap (Lundberg, Lee 2017) takes 32 random points on it, always the same, deeplift (Shrikumar, Greenside,
    Kundaje 2017) compares activations by the rescale rule.

    Args:
        predictor: of a run.
        given, wanted: names of the fields.
        values: (n, inputs) as stored.
        method: ``integrated_gradients``, ``deeplift`` or ``gradient_shap``.
        outputs: places of the output features.
        reporter: progress.

    Returns:
        (inputs, len(outputs)) float64.

    Raises:
        UserError: if deeplift cannot follow the model.
    """
    attributions = imported("captum.attr", "--importance")
    function = Explained(predictor.model, given, wanted).requires_grad_(False)
    total = np.zeros((values.shape[1], len(outputs)))
    with _own_randomness(), reporter.task(f"importance ({method})", len(values) * len(outputs)) as task:
        baseline = _baseline(predictor, given, values.shape[1])
        attribute = _method(attributions, method, function, baseline)
        for start in range(0, len(values), ROWS):
            stored = torch.from_numpy(values[start : start + ROWS]).to(predictor.device)
            x = predictor.prepared({given: stored})[given].detach()
            for column, output in enumerate(outputs):
                total[:, column] += attribute(x, output).detach().abs().sum(dim=0, dtype=torch.float64).cpu().numpy()
                task.advance(len(x))
    return total / len(values)


def _baseline(predictor: Any, given: str, features: int) -> Tensor:
    nothing = torch.full((1, features), torch.nan, device=predictor.device)
    filled = predictor.prepared({given: nothing})[given].detach()
    return filled if bool(torch.isfinite(filled).all()) else torch.zeros_like(filled)


def _method(attributions: Any, method: str, function: Explained, baseline: Tensor) -> Any:
    """A function of samples (n, inputs) and the place of an output: attributions (n, inputs)."""
    if method == "integrated_gradients":
        gradients = attributions.IntegratedGradients(function)
        return lambda x, k: gradients.attribute(x, baseline, target=k, n_steps=STEPS)
    if method == "gradient_shap":
        shap = attributions.GradientShap(function)
        return lambda x, k: shap.attribute(x, baseline, target=k, n_samples=STEPS)
    lift = attributions.DeepLift(function)

    def compared(x: Tensor, k: int) -> Tensor:
        try:
            found: Tensor = lift.attribute(x, baseline, target=k)
        except (AssertionError, RuntimeError) as error:
            reason = (str(error).splitlines() or ["?"])[0]
            hint = "choose --method integrated_gradients"
            raise UserError(f"deeplift cannot follow this model ({reason})", where="--method", hint=hint) from error
        return found

    return compared


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Random numbers that are the same every time, and leave those of others alone; captum draws from both sources. Its
    warnings are about its own hooks."""
    state = np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with warnings.catch_warnings(), torch.random.fork_rng(devices=devices):
        warnings.simplefilter("ignore")
        torch.manual_seed(SEED)
        np.random.seed(SEED)
        try:
            yield
        finally:
            np.random.set_state(state)
