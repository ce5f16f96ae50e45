"""Direct imputation by residual U-Nets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stem_paired.examples import tables
from stem_paired.res_unet import ResUnet

from stemcore import UserError


def plain(weights: dict[str, np.ndarray], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A U-Net of the widths 6, 4, 3 and one layer a level, without normalisation, in NumPy."""

    def layer(name: str, x: np.ndarray) -> np.ndarray:
        own = {key.removeprefix(f"{name}.0."): v for key, v in weights.items() if key.startswith(f"{name}.0.")}
        y = x @ own["linear.weight"].T + own["linear.bias"] + x @ own["shortcut.weight"].T
        return np.where(y > 0, y, 0.2 * y)

    first = layer("down.0", x)
    second = layer("down.1", first)
    third = layer("down.2", second)
    up = layer("up.0", np.concatenate([third, second], axis=1))
    up = layer("up.1", np.concatenate([up, first], axis=1))
    return up @ weights["head.weight"].T + weights["head.bias"], third


def test_outputs_are_those_of_a_computation_by_hand() -> None:
    torch.manual_seed(0)
    model = ResUnet(tables(12, 7), widths=[6, 4, 3], batch_norm=False).double().eval()
    a, b = torch.randn(5, 12, dtype=torch.float64), torch.randn(5, 7, dtype=torch.float64)
    weights = {
        p: {n.removeprefix(f"unets.{p}."): w.numpy() for n, w in model.state_dict().items() if f"unets.{p}." in n}
        for p in "ab"
    }
    cross_b, from_a = plain(weights["a"], a.numpy())
    cross_a, from_b = plain(weights["b"], b.numpy())
    expected = {
        "cross_a": cross_a,
        "cross_b": cross_b,
        "cycle_a": plain(weights["b"], cross_b)[0],
        "cycle_b": plain(weights["a"], cross_a)[0],
        "latent": (from_a + from_b) / 2,
    }
    found = model(input_a=a, input_b=b)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].detach(), value, rtol=1e-10, err_msg=name)


def test_the_number_of_parameters() -> None:
    def level(inputs: int, outputs: int, layers: int) -> int:
        """Weights, biases, normalisation, and a shortcut where the width changes."""
        first = inputs * outputs + 3 * outputs + (inputs * outputs if inputs != outputs else 0)
        return first + (layers - 1) * (outputs * outputs + 3 * outputs)

    model = ResUnet(tables(12, 7), widths=[8, 5], layers=2, batch_norm=True)
    expected = 0
    for inputs, outputs in ((12, 7), (7, 12)):
        expected += level(inputs, 8, 2) + level(8, 5, 2) + level(5 + 8, 8, 2) + 8 * outputs + outputs
    assert sum(p.numel() for p in model.parameters()) == expected


def test_one_platform_alone_gives_what_it_can_and_imputing_is_the_same() -> None:
    model = ResUnet(tables(12, 7), widths=[8, 4]).eval()
    a, b = torch.randn(4, 12), torch.randn(4, 7)
    both, alone = model(input_a=a, input_b=b), model(input_a=a)
    assert alone.keys() == {"cross_b", "cycle_a", "latent"}
    assert torch.equal(alone["cross_b"], both["cross_b"])
    assert torch.equal(model.impute(input_a=a)["input_b"], both["cross_b"])
    assert torch.equal(model.impute(input_b=b)["input_a"], both["cross_a"])
    torch.testing.assert_close(model.encode(input_a=a, input_b=b), both["latent"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: m.impute(True, input_a=x), "it has nothing to draw"),
        (lambda m, x: m.impute(), "imputing starts from one platform, not from none"),
        (lambda m, x: m.reconstruct(input_a=x), "two platforms to reconstruct"),
        (lambda m, x: m(), "neither input_a nor input_b is given"),
    ],
)
def test_what_it_cannot_do_is_said(call, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call(ResUnet(tables(12, 7), widths=[8]), torch.randn(2, 12))
