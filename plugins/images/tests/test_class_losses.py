from __future__ import annotations

import pytest
import torch
from stem_images.class_examples import CLASSES, of_items, of_pixels
from stem_images.class_losses import CrossEntropy, Dice
from torch.nn import functional

from stemcore import UserError


@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0, 0.25]])
@pytest.mark.parametrize("made", [of_items, of_pixels])
def test_cross_entropy_is_that_of_pytorch(made, weights) -> None:
    logits, label = (torch.from_numpy(x) for x in made().values())
    expected = functional.cross_entropy(
        logits,
        label.reshape(len(label), *logits.shape[2:]).clamp(min=-1),
        weight=None if weights is None else torch.tensor(weights),
        ignore_index=-1,
    )
    torch.testing.assert_close(CrossEntropy(class_weights=weights)(logits, label), expected)


def test_what_has_no_label_moves_nothing() -> None:
    logits, label = (torch.from_numpy(x) for x in of_pixels().values())
    logits.requires_grad_()
    for loss in (CrossEntropy(), Dice()):
        (gradient,) = torch.autograd.grad(loss(logits, label), logits)
        unknown = (label < 0).expand_as(gradient)
        assert (gradient[unknown] == 0).all()
        assert (gradient[~unknown].reshape(-1) != 0).any()
        (gradient,) = torch.autograd.grad(loss(logits, torch.full_like(label, -1)), logits)
        assert (gradient == 0).all()


def test_shares_instead_of_logits_would_learn_little() -> None:
    """A softmax taken twice, the fault of an earlier script, bounds the loss of certain answers from below."""
    sure = 50.0 * functional.one_hot(torch.arange(CLASSES)).float()
    label = torch.arange(CLASSES)
    assert CrossEntropy()(sure, label) < 1e-6
    assert CrossEntropy()(torch.softmax(sure, 1), label) > 0.7


def test_dice_of_certain_answers() -> None:
    label = torch.tensor([[[0, 0, 1], [1, 1, 2]]])
    logits = 100.0 * functional.one_hot(label, 3).movedim(-1, 1).float()
    assert Dice(smooth=1e-6)(logits, label) < 1e-5
    turned = logits.roll(1, 1)  # each pixel given another class than it has
    assert Dice(smooth=1e-6)(turned, label) > 1 - 1e-5


@pytest.mark.parametrize("loss", [CrossEntropy(), Dice()])
def test_what_does_not_fit_is_said(loss) -> None:
    logits = torch.zeros(2, 3, 4, 4)
    with pytest.raises(UserError, match="whole numbers, these are float32"):
        loss(logits, torch.zeros(2, 4, 4))
    with pytest.raises(UserError, match="are not those of labels"):
        loss(logits, torch.zeros(2, 4, 5, dtype=torch.int64))
    with pytest.raises(UserError, match="there is a label 3, of 3 classes"):
        loss(logits, torch.full((2, 4, 4), 3))


def test_as_many_weights_as_classes() -> None:
    with pytest.raises(UserError, match="2 class_weights, of 3 classes"):
        CrossEntropy(class_weights=[1.0, 2.0])(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64))
