"""The branch of the device checks for accelerators, with the CPU in the place of one."""

from __future__ import annotations

import pytest
import torch

from stemcore.testing.checks import augmentation, transform
from tests.testing.mutants import augmentation as augmentations
from tests.testing.mutants import transform as transforms
from tests.testing.mutation import Mutant, outcome


@pytest.fixture(autouse=True)
def accelerator(monkeypatch) -> None:
    for module in (transform, augmentation):
        monkeypatch.setattr(module, "other_devices", lambda: [torch.device("cpu")])


class Drifting(transforms.Sound):
    """Fitted a second time it is something else."""

    fits = 0

    def finish(self) -> None:
        super().finish()
        Drifting.fits += 1
        self.mean += Drifting.fits


def test_what_is_sound_passes(tmp_path) -> None:
    for kind, module in (("transform", transforms), ("augmentation", augmentations)):
        for component, examples in module.SOUND:
            seen = outcome(Mutant("check_device", component, "", examples), kind, tmp_path)
            assert seen.status == "passed", seen


def test_what_differs_there_is_seen(tmp_path) -> None:
    seen = outcome(Mutant("check_device", Drifting, ""), "transform", tmp_path)
    assert "forward on cpu: the largest difference is" in seen.message
