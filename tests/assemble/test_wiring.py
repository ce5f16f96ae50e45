"""What components are given, and what is said when they cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from stemcore import FieldSpec, Transform, UserError, load_recipe
from stemcore.assemble import assemble, check
from stemcore.assemble.wiring import Supply, Tensors, supply, wire
from stemcore.data.chain import Chain

Document = dict[str, Any]


class Double(Transform):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2

    def inverse(self, x: Tensor) -> Tensor:
        return x / 2


INPUT = FieldSpec("input", (1, 4, 4))


@pytest.fixture
def supplied() -> Supply:
    outputs = {"prediction": FieldSpec("prediction", (1, 4, 4), like="input"), "latent": FieldSpec("latent", (3,))}
    return supply({"input": INPUT}, outputs, {"input": Chain(INPUT, [("double", Double)])})


def wired(
    supplied: Supply, call: Callable[..., Any], renamed: dict[str, str] | None = None, space: str = "model"
) -> Any:
    return wire(call, supplied, own={}, renamed=renamed or {}, space=space, where="losses.x", who="loss 'x'")


def test_names_are_taken_from_batch_and_outputs_in_the_space_wanted(supplied: Supply) -> None:
    def forward(prediction: Tensor, target: Tensor, latent: Tensor, mask: Tensor | None = None) -> None: ...

    batch, outputs = {"input": torch.ones(2, 1), "target": torch.ones(2, 1)}, {"prediction": torch.full((2, 1), 6.0)}
    tensors = Tensors(
        batch | {"target@physical": torch.full((2, 1), 9.0)}, outputs | {"latent": torch.ones(2)}, supplied.chains
    )
    wires, problems = wired(supplied, forward, space="physical")
    assert not problems
    given = wires.arguments(tensors, {})
    assert set(given) == {"prediction", "target", "latent"}
    assert given["prediction"].tolist() == [[3.0], [3.0]]  # undone
    assert given["target"].tolist() == [[9.0], [9.0]]  # as the pipeline kept it
    wires, _ = wired(supplied, forward)
    assert wires.arguments(tensors, {})["prediction"].tolist() == [[6.0], [6.0]]


def test_what_was_hidden_stays_true_or_false_in_every_space() -> None:
    def update(prediction: Tensor, hidden: Tensor) -> None: ...

    outputs = {
        "prediction": FieldSpec("prediction", (1, 4, 4), like="input"),
        "hidden": FieldSpec("hidden", (1, 4, 4), "bool", like="input"),
    }
    supplied = supply({"input": INPUT}, outputs, {"input": Chain(INPUT, [("double", Double)])})
    wires, problems = wired(supplied, update, space="physical")
    assert not problems
    hidden = torch.tensor([[True, False]])
    tensors = Tensors({}, {"prediction": torch.full((1, 2), 6.0), "hidden": hidden}, supplied.chains)
    given = wires.arguments(tensors, {})
    assert given["hidden"] is hidden
    assert given["prediction"].tolist() == [[3.0, 3.0]]


def test_inputs_rename_and_ask_for_a_space(supplied: Supply) -> None:
    def forward(a: Tensor, b: Tensor) -> None: ...

    wires, problems = wired(supplied, forward, {"a": "prediction@double", "b": "latent"})
    assert not problems
    assert [w.name for w in wires] == ["prediction@double", "latent"]


@pytest.mark.parametrize(
    ("renamed", "message"),
    [
        ({}, "loss 'x' wants 'mu', which nobody provides; the data give input, target, index; the model gives"),
        ({"mu": "latnet"}, "wants 'latnet' .as 'mu'., which nobody provides.*did you mean 'latent'"),
        ({"mu": "latent", "nu": "latent"}, "loss 'x' has no input 'nu'; known: mu"),
        (
            {"mu": "prediction@log1p"},
            "wants prediction@log1p: there is no space '@log1p'; spaces are @physical, @double",
        ),
        ({"mu": "latent@physical"}, "goes through no transforms"),
    ],
)
def test_what_cannot_be_wired_is_explained(supplied: Supply, renamed: dict[str, str], message: str) -> None:
    def forward(mu: Tensor) -> None: ...

    _, problems = wired(supplied, forward, renamed)
    with pytest.raises(UserError, match=message):
        raise UserError(*problems)


def test_special_names_are_not_tensors(supplied: Supply) -> None:
    def forward(latent: Tensor, model: Any, progress: float, spec: Any) -> None: ...

    wires, problems = wired(supplied, forward)
    assert not problems
    assert wires.special == ("model", "progress", "spec")


def test_a_loss_of_clashing_shapes_is_found_before_anything_is_read(small: Callable[..., Document]) -> None:
    document = small(losses={"l1": {"inputs": {"prediction": "latent"}}})
    with pytest.raises(UserError, match=r"loss 'l1'.*latent"):
        assemble(load_recipe(document))


def test_every_problem_of_the_assembly_is_reported_at_once(small: Callable[..., Document]) -> None:
    document = small(
        losses={"l1": {"inputs": {"target": "truth"}}},
        metrics={"expected_error": {"inputs": {"expected": "nothing"}}},
        trainer={"early_stopping": {"monitor": "val/pnsr"}},
        data={"batch_size": 5000, "drop_last": True},
    )
    with pytest.raises(UserError) as error:
        assemble(load_recipe(document))
    text = str(error.value)
    assert len(error.value.problems) == 4
    for part in (
        "'truth'",
        "'nothing'",
        "nothing is logged as 'val/pnsr'; did you mean 'val/psnr'?",
        "a batch of 5000",
    ):
        assert part in text


def test_spaces_exist_without_transforms_too(small: Callable[..., Document]) -> None:
    document = small()
    document["data"]["transforms"] = {}
    facts = "\n".join(check(load_recipe(document)))
    assert "metric psnr: takes prediction@physical, target@physical" in facts
    assert "1,024 items to train, 256 items to validation" in facts
