from __future__ import annotations

import pytest
import torch
from stem_paired.flows import PlanarFlow, PlanarFlows


def steep(dims: int, seed: int) -> PlanarFlow:
    """A flow whose u points against w, which without the constraint folds space."""
    torch.manual_seed(seed)
    flow = PlanarFlow(dims).double()
    with torch.no_grad():
        flow.w.mul_(3.0)
        flow.u.copy_(-2.0 * flow.w + torch.randn(dims))
        flow.b.copy_(torch.randn(()))
    return flow


@pytest.mark.parametrize("seed", range(3))
def test_the_change_of_volume_is_that_of_the_jacobian(seed: int):
    torch.manual_seed(seed)
    flows = PlanarFlows(4, 3).double()
    flows.load_state_dict({n: torch.randn_like(t) * 2.0 for n, t in flows.state_dict().items()})
    z = torch.randn(5, 4, dtype=torch.float64)
    carried, log_det = flows(z)
    jacobians = torch.stack([torch.autograd.functional.jacobian(lambda x: flows(x)[0], row) for row in z])
    sign, expected = torch.linalg.slogdet(jacobians)
    assert (sign > 0).all()
    torch.testing.assert_close(log_det, expected)
    assert carried.shape == z.shape
    assert not torch.allclose(carried, z)


@pytest.mark.parametrize("seed", range(5))
def test_a_flow_cannot_fold_space(seed: int):
    flow = steep(6, seed)
    assert (flow.w * flow.u).sum() < -1
    u, along = flow.direction()
    torch.testing.assert_close((flow.w * u).sum(), along)
    assert along > -1
    # Along w, by which alone order can change, what lay ahead stays ahead.
    line = torch.linspace(-5, 5, 400, dtype=torch.float64)[:, None] * flow.w / flow.w.norm()
    ahead = (flow(line)[0] * flow.w).sum(-1)
    assert (ahead.diff() > 0).all()


def test_the_change_of_volume_stays_finite_in_float32():
    flow = steep(6, 0).float()
    with torch.no_grad():
        flow.u.mul_(100.0)
        flow.b.zero_()
    _, log_det = flow(torch.zeros(1, 6))
    assert torch.isfinite(log_det).all()


def test_a_flow_begins_as_the_identity_and_learns():
    flow = PlanarFlow(5)
    z = torch.randn(3, 5)
    carried, log_det = flow(z)
    torch.testing.assert_close(carried, z)
    torch.testing.assert_close(log_det, torch.zeros(3), atol=1e-6, rtol=0)
    (carried.square().sum() - log_det.sum()).backward()
    assert flow.u.grad.abs().sum() > 0


def test_no_flows_leave_latents_as_they_are():
    z = torch.randn(2, 3, 4)
    carried, log_det = PlanarFlows(4, 0)(z)
    assert torch.equal(carried, z)
    assert torch.equal(log_det, torch.zeros(2, 3))
