from __future__ import annotations

import pytest
import torch

from stemcore.testing.placement import on_device, other_devices, with_gaps
from stemcore.testing.promises import Broken

META = torch.device("meta")


@pytest.mark.parametrize("shape", [(4,), (4, 5), (4, 1, 5, 6)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_the_same_values_with_gaps_between_rows(shape, dtype) -> None:
    x = (torch.arange(torch.tensor(shape).prod().item()) % 3).reshape(shape).to(dtype)
    spread = with_gaps(x)
    assert torch.equal(spread, x)
    assert spread.stride() != x.stride() or len(shape) == 1
    if len(shape) == 4:
        with pytest.raises(RuntimeError, match="view"):
            spread.view(4, -1)


def test_the_meta_device_stands_for_accelerators() -> None:
    assert META in other_devices()
    assert torch.device("cpu") not in other_devices()


def test_a_tensor_that_was_left_behind_is_a_broken_promise() -> None:
    with pytest.raises(Broken, match="given tensors on meta it raised RuntimeError"), on_device(META):
        torch.ones(3, device="meta") + torch.ones(3)


@pytest.mark.parametrize(
    "look",
    [lambda x: x.sum().item(), lambda x: x.cpu(), lambda x: bool(x.any()), lambda x: x[x > 0], lambda x: x.numpy()],
)
def test_looking_at_values_is_not(look) -> None:
    reached = False
    with on_device(META):
        look(torch.ones(3, device="meta"))
        reached = True
    assert not reached


def test_on_an_accelerator_every_error_is_one() -> None:
    with pytest.raises(Broken, match="given tensors on cuda it raised ValueError: no"), on_device(torch.device("cuda")):
        raise ValueError("no")


def test_a_broken_promise_stays_what_it_says() -> None:
    with pytest.raises(Broken, match=r"^its shape$"), on_device(META):
        raise Broken("its shape")
