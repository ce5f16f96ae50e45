from __future__ import annotations

import numpy as np
import pytest
import torch

from stemcore import DataSpec, FieldSpec
from stemcore.testing.promises import NotApplicable
from stemcore.testing.spawned import in_spawned_process, unpickle
from stemcore.testing.standard import arguments_of, field_values, image_spec, patterns, standard_tensors
from stemcore.testing.standard_model import standard_model


def test_items_differ_and_are_the_same_every_time() -> None:
    made = patterns(5, (1, 9, 7))
    assert made.shape == (5, 1, 9, 7)
    assert float(made.min()) > 0
    assert torch.pdist(made.flatten(1)).min() > 0.1
    assert torch.equal(made, patterns(5, (1, 9, 7)))
    assert patterns(0, (3,)).shape == (0, 3)


@pytest.mark.parametrize(("dtype", "shape"), [("uint16", (1, 8, 8)), ("bool", (12,)), ("float32", (2, 3, 4, 5))])
def test_fields_of_any_shape_and_type_have_values(dtype: str, shape: tuple[int, ...]) -> None:
    made = field_values(FieldSpec("input", shape, dtype), 4)
    assert made.shape == (4, *shape)
    assert str(made.dtype) == f"torch.{dtype}"
    if dtype == "bool":
        assert 0 < made.float().mean() < 1


def test_a_varying_shape_must_be_given() -> None:
    with pytest.raises(NotApplicable, match="varying shape"):
        field_values(FieldSpec("points", (None, 2)), 3)


def test_spectra_get_predictions_of_their_shape() -> None:
    spec = DataSpec({"input": FieldSpec("input", (1, 64))})
    assert standard_tensors(3, spec)["prediction"].shape == (3, 1, 64)


def test_arguments_are_found_by_name() -> None:
    def forward(prediction, target, latent, progress, spectrum, weight=None, mask=None):
        """Takes standard names, one of its own, and optional ones."""

    own = {"spectrum": np.ones((8, 3)), "prediction": torch.zeros(8, 2)}
    given = arguments_of(forward, own)
    assert set(given) == {"prediction", "target", "latent", "progress", "spectrum", "mask"}
    assert given["prediction"] is own["prediction"]
    assert isinstance(given["spectrum"], torch.Tensor)
    with pytest.raises(NotApplicable, match="asks for 'spectrum', which has no standard meaning"):
        arguments_of(forward, {})


def test_optional_standard_tensors_of_another_length_are_left_out() -> None:
    def forward(prediction, mask=None):
        """Takes predictions."""

    assert set(arguments_of(forward, {"prediction": torch.zeros(5, 2)})) == {"prediction"}


def test_renamed_inputs_are_found_by_their_source() -> None:
    def forward(rows, columns):
        """Takes tensors of other names."""

    given = arguments_of(forward, {}, inputs={"rows": "latent@model", "columns": "mu"})
    standard = standard_tensors()
    assert torch.equal(given["rows"], standard["latent"])
    assert torch.equal(given["columns"], standard["mu"])
    own = torch.ones(8, 2)
    assert arguments_of(forward, {"latent": own, "columns": own}, inputs={"rows": "latent"})["rows"] is own


def test_standard_tensors_are_in_the_shape_of_those_given() -> None:
    def forward(prediction, target, model, mask=None):
        """Takes spectra."""

    given = arguments_of(forward, {"target": np.ones((8, 1, 512), np.float32)})
    assert given["prediction"].shape == given["mask"].shape == (8, 1, 512)
    assert given["model"].reconstruct(input=given["target"]).shape == (8, 1, 512)


def test_the_standard_model_is_the_same_every_time_and_leaves_random_numbers_alone() -> None:
    before = torch.random.get_rng_state()
    one, other = (standard_model(image_spec(), 6) for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    images = standard_tensors()["input"]
    outputs = one.eval()(images)
    assert {name: spec.shape for name, spec in one.provides().items()} == {n: t.shape[1:] for n, t in outputs.items()}
    assert float(outputs["prediction"].detach().min()) > 0
    assert one.encode(input=images).shape == (8, 6)


def test_the_other_process_is_another_and_survives_errors() -> None:
    import os

    other = in_spawned_process(os.getpid)
    assert other != os.getpid()
    assert "UnpicklingError" in unpickle(b"no pickle")
    assert in_spawned_process(os.getpid) == other
