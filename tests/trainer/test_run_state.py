"""What a callback gets from a run: its data, physical units, and where its figures go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from stemcore import Callback, Logger, UserError, load_recipe
from stemcore.assemble import assemble
from stemcore.component.callback import State
from stemcore.data.fit import fit
from stemcore.progress import Reporter, reporter
from stemcore.trainer import Trainer
from stemcore.trainer.engine import launch
from stemcore.trainer.feed import loader_of


class Seen(Logger):
    """Remembers the names of figures."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.figures: list[tuple[str, int]] = []

    def log(self, values: Mapping[str, float], *, step: int, epoch: int) -> None:
        pass

    def figure(self, name: str, drawing: Any, *, step: int) -> None:
        self.figures.append((name, step))


class Looks(Callback):
    """Looks at everything that the state of a run offers."""

    def on_epoch_end(self, state: State) -> None:
        self.stored = {part: list(state.items(part)) for part in ("train", "val")}
        batch = self.stored["train"][0]
        self.physical = state.physical("input", batch["input"])
        with state.evaluation() as model, state.autocast():
            self.prediction = model(input=batch["input"])["prediction"]
            self.drawn = torch.rand(4)
        self.back = state.physical("prediction", self.prediction)
        self.facts = (state.first, state.device.type)
        self.paths = [state.show("seen", Figure()), state.show("latest", Figure(), numbered=False)]
        with pytest.raises(UserError, match="the run has no field or output 'predicton'; did you mean 'prediction'"):
            state.physical("predicton", self.prediction)


def test_data_units_and_figures(small: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    recipe = small(data={"augment": ["flip"], "eval_batch_size": 200}, trainer={"max_epochs": 1})
    parts = assemble(load_recipe(recipe))
    looks, logger = Looks(), Seen(tmp_path)
    parts.callbacks["looks"] = looks
    fabric = launch(parts)
    model = parts.build_model()
    fit(parts.pipeline, parts.sources.train, describe={}, loader=loader_of(parts, fabric), reporter=Reporter())
    Trainer(parts, model, fabric, tmp_path, [logger], reporter(quiet=True), {}).fit()

    assert looks.facts == (True, "cpu")
    # The images of the file, binned by four and divided by nothing: flips belong to training alone.
    train = parts.sources.train
    index = torch.cat([batch["index"] for batch in looks.stored["train"]]).numpy()
    np.testing.assert_array_equal(index, train.indices)
    assert [len(batch["index"]) for batch in looks.stored["val"]] == [200, len(parts.sources.val) - 200]
    patterns = train.dataset.read(train.indices[:200])["input"].astype(np.float64)
    n, c, h, w = patterns.shape
    binned = patterns.reshape(n, c, h // 4, 4, w // 4, 4).sum((3, 5))
    np.testing.assert_allclose(looks.physical.numpy(), binned, rtol=1e-4, atol=1e-3)
    # A prediction goes back as the input came: standardised, then log1p.
    chain = parts.pipeline.chain("input")
    assert chain is not None
    torch.testing.assert_close(looks.back, chain.inverse(looks.prediction.float()))
    assert torch.equal(looks.drawn, torch.rand(4, generator=torch.Generator().manual_seed(recipe["seed"])))
    folder = tmp_path / "figures"
    assert looks.paths == [folder / "seen_epoch001.png", folder / "latest.png"]
    assert all(path.is_file() for path in looks.paths)
    assert logger.figures == [("seen", 16), ("latest", 16)]


def test_nothing_is_validated_where_nothing_is_kept(small: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    parts = assemble(load_recipe(small(data={"val": 0.0}, trainer={"max_epochs": 1})))
    fabric = launch(parts)
    trainer = Trainer(parts, parts.build_model(), fabric, tmp_path, [], reporter(quiet=True), {})
    assert list(trainer.state.items("val")) == []
