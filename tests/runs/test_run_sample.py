"""New items drawn from a run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stemcore import DataSpec, FieldSpec, Model, UserError, load_run, run
from stemcore.progress import Reporter
from stemcore.runs.predictor import Predictor
from tests.conftest import SMALL, changed

QUIET = Reporter()


class Draws(Model):
    """Draws noise of what it is told of in ``label`` and ``map``."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.seen: list[dict[str, torch.Tensor]] = []

    def provides(self):
        return {}

    def sample(self, n, **conditions):
        self.seen.append(conditions)
        drawn = torch.randn(n, *self.spec["input"].shape)
        return drawn + conditions["label"].view(-1, 1, 1, 1) if "label" in conditions else drawn


@pytest.fixture
def predictor(monkeypatch, tmp_path) -> tuple[Predictor, Draws]:
    """That of a model that samples, behind a bin to a quarter and a standardisation."""
    trained = run(changed(SMALL, {"seed": 3}), output=tmp_path / "run", fast_dev_run=True, reporter=QUIET)
    found = trained.predictor()
    fields = dict(found.fields) | {
        "label": FieldSpec("label", (), "int64", classes=("a", "b")),
    }
    found.fields = DataSpec(fields)
    found._model = model = Draws(found._parts.spec)
    return found, model


def drawn(found: Predictor, n: int, **options):
    return found.sample_arrays(n, reporter=QUIET, **options)["input"]


def test_a_seed_gives_the_same_items_in_physical_units_and_leaves_other_numbers_alone(predictor) -> None:
    found, _ = predictor
    before = torch.get_rng_state()
    one, again, other = (drawn(found, 5, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert one.shape == (5, 1, 16, 16)
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)
    torch.manual_seed(1)
    chain = found._parts.supply.chains["input"]
    np.testing.assert_allclose(one, chain.inverse(torch.randn(5, 1, 16, 16)).numpy(), rtol=1e-6)
    np.testing.assert_array_equal(drawn(found, 5), drawn(found, 5, seed=3))  # the run's own


def test_conditions_go_with_their_items_in_batches(predictor) -> None:
    found, model = predictor
    labels = np.arange(5) % 2
    drawn(found, 5, batch_size=2, conditions={"label": labels})
    assert [c["label"].tolist() for c in model.seen] == [[0, 1], [0, 1], [0]]
    assert model.seen[0]["label"].dtype == torch.int64
    for options, said in (
        ({"conditions": {"labels": labels}}, "no field 'labels'; did you mean 'label'"),
        ({"conditions": {"label": labels[:3]}}, "the conditions are of 3 items, 5 are to be drawn"),
        ({"conditions": {"label": labels[:, None]}}, r"'label' has shape \(1,\)"),
    ):
        with pytest.raises(UserError, match=said):
            drawn(found, 5, **options)
    with pytest.raises(UserError, match="0 items cannot be drawn"):
        drawn(found, 0)


def test_what_lies_on_the_pixels_of_an_item_is_moved_as_items_are(predictor) -> None:
    found, model = predictor
    wide = found.fields["expected"]
    assert (wide.like, wide.shape) == ("input", (1, 64, 64))
    drawn(found, 2, conditions={"expected": np.ones((2, *wide.shape), np.float32)})
    (seen,) = model.seen
    assert set(seen) == {"expected"}
    assert torch.equal(seen["expected"], torch.full((2, 1, 16, 16), 16.0))  # sums of 4 x 4 pixels


def test_a_model_that_does_not_sample_says_so(tmp_path) -> None:
    recipe = changed(SMALL, {})
    trained = run(recipe, output=tmp_path / "run", fast_dev_run=True, reporter=QUIET)
    with pytest.raises(UserError, match="ConvAutoencoder does not sample"):
        load_run(trained.directory).sample(3, reporter=QUIET)
