from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, jaccard_score
from stem_images.class_examples import of_pixels
from stem_images.class_metrics import Accuracy, DiceScore, MeanIntersectionOverUnion
from torchmetrics.classification import MulticlassJaccardIndex

from stemcore import UserError


def test_against_scikit_learn_and_torchmetrics() -> None:
    logits, label = (torch.from_numpy(x) for x in of_pixels().values())
    found, true = logits.argmax(1).ravel(), label.ravel()
    found, true = found[true >= 0], true[true >= 0]
    scores = {}
    for metric in (MeanIntersectionOverUnion(classes=[1]), DiceScore(), Accuracy()):
        for part in torch.arange(len(logits)).split(4):
            metric.update(logits[part], label[part])
        scores[type(metric).__name__] = {name: float(value) for name, value in metric.compute().items()}
    iou = jaccard_score(true, found, average=None)
    assert scores["MeanIntersectionOverUnion"] == pytest.approx({"": iou.mean(), "class_1": iou[1]})
    assert scores["DiceScore"][""] == pytest.approx(f1_score(true, found, average="macro"))
    balanced = balanced_accuracy_score(true, found)
    assert scores["Accuracy"] == pytest.approx({"": accuracy_score(true, found), "balanced": balanced})
    other = MulticlassJaccardIndex(logits.shape[1], ignore_index=-1)
    other.update(logits, torch.where(label < 0, -1, label)[:, 0])
    assert scores["MeanIntersectionOverUnion"][""] == pytest.approx(float(other.compute()))


def test_a_class_that_is_only_given_counts_as_missed() -> None:
    logits = torch.eye(3)[torch.tensor([0, 0, 2, 2])]
    metric = MeanIntersectionOverUnion(classes=[1])
    metric.update(logits, torch.tensor([0, 0, 0, -1]))
    found = metric.compute()
    assert found[""] == pytest.approx((2 / 3 + 0) / 2)
    assert found["class_1"].isnan()


def test_a_class_that_is_not_there_is_said() -> None:
    with pytest.raises(UserError, match="there is no class 3"):
        Accuracy(classes=[3]).update(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64))
