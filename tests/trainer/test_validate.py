from __future__ import annotations

import pytest
import torch

from stemcore import Metric, UserError
from stemcore.assemble.parts import Term
from stemcore.assemble.wiring import Tensors, Wire, Wires
from stemcore.trainer.validate import update


class Band(Metric):
    """Refuses cubes without the band it is to score."""

    def update(self, prediction: torch.Tensor) -> None:
        if prediction.shape[1] < 9:
            raise UserError("the data have no band 8", hint="bands are 0 to 2")

    def compute(self) -> float:
        return 0.0


def test_the_metric_that_refuses_a_batch_is_named():
    term = Term("worst_band", Band(), Wires((Wire("prediction", "prediction", None, False),), ()))
    update([term], Tensors({}, {"prediction": torch.zeros(2, 9)}, {}), {})
    with pytest.raises(UserError, match=r"^metrics\.worst_band: the data have no band 8; bands are 0 to 2$"):
        update([term], Tensors({}, {"prediction": torch.zeros(2, 3)}, {}), {})
